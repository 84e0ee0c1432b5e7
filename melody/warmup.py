"""One whole search on a tune made up for it, so that the first person does not pay for loading and compiling."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import soundfile

from melody.config import Config
from melody.search import Library, search
from melody.types import Mode

_SCALE_HZ = (262, 294, 330, 349, 392, 440, 494, 523)


def warm_up(library: Library, config: Config) -> None:
    """Search for six seconds of a scale, in both modes, and forget the answers."""
    rate_hz = config.audio.rate_hz
    seconds = config.audio.clip_min_s + 1
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    note = (time_s / seconds * len(_SCALE_HZ)).astype(np.int64)
    tune = 0.3 * np.sin(2 * np.pi * np.cumsum(np.array(_SCALE_HZ)[note]) / rate_hz)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "scale.wav"
        soundfile.write(clip, tune, rate_hz)
        for mode in Mode:
            search(clip, library, config, mode=mode)
