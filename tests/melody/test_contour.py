"""Contours and windows: the tune as a curve, the same in every key, with rests held and slips removed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from melody.config import ContourConfig, WindowConfig
from melody.contour import clip_windows, resampled, to_contour, track_windows, trim
from melody.errors import NoMelody
from melody.types import Contour, Floats, PitchTrack
from tests.melody.makers import HOP_S, contour_of, faster, moved, random_tune

CONFIG = ContourConfig()
WINDOWS = WindowConfig()
PITCH_HOP_S = 0.016


def heard(*parts: tuple[float, float]) -> PitchTrack:
    """A pitch track of (MIDI pitch, seconds); pitch 0 is silence."""
    pitches = np.concatenate([np.full(round(seconds / PITCH_HOP_S), pitch) for pitch, seconds in parts])
    hz = np.where(pitches > 0, 440 * 2 ** ((pitches - 69) / 12), 0).astype(np.float32)
    return PitchTrack(hz, (hz > 0).astype(np.float32), PITCH_HOP_S)


def held(*parts: tuple[float, float, bool]) -> Contour:
    """A contour of (pitch, seconds, voiced)."""
    counts = [round(seconds / HOP_S) for _, seconds, _ in parts]
    semitones = np.repeat(np.array([pitch for pitch, _, _ in parts], dtype=np.float32), counts)
    return Contour(semitones, np.repeat([voiced for _, _, voiced in parts], counts), HOP_S)


def test_it_works() -> None:
    contour = to_contour(heard((60, 1.0), (64, 1.0), (67, 1.0)), CONFIG)
    assert contour.hop_s == CONFIG.hop_s
    assert contour.duration_s == pytest.approx(3.0, abs=0.06)
    at = [round(time_s / CONFIG.hop_s) for time_s in (0.5, 1.5, 2.5)]
    assert contour.semitones[at] == pytest.approx([60, 64, 67], abs=0.01)
    assert contour.voiced.all()


def test_a_rest_holds_the_note_before_it_and_is_marked() -> None:
    contour = to_contour(heard((60, 1.0), (0, 1.0), (64, 1.0)), CONFIG)
    rest = slice(22, 38)
    assert contour.semitones[rest] == pytest.approx(60, abs=0.01)
    assert not contour.voiced[rest].any()
    assert contour.voiced[:19].all()
    assert contour.voiced[42:].all()


def test_a_rest_at_the_start_takes_the_first_note() -> None:
    contour = to_contour(heard((0, 1.0), (62, 2.0)), CONFIG)
    assert contour.semitones == pytest.approx(62, abs=0.01)
    assert not contour.voiced[:19].any()


def test_a_slip_of_a_frame_or_two_is_removed() -> None:
    pitch = heard((60, 3.0))
    hz = pitch.hz.copy()
    hz[50:52] *= 2
    hz[100] /= 2
    assert to_contour(replace(pitch, hz=hz), CONFIG).semitones == pytest.approx(60, abs=0.01)


def test_less_than_a_second_of_voice_is_no_melody() -> None:
    with pytest.raises(NoMelody, match=r"0\.9 s"):
        to_contour(heard((60, 0.9), (0, 5.0)), CONFIG)
    to_contour(heard((60, 1.1), (0, 5.0)), CONFIG)


def test_scattered_moments_are_no_melody() -> None:
    hz = np.where(np.arange(1250) % 6 == 0, 440, 0).astype(np.float32)
    contour = to_contour(PitchTrack(hz, np.ones_like(hz), PITCH_HOP_S), CONFIG)
    with pytest.raises(NoMelody):
        trim(contour)


def test_trim_takes_the_rests_off_both_ends_and_says_how_much() -> None:
    contour = held((60, 1.0, False), (60, 2.0, True), (60, 0.5, False), (64, 1.0, True), (64, 2.0, False))
    kept, cut_s = trim(contour)
    assert cut_s == pytest.approx(1.0)
    assert kept.duration_s == pytest.approx(3.5)
    assert kept.voiced[0]
    assert kept.voiced[-1]
    assert not kept.voiced[45]


def test_a_resampled_contour_lasts_as_long_and_keeps_its_notes() -> None:
    contour = held((60, 1.0, True), (62, 1.0, False), (64, 1.0, True))
    slower = resampled(contour, 0.1)
    assert slower.hop_s == 0.1
    assert len(slower.semitones) == 30
    assert slower.semitones.tolist() == [60] * 10 + [62] * 10 + [64] * 10
    assert slower.voiced.tolist() == [True] * 10 + [False] * 10 + [True] * 10
    assert len(resampled(held((60, 0.05, True)), 0.2).semitones) == 1


def test_windows_are_the_same_in_every_key() -> None:
    tune = random_tune(1)
    low, high = (track_windows(contour_of(moved(tune, by)), WINDOWS) for by in (0, 7))
    assert np.allclose(low.semitones, high.semitones)
    low, high = (clip_windows(contour_of(moved(tune, by)), WINDOWS) for by in (0, -13))
    assert np.allclose(low.semitones, high.semitones)


def test_a_tracks_windows_start_every_half_second_until_the_last_is_mostly_past_the_end() -> None:
    windows = track_windows(held((60, 10.0, True)), WINDOWS)
    last_s = 10.0 - WINDOWS.length_s * WINDOWS.min_filled
    assert windows.start_s == pytest.approx(np.arange(0, last_s + 1e-6, 0.5))
    assert windows.semitones.shape == (len(windows.start_s), WINDOWS.points)
    assert (windows.tempo == 1).all()


def test_a_window_holds_what_the_contour_has_there() -> None:
    windows = track_windows(held((60, 5.0, True), (67, 5.0, True)), WINDOWS)
    (at_3_s,) = windows.semitones[windows.start_s == 3.0]
    # Its median lies between the two halves.
    assert at_3_s == pytest.approx(np.repeat([-3.5, 3.5], WINDOWS.points // 2))


def test_windows_that_are_mostly_rest_are_left_out() -> None:
    windows = track_windows(held((60, 5.0, True), (60, 10.0, False), (64, 5.0, True)), WINDOWS)
    assert 2.0 in windows.start_s
    assert 17.0 in windows.start_s
    assert not ((windows.start_s > 3.5) & (windows.start_s < 12.0)).any()
    assert not len(track_windows(held((60, 10.0, False)), WINDOWS).start_s)


def test_a_track_shorter_than_a_window_has_one() -> None:
    assert track_windows(held((60, 1.0, True)), WINDOWS).start_s.tolist() == [0.0]


def near(windows: Floats, others: Floats) -> float:
    """The share of points, of windows paired by row, that lie within a quarter of a semitone."""
    return float((np.abs(windows - others) < 0.25).mean())


@pytest.mark.parametrize("tempo", WINDOWS.tempos)
def test_a_clips_windows_at_a_tempo_are_those_of_the_track_that_it_is_so_much_faster_than(tempo: float) -> None:
    tune = random_tune(3)
    clip = clip_windows(contour_of(faster(tune, tempo)), WINDOWS)
    at_tempo = clip.tempo == np.float32(tempo)
    # Of the three centres the middle one.
    count = int(at_tempo.sum()) // 3
    windows, starts = clip.semitones[at_tempo][count : 2 * count], clip.start_s[at_tempo][count : 2 * count]
    exact = replace(WINDOWS, track_hop_s=tempo * WINDOWS.clip_hop_s, min_filled=1.0)
    track = track_windows(contour_of(tune), exact)
    rows = min(len(windows), len(track.start_s)) - 1
    assert rows >= 5
    assert track.start_s[:rows] == pytest.approx(starts[:rows] * tempo, abs=1e-4)
    # A note may begin a frame later, and a median between two notes may fall on either.
    assert near(windows[:rows], track.semitones[:rows]) > 0.8


def test_a_clips_windows_come_with_their_centre_moved_either_way() -> None:
    windows = clip_windows(contour_of(random_tune(4)), replace(WINDOWS, tempos=(1.0,)))
    lower, middle, upper = np.split(windows.semitones, 3)
    assert np.allclose(np.median(middle, axis=1), 0)
    assert np.allclose(lower, middle - 1)
    assert np.allclose(upper, middle + 1)
    assert len(np.unique(windows.start_s)) == len(middle)


def test_a_short_clip_has_windows_only_at_tempos_whose_windows_it_fills() -> None:
    windows = clip_windows(held((60, 2.5, True)), WINDOWS)
    fits = [tempo for tempo in WINDOWS.tempos if WINDOWS.length_s / tempo <= 2.5 / WINDOWS.min_filled]
    assert np.unique(windows.tempo) == pytest.approx(fits)
    assert (windows.start_s == 0).any()


def test_a_clip_too_short_for_any_window_is_no_melody() -> None:
    with pytest.raises(NoMelody):
        clip_windows(held((60, 1.2, True)), WINDOWS)
