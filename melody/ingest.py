"""FLOW: one track of the library -> all that the engine keeps of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from melody.audio import track_blocks
from melody.config import Config
from melody.contour import to_contour, track_windows
from melody.embedding import embed
from melody.pitch import track_melody
from melody.types import PitchTrack, TrackFeatures

# Whole numbers of the tracker's 16 ms, so that the kept frames of all blocks are those of one long track.
BLOCK_S = 60.0
OVERLAP_S = 1.6


def ingest(path: Path, config: Config) -> TrackFeatures:
    """Listen to one track. Raises NotAudio, TooShort, NoMelody, FfmpegMissing."""
    pitch, duration_s = pitch_of_track(path, config)
    contour = to_contour(pitch, config.contour)
    windows = track_windows(contour, config.windows)
    vectors = embed(windows, config.embedding)
    return TrackFeatures(contour, windows.start_s, vectors.astype(np.float16), duration_s)


def pitch_of_track(path: Path, config: Config) -> tuple[PitchTrack, float]:
    """The melody line of a whole track, a minute at a time, and the track's seconds.

    Raises NotAudio, TooShort, FfmpegMissing.
    """
    pieces: list[PitchTrack] = []
    duration_s = 0.0
    with closing(track_blocks(path, config.audio, block_s=BLOCK_S, overlap_s=OVERLAP_S)) as blocks:
        for block in blocks:
            heard = track_melody(block.waveform, config.pitch)
            keep = block.keep_frames(heard.hop_s)
            pieces.append(PitchTrack(heard.hz[keep], heard.confidence[keep], heard.hop_s))
            duration_s += block.keep_to_s - block.keep_from_s
    hz = np.concatenate([piece.hz for piece in pieces])
    confidence = np.concatenate([piece.confidence for piece in pieces])
    return PitchTrack(hz, confidence, pieces[0].hop_s), duration_s
