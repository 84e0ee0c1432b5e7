"""Every tunable number of the engine, frozen. The engine reads no settings and no environment: it is handed a `Config`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """Limits of decoding. Those of a clip are tight, since anyone may send one; those of a track hold long recordings."""

    rate_hz: int = 16_000
    clip_min_s: float = 5.0
    clip_max_s: float = 20.0
    clip_timeout_s: float = 15.0
    track_min_s: float = 3.0
    track_max_s: float = 4 * 3600.0
    track_timeout_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Config:
    """All of it, as stages receive it."""

    audio: AudioConfig = field(default_factory=AudioConfig)
