"""Vectors: their inner product tells how much of two windows agrees."""

from __future__ import annotations

import numpy as np
import pytest

from melody.config import EmbeddingConfig, WindowConfig
from melody.contour import track_windows
from melody.embedding import dimension, embed
from melody.types import Floats, Windows
from tests.melody.makers import contour_of, moved, random_tune

CONFIG = EmbeddingConfig()
POINTS = WindowConfig().points


def as_windows(semitones: Floats) -> Windows:
    count = len(semitones)
    return Windows(semitones.astype(np.float32), np.zeros(count, np.float32), np.ones(count, np.float32))


def some_windows(count: int = 8, seed: int = 0) -> Floats:
    steps = np.random.default_rng(seed).integers(-4, 5, (count, POINTS)).cumsum(axis=1)
    return np.asarray(np.clip(steps - np.median(steps, axis=1, keepdims=True), -10, 10), dtype=np.float32)


def agreement(one: Floats, other: Floats) -> Floats:
    """Inner products (n,) of windows (n, p) paired by row."""
    return np.asarray((embed(as_windows(one), CONFIG) * embed(as_windows(other), CONFIG)).sum(axis=1))


def test_it_works() -> None:
    windows = some_windows()
    vectors = embed(as_windows(windows), CONFIG)
    assert vectors.shape == (8, dimension(POINTS, CONFIG))
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    products = vectors @ vectors.T
    assert np.diag(products) == pytest.approx(1, abs=1e-5)
    assert (products.argmax(axis=1) == np.arange(8)).all()


def test_the_farther_two_windows_lie_apart_the_less_they_agree() -> None:
    windows = some_windows()
    by = [agreement(windows, windows + np.float32(apart)).mean() for apart in (0, 0.25, 0.5, 1, 2, 3)]
    assert by == sorted(by, reverse=True)
    assert by[1] > 0.95
    assert 0.5 < by[3] < 0.9
    assert by[5] < 0.3


def test_an_octaves_error_counts_about_half() -> None:
    windows = some_windows()
    wrong = windows.copy()
    wrong[:, : POINTS // 2] += 12
    octave = agreement(windows, wrong)
    wrong[:, : POINTS // 2] -= 6
    tritone = agreement(windows, wrong)
    # Half of the points differ: as much as they can, or about half as much.
    assert octave.mean() - tritone.mean() == pytest.approx((1 - tritone.mean()) / 2, abs=0.15)


def test_a_wrong_note_costs_no_more_when_it_is_farther_off() -> None:
    windows = some_windows()

    def with_wrong_note(semitones: float) -> float:
        wrong = windows.copy()
        wrong[:, 5:9] += np.float32(semitones)
        return float(agreement(windows, wrong).mean())

    share_right = 1 - 4 / POINTS
    for semitones in (4, 5, 7, 9):
        assert with_wrong_note(semitones) == pytest.approx(share_right, abs=0.06)
    assert with_wrong_note(0.5) > 0.95


def test_the_same_tune_in_another_key_has_the_same_vectors() -> None:
    tune = random_tune(5)
    here, there = (track_windows(contour_of(moved(tune, by)), WindowConfig()) for by in (0, 6))
    assert np.allclose(embed(here, CONFIG), embed(there, CONFIG), atol=1e-5)


def test_unrelated_windows_agree_little() -> None:
    assert agreement(some_windows(200, seed=1), some_windows(200, seed=2)).mean() < 0.4


def test_no_windows_give_no_vectors() -> None:
    assert embed(as_windows(np.zeros((0, POINTS), np.float32)), CONFIG).shape == (0, dimension(POINTS, CONFIG))


def test_more_windows_than_a_batch_come_out_in_order_and_each_time_the_same() -> None:
    many = some_windows(5000)
    vectors = embed(as_windows(many), CONFIG)
    assert np.array_equal(vectors, embed(as_windows(many), CONFIG))
    assert np.allclose(vectors[4500:4510], embed(as_windows(many[4500:4510]), CONFIG), atol=1e-6)
