"""Every tunable number of the engine, frozen. The engine reads no settings and no environment: it is handed a
`Config`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """Limits of decoding. Those of a clip are tight, since anyone may send one; those of a track hold long
    recordings."""

    rate_hz: int = 16_000
    clip_min_s: float = 5.0
    clip_max_s: float = 20.0
    clip_timeout_s: float = 15.0
    track_min_s: float = 3.0
    track_max_s: float = 4 * 3600.0
    track_timeout_s: float = 900.0


@dataclass(frozen=True, slots=True)
class PitchConfig:
    """Which tracker listens, and what it believes. Confidences are SwiftF0's own, 0 to 1."""

    tracker: Literal["swift", "pyin"] = "swift"
    min_hz: float = 46.875
    voice_confidence: float = 0.5
    mix_min_hz: float = 200.0
    mix_confidence: float = 0.3
    solo_confidence: float = 0.9
    solo_share: float = 0.65
    solo_step_semitones: float = 0.35
    whistle_band_hz: tuple[float, float] = (500.0, 4000.0)
    whistle_tonality: float = 0.6
    whistle_above_hz: float = 800.0
    whistle_gain: float = 1.5
    whistle_min_s: float = 1.0


@dataclass(frozen=True, slots=True)
class ContourConfig:
    hop_s: float = 0.05
    median_frames: int = 5
    min_voiced_s: float = 1.0


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """Windows of a track are `length_s` long; those of a clip as much of the tune at each tempo (track s per clip
    s)."""

    length_s: float = 4.0
    points: int = 20
    track_hop_s: float = 0.5
    clip_hop_s: float = 1.0
    tempos: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.12, 1.26, 1.42, 1.6)
    centre_shifts: tuple[float, ...] = (-1.0, 0.0, 1.0)
    min_filled: float = 0.6
    min_voiced: float = 0.4


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    name: str = "agreement-1"
    period_semitones: float = 24.0
    harmonics: int = 8
    width_semitones: float = 1.0
    octave_weight: float = 0.5


@dataclass(frozen=True, slots=True)
class IndexConfig:
    keep_versions_s: float = 3600.0  # how long a version that was replaced can still be read
    export_up_to_tracks: int = 2000  # beyond, meta.json and its files are written only when asked for
    threads: int = 1  # of one search


@dataclass(frozen=True, slots=True)
class AlignmentConfig:
    """Costs in semitones. The scan looks at whole tracks in every key; the alignment looks closer where it points."""

    limit: float = 3.0
    scan_hop_s: float = 0.2
    scan_key_step: float = 0.5
    scan_penalty: float = 0.6
    hop_s: float = 0.1
    penalty: float = 1.0
    octave_cost: float = 1.0
    tempos: tuple[float, ...] = (0.71, 0.84, 1.0, 1.19, 1.41)
    tempo_cost: float = 0.15
    key_shifts: tuple[float, ...] = (-0.5, -0.25, 0.0, 0.25, 0.5)
    margin_s: float = 2.0


@dataclass(frozen=True, slots=True)
class RankingConfig:
    """From neighbours to matches. `very_close`, `similar` and `loose` are the least per cent of each bucket."""

    neighbours: int = 1000  # of each window
    bin_s: float = 0.5
    scan_budget_s: float = 30_000.0  # of music, the tracks with most votes first
    align_tracks: int = 100
    confidence: str = "confidence-1"
    crowd_skip: int = 10
    crowd_tracks: int = 90
    crowd_prior: float = 1.0
    crowd_prior_tracks: int = 10
    very_close: int = 85
    similar: int = 70
    loose: int = 55


@dataclass(frozen=True, slots=True)
class Config:
    """All of it, as stages receive it."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    pitch: PitchConfig = field(default_factory=PitchConfig)
    contour: ContourConfig = field(default_factory=ContourConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
