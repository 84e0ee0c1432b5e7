"""How search works, on one screen: a clip goes down the stages in a straight line and comes out as matches.

decode -> pitch track -> contour -> windows -> vectors -> nearest windows -> votes -> shortlist -> scan -> align -> rank
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from melody.alignment import align, pooled, scan
from melody.audio import decode_clip
from melody.config import Config
from melody.contour import clip_windows, to_contour, trim
from melody.embedding import embed
from melody.index import Index, load_index
from melody.pitch import track_melody, track_voice
from melody.ranking import rank, shortlist, vote
from melody.types import Floats, Match, Mode, Place, Query


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """An index made ready for searching."""

    index: Index
    curves: Floats  # (t,) all contours at the scan's hop, one after another
    offsets: npt.NDArray[np.int64]  # (tracks + 1,) of each track in `curves`
    durations_s: Floats  # (tracks,)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Matches, the surest first, and what led to them."""

    query: Query
    matches: list[Match]
    votes: Floats  # (tracks,) of the first stage
    places: list[Place]  # the scanned tracks, best first
    timings_ms: dict[str, float]


def open_library(index_dir: Path, config: Config) -> Library:
    """Load the current index. Raises IndexMissing or IndexMismatch."""
    index = load_index(index_dir, config)
    frames = round(config.alignment.scan_hop_s / config.contour.hop_s)
    curves = [pooled(index.contour(track).semitones, frames) for track in range(len(index.tracks))]
    offsets = np.cumsum([0, *(len(curve) for curve in curves)], dtype=np.int64)
    durations_s = np.diff(offsets).astype(np.float32) * config.alignment.scan_hop_s
    return Library(index, np.concatenate([np.zeros(0, np.float32), *curves]), offsets, durations_s)


def search(path: Path, library: Library, config: Config, *, mode: Mode, top_k: int | None = None) -> Answer:
    """The tracks of the library whose melody resembles the clip's, at most `top_k`.

    Raises NotAudio, TooShort, NoMelody or FfmpegMissing.
    """
    clock = _Clock()
    waveform = decode_clip(path, config.audio)
    clock.lap("decode")
    pitch = (track_voice if mode is Mode.HUM else track_melody)(waveform, config.pitch)
    contour, starts_at_s = trim(to_contour(pitch, config.contour))
    clock.lap("pitch")
    windows = clip_windows(contour, config.windows)
    vectors = embed(windows, config.embedding)
    clock.lap("embed")
    neighbours = library.index.nearest(vectors, config.ranking.neighbours)
    votes = vote(windows, neighbours, len(library.durations_s), config.ranking)
    clock.lap("nearest")
    tracks = shortlist(votes, library.durations_s, config.ranking)
    places = scan(contour, library.curves, library.offsets, tracks, config.alignment)
    nearest = places[: config.ranking.align_tracks]
    alignments = [align(contour, library.index.contour(place.track), place, config.alignment) for place in nearest]
    clock.lap("align")
    matches = rank(contour, alignments, votes, mode, config.ranking)[:top_k]
    clock.lap("rank")
    query = Query(waveform.duration_s, pitch.voiced_s, waveform.truncated, contour, starts_at_s)
    return Answer(query, matches, votes, places, clock.timings_ms())


class _Clock:
    def __init__(self) -> None:
        self._laps: dict[str, float] = {}
        self._began = self._last = perf_counter()

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self._laps[stage] = (now - self._last) * 1000
        self._last = now

    def timings_ms(self) -> dict[str, float]:
        return {**self._laps, "total": (self._last - self._began) * 1000}
