"""Scan and alignment: a piece of a known tune is found where it was cut, in its key and at its tempo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from melody import alignment
from melody.alignment import align, pooled, scan, stretched
from melody.config import AlignmentConfig
from melody.types import Alignment, Contour, Floats, Place
from tests.melody.makers import HOP_S, contour_of, random_tune

CONFIG = AlignmentConfig()
LIMIT, OCTAVE = np.float32(CONFIG.limit), np.float32(CONFIG.octave_cost)
Ints = npt.NDArray[np.int32]
Kernel = Callable[..., Any]


def cut(track: Contour, start_s: float, end_s: float, *, semitones: float = 0.0, tempo: float = 1.0) -> Contour:
    """The track from one second to another, so many semitones higher and played so much faster."""
    count = round((end_s - start_s) / tempo / HOP_S)
    at = ((start_s + (np.arange(count) + 0.5) * HOP_S * tempo) / HOP_S).astype(np.int64)
    return Contour(track.semitones[at] + np.float32(semitones), track.voiced[at], HOP_S)


def scanned(clip: Contour, tracks: list[Contour]) -> list[Place]:
    curves = [pooled(track.semitones, round(CONFIG.scan_hop_s / HOP_S)) for track in tracks]
    offsets = np.cumsum([0, *map(len, curves)], dtype=np.int64)
    return scan(clip, np.concatenate(curves), offsets, np.arange(len(tracks), dtype=np.int32), CONFIG)


def aligned(clip: Contour, track: Contour) -> Alignment:
    (place,) = scanned(clip, [track])
    return align(clip, track, place, CONFIG)


def track_of(seed: int, seconds: float = 40.0) -> Contour:
    return contour_of(random_tune(seed, seconds))


def test_it_works() -> None:
    track = track_of(1)
    found = aligned(cut(track, 10.0, 20.0, semitones=3), track)
    assert found.distance == pytest.approx(0, abs=0.01)
    assert found.start_s == pytest.approx(10.0, abs=0.15)
    assert found.end_s == pytest.approx(20.0, abs=0.15)
    assert found.transpose_semitones == pytest.approx(3, abs=0.01)
    assert found.tempo_ratio == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("semitones", [-24, -12, -7, -5.3, -0.4, 0.5, 2.7, 6, 11, 12, 19])
def test_the_transposition_is_found(semitones: float) -> None:
    track = track_of(2)
    found = aligned(cut(track, 5.0, 15.0, semitones=semitones), track)
    assert found.transpose_semitones == pytest.approx(semitones, abs=0.01)
    assert found.distance < 0.3
    assert found.start_s == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("tempo", [0.7, 0.8, 0.9, 1.1, 1.25, 1.4])
@pytest.mark.parametrize("seed", [3, 4])
def test_the_tempo_is_found(tempo: float, seed: int) -> None:
    track = track_of(seed)
    found = aligned(cut(track, 12.0, 12.0 + 10 * tempo, semitones=-2, tempo=tempo), track)
    assert found.tempo_ratio == pytest.approx(tempo, rel=0.07)
    assert found.start_s == pytest.approx(12.0, abs=0.5)
    assert found.end_s == pytest.approx(12.0 + 10 * tempo, abs=0.5)
    assert found.transpose_semitones == pytest.approx(-2, abs=0.1)


def test_the_right_track_of_fifty_comes_first_however_it_was_moved() -> None:
    tracks = [track_of(seed) for seed in range(100, 150)]
    for number, semitones, tempo in ((0, 5, 1.0), (20, -8.25, 0.75), (49, 12.5, 1.35)):
        clip = cut(tracks[number], 8.0, 8.0 + 9 * tempo, semitones=semitones, tempo=tempo)
        places = scanned(clip, tracks)
        assert places[0].track == number
        assert places[0].end_s == pytest.approx(8.0 + 9 * tempo, abs=0.6)
        assert places[0].distance < 0.7 * places[1].distance
        assert [place.distance for place in places] == sorted(place.distance for place in places)


def test_noise_in_the_pitch_and_a_wrong_note_move_nothing() -> None:
    track = track_of(5)
    clip = cut(track, 10.0, 20.0, semitones=4)
    semitones = clip.semitones + np.random.default_rng(0).normal(0, 0.3, len(clip.semitones)).astype(np.float32)
    semitones[60:70] += 5
    found = aligned(replace(clip, semitones=semitones), track)
    assert found.start_s == pytest.approx(10.0, abs=0.4)
    assert found.transpose_semitones == pytest.approx(4, abs=0.2)
    assert 0 < found.distance < 0.6


def test_an_octave_slip_costs_less_than_a_wrong_note() -> None:
    track = track_of(6)
    clip = cut(track, 10.0, 20.0)
    slip, wrong = clip.semitones.copy(), clip.semitones.copy()
    slip[80:110] += 12
    wrong[80:110] += 6
    by_slip, by_wrong = (aligned(replace(clip, semitones=each), track).distance for each in (slip, wrong))
    assert 0 < by_slip < by_wrong
    assert by_slip <= CONFIG.octave_cost * 30 / 200 + 0.05


def test_the_path_goes_forward_and_leaves_no_stretch_of_the_clip_out() -> None:
    track = track_of(7)
    clip = cut(track, 6.0, 20.0, tempo=1.2)
    found = aligned(clip, track)
    assert len(found.clip_frames) == len(found.track_frames)
    assert (np.diff(found.clip_frames) >= 0).all()
    assert (np.diff(found.track_frames) >= 0).all()
    pool = round(CONFIG.hop_s / HOP_S)
    assert np.diff(found.clip_frames).max() <= 2 * pool
    assert found.clip_frames[0] <= pool
    assert found.clip_frames[-1] >= len(clip.semitones) - 2 * pool
    assert found.track_frames[-1] < len(track.semitones)


@pytest.mark.parametrize("seconds", [1.0, 3.0, 5.0, 6.6, 7.4, 8.0, 8.6, 9.8, 10.2, 10.6, 12.0, 16.0])
def test_a_clip_longer_than_the_track_fits_only_if_less_than_twice_as_long(seconds: float) -> None:
    track, clip = track_of(8, 30.0), track_of(9, 17.0)
    track = cut(track, 0.0, seconds)
    places = scanned(clip, [track])
    assert len(places) == (2 * track.duration_s > clip.duration_s)
    for place in places:
        found = align(clip, track, place, CONFIG)
        assert 0 <= found.start_s < found.end_s <= track.duration_s + 1e-6
        assert found.distance <= CONFIG.limit + CONFIG.penalty + CONFIG.tempo_cost
        assert np.isfinite([place.distance, found.tempo_ratio, found.transpose_semitones]).all()


def test_tracks_too_short_for_the_clip_do_not_hide_the_others() -> None:
    track = track_of(10)
    tiny = cut(track, 0.0, 1.0)
    places = scanned(cut(track, 10.0, 20.0), [tiny, track, tiny])
    assert [place.track for place in places] == [1]


def test_a_tiny_track_and_a_tiny_clip_align() -> None:
    track = track_of(11)
    piece = cut(track, 3.0, 4.0)
    found = aligned(piece, piece)
    assert found.distance == pytest.approx(0, abs=0.01)
    assert found.end_s <= piece.duration_s


def test_a_clip_at_either_end_of_the_track_is_found() -> None:
    track = track_of(12)
    for start_s in (0.0, track.duration_s - 8.0):
        found = aligned(cut(track, start_s, start_s + 8.0, semitones=1), track)
        assert found.start_s == pytest.approx(start_s, abs=0.3)
        assert found.end_s == pytest.approx(start_s + 8.0, abs=0.3)


def test_a_curve_is_pooled_by_medians() -> None:
    assert pooled(np.array([1, 2, 9, 4, 5, 6, 7], np.float32), 3).tolist() == [2, 5]
    assert pooled(np.array([1, 5], np.float32), 3).tolist() == [3]
    assert stretched(np.array([1, 2], np.float32), 2.0, 1).tolist() == [1, 1, 2, 2]


def frame_cost(clip: float, track: float) -> float:
    apart = abs(clip - track)
    folded = abs(apart - 12 * round(apart / 12))
    return min(apart, folded + CONFIG.octave_cost, CONFIG.limit)


def cheapest_by_hand(clip: Floats, track: Floats, penalty: float) -> tuple[float, int]:
    """Total cost of the best path and where it ends, cell by cell, as the module's text tells it."""
    total = np.full((len(clip), len(track)), np.inf)
    costs = np.array([[frame_cost(float(c), float(t)) for t in track] for c in clip])
    total[0] = costs[0]
    for i in range(1, len(clip)):
        for j in range(1, len(track)):
            ways = [total[i - 1, j - 1]]
            if j > 1:
                ways.append(total[i - 1, j - 2] + penalty)
            if i > 1:
                ways.append(total[i - 2, j - 1] + costs[i - 1, j] + penalty)
            total[i, j] = min(ways) + costs[i, j]
    return float(total[-1].min()), int(total[-1].argmin())


def curves(seed: int) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(seed)
    clip, track = (draw.normal(60, 5, count).astype(np.float32) for count in (8, 15))
    return clip, track


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_finds_what_a_plain_table_does(seed: int, compiled: bool) -> None:
    clip, track = curves(seed)
    kernel: Kernel = alignment._cheapest if compiled else alignment._cheapest.py_func
    keys = np.array([0, 3.5], np.float32)
    mean, key, end = kernel(clip, track, keys, LIMIT, OCTAVE, np.float32(CONFIG.penalty))
    by_hand = [cheapest_by_hand(clip - shift, track, CONFIG.penalty) for shift in keys]
    best = int(np.argmin([cost for cost, _ in by_hand]))
    assert mean * len(clip) == pytest.approx(by_hand[best][0], abs=1e-3)
    assert (key, end) == (best, by_hand[best][1])


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_path_costs_what_the_kernel_says(seed: int, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, track = curves(seed)
    if not compiled:
        # Plain Python all the way down, so that its lines can be counted.
        for name in ("_frame_costs", "_walk_back"):
            monkeypatch.setattr(alignment, name, getattr(alignment, name).py_func)
    kernel: Kernel = alignment._trace if compiled else alignment._trace.py_func
    path: Ints = kernel(clip, track, LIMIT, OCTAVE, np.float32(CONFIG.penalty))
    steps = np.diff(path, axis=0)
    assert path[0, 0] == 0
    assert path[-1, 0] == len(clip) - 1
    # A step of two clip frames passes through the one between, at the same frame of the track.
    stayed = steps[:, 1] == 0
    off_diagonal = int((steps[:, 1] == 2).sum() + stayed.sum())
    cost = sum(frame_cost(float(clip[i]), float(track[j])) for i, j in path) + CONFIG.penalty * off_diagonal
    assert cost == pytest.approx(cheapest_by_hand(clip, track, CONFIG.penalty)[0], abs=1e-3)


def test_the_scan_in_plain_python_is_the_compiled_one() -> None:
    clip, track = curves(9)
    offsets, tracks = np.array([0, len(track)], np.int64), np.zeros(1, np.int32)
    keys = np.arange(0, 12, 0.5, dtype=np.float32)
    fast, plain = np.empty((1, 3), np.float32), np.empty((1, 3), np.float32)
    kernels: list[Kernel] = [alignment._scan, alignment._scan.py_func]
    for kernel, found in zip(kernels, (fast, plain), strict=True):
        kernel(clip, track, offsets, tracks, keys, LIMIT, np.float32(CONFIG.scan_penalty), found)
    assert fast == pytest.approx(plain, abs=1e-4)


def test_the_same_clip_gets_the_same_answer() -> None:
    track = track_of(13)
    clip = cut(track, 4.0, 12.0)
    once, again = aligned(clip, track), aligned(clip, track)
    assert once.distance == again.distance
    assert np.array_equal(once.track_frames, again.track_frames)
