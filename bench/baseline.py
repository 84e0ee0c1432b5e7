"""The plain design that the engine must beat: an untrained log-mel CNN finds segments, pYIN and DTW rerank them.

Ten-second segments every five seconds, embedded by an *untrained log-mel CNN* (random weights by a fixed seed;
no network was trained for it), the nearest 50 by inner product (FAISS), each then aligned with the clip by
`librosa.sequence.dtw` on median-centred pYIN contours. A track's score is that of its best segment. Three choices
favour it, from a small trial (odd clips of odd songs: 48 hums, 40 tracks, no first stage). Top-10 rose from .46 to .54
with pitch up to 2093 instead of 1000 Hz, to .71 with slopes between 1/2 and 2; rests dropped, not held: .60.

pYIN (Mauch and Dixon 2014) costs most, so it runs once over each track, at 10 frames a second and with five pitch
bins a semitone (`resolution=0.2`, librosa's default is 0.1): one core then takes about 0.08 s for 10 s of audio.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache as cached
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import faiss
import librosa
import numpy as np
import soundfile
import torch
from torch import nn

from melody.types import Floats

SAMPLE_RATE_HZ = 16000
SEGMENT_S = 10
SEGMENT_HOP_S = 5
FRAMES_PER_S = 10
PITCH_RANGE_HZ = (65.0, 2093.0)
PITCH_FRAME = 2048
PITCH_RESOLUTION = 0.2
MELS = 64
MEL_WINDOW = 1024
MEL_HOP = 512
RANGE_DB = 80.0
CHANNELS = (1, 16, 32, 64, 128)
DIMENSIONS = 128
SEED = 20240
DTW_STEPS = np.array([[1, 1], [1, 2], [2, 1]])  # as Müller (2021, 7.2) takes them for subsequences
SEARCHED_SEGMENTS = 1000
RERANKED_SEGMENTS = 50
# All that a cached file depends on besides its audio; the leading word changes with the code below.
SEGMENTING = (SAMPLE_RATE_HZ, SEGMENT_S, SEGMENT_HOP_S)
PITCH = (FRAMES_PER_S, PITCH_RANGE_HZ, PITCH_FRAME, PITCH_RESOLUTION)
NETWORK = (MELS, MEL_WINDOW, MEL_HOP, RANGE_DB, CHANNELS, DIMENSIONS, SEED)
RECIPE = repr(("baseline-1", SEGMENTING, PITCH, NETWORK))


@dataclass(frozen=True, slots=True)
class BaselineRanking:
    """The answer to one clip: track ids (file stems), best first, each once."""

    tracks: tuple[str, ...]  # after the rerank; only tracks that own one of the `RERANKED_SEGMENTS`
    first_stage: tuple[str, ...]  # by best inner product among the `SEARCHED_SEGMENTS`, before any alignment
    seconds: float  # wall time from file to ranking, decoding included


@dataclass(frozen=True, slots=True)
class TrackFeatures:
    """What the cache keeps of one track."""

    embeddings: Floats  # (s, DIMENSIONS) unit length, segment i starts at i * SEGMENT_HOP_S
    semitones: Floats  # (t,) MIDI pitch at FRAMES_PER_S, nan where unvoiced


@dataclass(frozen=True, slots=True)
class Baseline:
    """A searchable library; row i of the index is segment i."""

    stems: tuple[str, ...]  # (s,) the track of each segment
    contours: tuple[Floats, ...]  # (s,) of (100,) semitones about their median; (0,) where nothing is voiced
    index: Any  # faiss.IndexFlatIP, (s, DIMENSIONS)

    @classmethod
    def build(cls, library: Sequence[Path], cache: Path, workers: int) -> Baseline:
        """Analyse the audio files not yet in `cache` with `workers` processes, then index them all.

        A cached file is named by the stem, the content of the audio and the parameters, and written whole or
        not at all, so an interrupted build goes on where it stopped.
        """
        files = _analyse_library(library, cache, workers)
        stems: list[str] = []
        contours: list[Floats] = []
        index = faiss.IndexFlatIP(DIMENSIONS)
        for path, file in zip(library, files, strict=True):
            features = _load(file)
            index.add(features.embeddings)
            stems += [path.stem] * len(features.embeddings)
            contours += cut_contours(features)
        faiss.omp_set_num_threads(1)
        _warm_up()
        return cls(tuple(stems), tuple(contours), index)

    def rank(self, clip: Path) -> BaselineRanking:
        """Rank the library's tracks against the first ten seconds of an audio file (one core)."""
        started = time.perf_counter()
        samples = read_audio(clip)[: SEGMENT_S * SAMPLE_RATE_HZ]
        contour = centre(read_semitones(samples)[: SEGMENT_S * FRAMES_PER_S])
        found = self.index.search(embed(cut_segments(samples)), min(SEARCHED_SEGMENTS, len(self.stems)))[1][0]
        # Python's sort is stable: segments that cannot be told apart keep the order of the first stage.
        reranked = sorted(found[:RERANKED_SEGMENTS], key=lambda row: alignment_cost(contour, self.contours[row]))
        return BaselineRanking(
            tracks=_first_seen(self.stems[row] for row in reranked),
            first_stage=_first_seen(self.stems[row] for row in found),
            seconds=time.perf_counter() - started,
        )


def read_audio(path: Path) -> Floats:
    """Mono audio (n,) at `SAMPLE_RATE_HZ`."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return cast(Floats, librosa.resample(samples.mean(axis=1), orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ))


def read_semitones(samples: Floats) -> Floats:
    """pYIN pitch (t,) of audio (n,) as fractional MIDI numbers at `FRAMES_PER_S`, nan where unvoiced."""
    hz, _, _ = librosa.pyin(
        samples,
        sr=SAMPLE_RATE_HZ,
        fmin=PITCH_RANGE_HZ[0],
        fmax=PITCH_RANGE_HZ[1],
        frame_length=PITCH_FRAME,
        hop_length=SAMPLE_RATE_HZ // FRAMES_PER_S,
        resolution=PITCH_RESOLUTION,
    )
    return np.asarray(librosa.hz_to_midi(hz), dtype=np.float32)


def centre(semitones: Floats) -> Floats:
    """Key-free contour: rests hold the note before them (the first note, at the start), then minus the median.

    Takes and returns (t,); (0,) where nothing is voiced.
    """
    voiced = np.flatnonzero(~np.isnan(semitones))
    if not len(voiced):
        return np.zeros(0, dtype=np.float32)
    last_voiced = np.searchsorted(voiced, np.arange(len(semitones)), side="right") - 1
    held = semitones[voiced[np.maximum(last_voiced, 0)]]
    return np.asarray(held - np.median(semitones[voiced]), dtype=np.float32)


def cut_segments(samples: Floats) -> Floats:
    """Segments (s, 160000) of audio (n,), the last one padded with silence so that every sample is in one."""
    length, hop = SEGMENT_S * SAMPLE_RATE_HZ, SEGMENT_HOP_S * SAMPLE_RATE_HZ
    count = 1 + max(0, -(-(len(samples) - length) // hop))
    padded = np.pad(samples, (0, length + (count - 1) * hop - len(samples)))
    return np.stack([padded[i * hop : i * hop + length] for i in range(count)])


def cut_contours(features: TrackFeatures) -> list[Floats]:
    """The centred contour of each segment of a track, as many as it has embeddings.

    All are 10 s long: a few frames at a track's end would lie within any clip at no cost.
    """
    length, hop = SEGMENT_S * FRAMES_PER_S, SEGMENT_HOP_S * FRAMES_PER_S
    padded = np.pad(features.semitones, (0, length), constant_values=np.nan)
    return [centre(padded[i * hop : i * hop + length]) for i in range(len(features.embeddings))]


def log_mel(segments: Floats) -> Floats:
    """Mel spectrograms (s, MELS, frames) of segments (s, n), in dB over `RANGE_DB`, each with mean 0 and spread 1."""
    power = librosa.feature.melspectrogram(
        y=segments, sr=SAMPLE_RATE_HZ, n_fft=MEL_WINDOW, hop_length=MEL_HOP, n_mels=MELS
    )
    decibels = librosa.power_to_db(power, top_db=None)
    decibels = np.maximum(decibels, decibels.max(axis=(1, 2), keepdims=True) - RANGE_DB)
    mean, spread = decibels.mean(axis=(1, 2), keepdims=True), decibels.std(axis=(1, 2), keepdims=True)
    return np.asarray((decibels - mean) / (spread + 1e-6), dtype=np.float32)


def embed(segments: Floats) -> Floats:
    """Unit vectors (s, DIMENSIONS) of segments (s, n), by the untrained log-mel CNN."""
    with torch.inference_mode():
        vectors = _network()(torch.from_numpy(log_mel(segments))[:, None])
        return cast(Floats, nn.functional.normalize(vectors).numpy())


def alignment_cost(clip: Floats, segment: Floats) -> float:
    """Semitones apart along the best path of a clip (t,) within a segment (u,), per clip frame; inf if one is empty."""
    if not len(clip) or not len(segment):
        return float("inf")
    total = librosa.sequence.dtw(clip[None], segment[None], subseq=True, step_sizes_sigma=DTW_STEPS, backtrack=False)
    return float(total[-1].min()) / len(clip)


@cached
def _network() -> nn.Module:
    """The untrained log-mel CNN, (s, 1, MELS, frames) -> (s, DIMENSIONS); the same weights in every process."""
    torch.set_num_threads(1)
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for inputs, outputs in pairwise(CHANNELS):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], DIMENSIONS)]
    return nn.Sequential(*layers).eval()


def _warm_up() -> None:
    """Let numba and torch compile and load before the first clip is timed."""
    tone = np.sin(np.arange(SAMPLE_RATE_HZ, dtype=np.float32) * 0.1)
    contour = centre(read_semitones(tone))
    alignment_cost(contour, contour)
    embed(cut_segments(tone))


def _first_seen(stems: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stems))


def _cache_file(audio: Path, cache: Path) -> Path:
    digest = hashlib.sha256(RECIPE.encode() + audio.read_bytes()).hexdigest()[:16]
    return cache / f"{audio.stem}-{digest}.npz"


def _load(file: Path) -> TrackFeatures:
    with np.load(file) as arrays:
        return TrackFeatures(arrays["embeddings"], arrays["semitones"])


def _analyse_track(job: tuple[Path, Path]) -> None:
    audio, file = job
    samples = read_audio(audio)
    partial = file.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as out:
        np.savez(out, embeddings=embed(cut_segments(samples)), semitones=read_semitones(samples))
    partial.replace(file)


def _analyse_library(library: Sequence[Path], cache: Path, workers: int) -> list[Path]:
    """The cached features of each audio file, in their order, computed where missing."""
    cache.mkdir(parents=True, exist_ok=True)
    files = [_cache_file(audio, cache) for audio in library]
    missing = [(audio, file) for audio, file in zip(library, files, strict=True) if not file.exists()]
    if missing:
        with get_context("spawn").Pool(workers) as pool:
            for _ in pool.imap_unordered(_analyse_track, missing):
                pass
    return files
