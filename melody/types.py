"""The values that travel between stages. Shapes, units and what 0 means stand here, once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class Mode(StrEnum):
    """What a clip is: one voice humming, singing or whistling, or a piece of a mixed recording."""

    HUM = "hum"
    SONG_CLIP = "song_clip"


@dataclass(frozen=True, slots=True)
class Waveform:
    """Mono audio."""

    samples: Floats  # (n,) -1..1
    rate_hz: int
    truncated: bool = False  # the file went on after the last sample

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True, slots=True)
class PitchTrack:
    """The fundamental frequency of one line over time."""

    hz: Floats  # (t,) 0 where unvoiced
    confidence: Floats  # (t,) 0..1, that a pitch is there
    hop_s: float

    @property
    def voiced_s(self) -> float:
        return float(np.count_nonzero(self.hz)) * self.hop_s


@dataclass(frozen=True, slots=True)
class Contour:
    """The tune as a curve. Key-free by centring: whoever compares two contours first moves each to its own median."""

    semitones: Floats  # (t,) MIDI pitch (69 = 440 Hz); a rest holds the note before it
    voiced: Bools  # (t,) False where the value is held over a rest
    hop_s: float

    @property
    def duration_s(self) -> float:
        return len(self.semitones) * self.hop_s


@dataclass(frozen=True, slots=True)
class Windows:
    """Pieces of a contour, each resampled to the same number of points and moved to its own median."""

    semitones: Floats  # (n, p) about each window's median
    start_s: Floats  # (n,) in the contour's own time
    tempo: Floats  # (n,) track seconds that one second of this contour stands for; 1 for windows of a track


@dataclass(frozen=True, slots=True)
class TrackFeatures:
    """All that the engine keeps of one track; made once per content and kept by its hash."""

    contour: Contour
    start_s: Floats  # (n,) of each window
    vectors: npt.NDArray[np.float16]  # (n, d), of length about 1
    duration_s: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the vector index answers for q vectors, k each, best first; `track` is -1 where it had fewer than k."""

    score: Floats  # (q, k) inner products
    track: npt.NDArray[np.int32]  # (q, k) number of the track in the index
    start_s: Floats  # (q, k) of the window in the track


@dataclass(frozen=True, slots=True)
class Place:
    """Where the scan found the clip's best fit in a track."""

    track: int  # number in the index
    distance: float  # mean cost of a clip's frame, semitones
    end_s: float  # in the track
    transpose_semitones: float  # the clip's pitch minus the track's, modulo the octave


@dataclass(frozen=True, slots=True)
class Alignment:
    """The best path of a whole clip through one track."""

    track: int
    start_s: float
    end_s: float
    transpose_semitones: float  # the clip's pitch minus the track's along the path
    tempo_ratio: float  # above 1: the clip is faster than the track
    distance: float  # mean cost of a clip's frame along the path, semitones
    clip_frames: npt.NDArray[np.int32]  # (m,) the path, in frames of the clip's contour
    track_frames: npt.NDArray[np.int32]  # (m,) and of the track's


class MatchType(StrEnum):
    """How much two melodies resemble each other, in words; `MAYBE` is not shown unless asked for."""

    VERY_CLOSE = "very_close"
    SIMILAR = "similar"
    LOOSE = "loose"
    MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class Match:
    """What the engine answers of one track: one place in it, and how sure it is that this is the clip's tune."""

    track: int
    confidence: float  # 0..1, calibrated: of the matches at 0.9, about nine in ten are right
    match_type: MatchType
    alignment: Alignment
    vote: float  # the first stage's score


@dataclass(frozen=True, slots=True)
class Query:
    """What was heard in the clip."""

    duration_s: float
    voiced_s: float
    truncated: bool
    contour: Contour  # without the rests at both ends
    starts_at_s: float  # of the contour in the clip
