"""Simulated clips: parts of a tune, sung or played, as long as asked for and the same for one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from melody.config import Config
from melody.contour import to_contour
from melody.pitch import track_melody
from melody.training.clips import ClipConfig, played, sung
from melody.training.rendering import RELEASE_S
from melody.training.score import Note
from melody.types import Floats, Waveform
from tests.melody.makers import random_tune

CONFIG = ClipConfig()
Maker = Callable[[Sequence[Note], np.random.Generator, ClipConfig], tuple[Floats, int]]


@pytest.mark.parametrize("make", [sung, played])
@pytest.mark.parametrize("seed", range(4))
def test_it_works(make: Maker, seed: int) -> None:
    samples, rate_hz = make(random_tune(seed, 30), np.random.default_rng(seed), CONFIG)
    shortest, longest = CONFIG.seconds
    assert shortest - 0.5 <= len(samples) / rate_hz <= longest + RELEASE_S + 0.5
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() > 0.01
    at = np.arange(int(len(samples) / rate_hz * 16_000)) / 16_000
    waveform = Waveform(np.interp(at, np.arange(len(samples)) / rate_hz, samples).astype(np.float32), 16_000)
    assert to_contour(track_melody(waveform, Config().pitch), Config().contour).voiced.any()


@pytest.mark.parametrize("make", [sung, played])
def test_one_seed_makes_one_clip(make: Maker) -> None:
    tune = random_tune(9, 30)
    once, again = (make(tune, np.random.default_rng(5), CONFIG)[0] for _ in range(2))
    assert np.array_equal(once, again)
    other = make(tune, np.random.default_rng(6), CONFIG)[0]
    assert len(other) != len(once) or not np.array_equal(other, once)


@pytest.mark.parametrize("make", [sung, played])
def test_a_tune_shorter_than_a_clip_is_taken_from_its_start(make: Maker) -> None:
    samples, rate_hz = make(random_tune(1, 4), np.random.default_rng(0), CONFIG)
    assert len(samples) / rate_hz > 2
