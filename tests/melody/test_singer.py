"""The simulated singer: what it says it sang is what it was asked to sing, and what it sounds like."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from swift_f0 import SwiftF0

from melody.training.score import Note
from melody.training.singer import (
    BRIDGED_REST_S,
    VOWELS,
    Performance,
    Singer,
    Voice,
    draw_singer,
    perform,
    synthesize,
    telephone,
)
from melody.types import Bools, Floats

RATE_HZ = 16_000
PITCHES = (60, 62, 64, 60, 64, 65, 67, 67, 69, 67, 65, 64, 60)
TUNE = [Note(0.5 * k, 0.5 * k + 0.5, pitch) for k, pitch in enumerate(PITCHES)]
LONG_NOTES = [Note(2.0 * k, 2.0 * k + 1.5, pitch) for k, pitch in enumerate((60, 67, 62, 65))]


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sung_pitch(take: Performance) -> Floats:
    """MIDI pitch of the voiced frames."""
    return np.asarray(69 + 12 * np.log2(take.hz[take.hz > 0] / 440.0), dtype=np.float32)


def written_pitch(take: Performance, notes: list[Note]) -> Floats:
    """MIDI pitch that the score gives the voiced frames."""
    return np.asarray([notes[k].pitch for k in take.note[take.hz > 0]], dtype=np.float32)


def heard_right(take: Performance, audio: Floats) -> Bools:
    """For each frame of SwiftF0 that is voiced in truth: is it heard, within 50 cents?"""
    heard = SwiftF0(threads=1, spin=False).detect(audio, RATE_HZ)
    frame = np.minimum(np.round(heard.timestamps / take.hop_s).astype(int), len(take.hz) - 1)
    voiced = take.hz[frame] > 0
    cents = 1200 * np.log2(heard.pitch_hz[voiced] / take.hz[frame][voiced])
    return np.asarray((np.abs(cents) < 50) & (heard.confidence[voiced] >= 0.5), dtype=np.bool_)


@pytest.mark.parametrize("voice", [Voice.HUM, Voice.LA])
def test_it_works(voice: Voice) -> None:
    singer = Singer(voice=voice, register=55.0, glide_s=0.05, breath=0.02)
    take = perform(TUNE, singer, seeded())
    audio = synthesize(take, singer, seeded(1))
    assert audio.dtype == np.float32
    assert len(audio) == RATE_HZ * 6.5
    assert 0.1 < np.abs(audio).max() <= 0.5
    assert heard_right(take, audio).mean() >= 0.95


def test_a_neutral_singer_sings_the_score_as_written() -> None:
    take = perform(TUNE, Singer(), seeded())
    assert take.duration_s == pytest.approx(6.5)
    np.testing.assert_allclose(sung_pitch(take), np.repeat(PITCHES, 50), atol=1e-3)
    np.testing.assert_array_equal(take.note, np.repeat(np.arange(13), 50))
    np.testing.assert_allclose(take.score_time_s, np.arange(650) * 0.01, atol=1e-4)


def test_the_truth_is_transposed_as_asked() -> None:
    take = perform(TUNE, Singer(transpose_semitones=-4.3), seeded())
    np.testing.assert_allclose(sung_pitch(take), written_pitch(take, TUNE) - 4.3, atol=1e-3)


def test_a_register_moves_the_take_by_whole_octaves() -> None:
    take = perform(TUNE, Singer(register=40.0, transpose_semitones=1.0), seeded())
    np.testing.assert_allclose(sung_pitch(take), written_pitch(take, TUNE) + 1.0 - 24.0, atol=1e-3)


def test_a_tempo_of_1_4_shortens_the_take_by_1_4() -> None:
    take = perform(TUNE, Singer(tempo=1.4), seeded())
    assert take.duration_s == pytest.approx(6.5 / 1.4, abs=0.01)
    np.testing.assert_allclose(np.diff(take.score_time_s), 0.014, atol=1e-4)


def test_a_drifting_tempo_stays_within_its_bounds() -> None:
    take = perform(TUNE, Singer(tempo_drift=0.2), seeded())
    local = np.diff(take.score_time_s) / take.hop_s
    assert 0.79 < local.min() < 0.95 < 1.05 < local.max() < 1.21


def test_the_score_time_of_a_frame_lies_in_the_note_that_is_sung() -> None:
    take = perform(LONG_NOTES, Singer(tempo=0.8, tempo_drift=0.2, gap_probability=0.7), seeded())
    voiced = take.note >= 0
    begin = np.array([note.start_s for note in LONG_NOTES])[take.note[voiced]]
    end = np.array([note.end_s for note in LONG_NOTES])[take.note[voiced]]
    assert np.all(take.score_time_s[voiced] >= begin - 0.02)
    assert np.all(take.score_time_s[voiced] <= end + 0.02)


def test_intervals_stretch_about_the_mean_pitch() -> None:
    take = perform(TUNE, Singer(interval_scale=0.85), seeded())
    written = written_pitch(take, TUNE)
    expected = written.mean() + 0.85 * (written - written.mean())
    np.testing.assert_allclose(sung_pitch(take), expected, atol=1e-3)


def test_drift_and_jitter_stay_within_their_bounds() -> None:
    take = perform(TUNE, Singer(drift_semitones=0.7, jitter_semitones=0.1), seeded())
    off = np.abs(sung_pitch(take) - written_pitch(take, TUNE))
    assert 0.3 < off.max() <= 0.801


def test_notes_are_mistuned_each_as_a_whole() -> None:
    scale = [Note(0.3 * k, 0.3 * k + 0.3, 60 + k % 12) for k in range(400)]
    take = perform(scale, Singer(note_error_semitones=0.4), seeded())
    off = (sung_pitch(take) - written_pitch(take, scale)).reshape(400, 30)
    assert off[:, 0].std() == pytest.approx(0.4, abs=0.05)
    np.testing.assert_allclose(off, np.repeat(off[:, :1], 30, axis=1), atol=1e-3)


def test_wrong_notes_are_one_to_three_semitones_off() -> None:
    take = perform(TUNE, Singer(wrong_note_probability=1.0), seeded())
    off = np.abs(sung_pitch(take) - written_pitch(take, TUNE))
    assert set(np.unique(off.round(2)).tolist()) <= {1.0, 2.0, 3.0}


def test_octave_slips_are_an_octave_away() -> None:
    take = perform(TUNE, Singer(octave_slip_probability=0.3), seeded())
    off = sung_pitch(take) - written_pitch(take, TUNE)
    assert set(np.unique(np.abs(off).round(2)).tolist()) == {0.0, 12.0}


def test_a_dropped_note_is_silent_or_the_one_before_is_held_over_it() -> None:
    take = perform(TUNE, Singer(drop_probability=0.5), seeded())
    sung = set(take.note.tolist()) - {-1}
    assert 0 in sung
    assert 1 < len(sung) < len(TUNE)
    for k in set(range(len(TUNE))) - sung:
        during = take.note[50 * k + 1 : 50 * k + 49]
        assert len(set(during.tolist())) == 1
        assert during[0] < k
    np.testing.assert_allclose(sung_pitch(take), written_pitch(take, TUNE), atol=1e-3)


def test_joined_notes_glide_from_the_one_before() -> None:
    take = perform(TUNE, Singer(glide_s=0.1), seeded())
    assert np.abs(np.diff(sung_pitch(take))).max() < 2.0
    assert sung_pitch(take)[49] == pytest.approx(60.0, abs=1e-3)
    assert sung_pitch(take)[65] == pytest.approx(62.0, abs=1e-3)


def test_detached_notes_are_scooped_from_below() -> None:
    take = perform(LONG_NOTES, Singer(scoop_semitones=1.0, glide_s=0.15), seeded())
    off = sung_pitch(take) - written_pitch(take, LONG_NOTES)
    assert off.max() < 1e-3
    assert off.min() < -0.2
    assert np.mean(off < -0.01) < 0.12


def test_vibrato_swings_by_its_amplitude() -> None:
    take = perform(LONG_NOTES, Singer(vibrato_semitones=0.4), seeded())
    off = sung_pitch(take) - written_pitch(take, LONG_NOTES)
    assert off.max() == pytest.approx(0.4, abs=0.03)
    assert off.min() == pytest.approx(-0.4, abs=0.03)


def test_a_detached_singer_sounds_only_for_a_part_of_each_note() -> None:
    take = perform(TUNE, Singer(sounding_fraction=0.6), seeded())
    assert np.count_nonzero(take.hz) == 30 * len(TUNE)


def test_short_rests_are_sung_through_and_long_ones_kept() -> None:
    notes = [Note(0.0, 0.5 - BRIDGED_REST_S / 2, 60), Note(0.5, 1.0, 62), Note(1.5, 2.0, 64)]
    take = perform(notes, Singer(), seeded())
    assert np.all(take.hz[:100] > 0)
    assert np.all(take.hz[101:150] == 0)


def test_breaths_shorten_notes_and_lengthen_the_take() -> None:
    take = perform(TUNE, Singer(gap_probability=1.0), seeded())
    assert take.duration_s > 6.5
    assert 3.2 < np.count_nonzero(take.hz) * take.hop_s < 6.5


def test_of_overlapping_notes_the_later_takes_over() -> None:
    take = perform([Note(0.0, 2.0, 60), Note(1.0, 2.0, 72), Note(1.0, 2.0, 76)], Singer(), seeded())
    np.testing.assert_array_equal(take.note, np.repeat([0, 2], 100))


def test_a_part_of_the_score_can_be_asked_for() -> None:
    take = perform(TUNE, Singer(tempo=0.5), seeded(), start_s=1.0, duration_s=4.0)
    assert take.duration_s == pytest.approx(4.0)
    assert take.score_time_s[0] == pytest.approx(1.0)
    assert set(take.note.tolist()) == {2, 3, 4, 5}


def test_a_take_longer_than_the_score_ends_in_silence() -> None:
    take = perform(TUNE, Singer(), seeded(), duration_s=8.0)
    assert take.duration_s == pytest.approx(8.0)
    assert np.all(take.hz[651:] == 0)
    assert take.score_time_s[-1] == pytest.approx(7.99, abs=0.02)


def test_it_refuses_a_part_without_notes() -> None:
    with pytest.raises(ValueError, match="no notes"):
        perform(TUNE, Singer(), seeded(), start_s=60.0)
    with pytest.raises(ValueError, match="no notes"):
        perform([], Singer(), seeded())


@pytest.mark.parametrize("seed", range(5))
def test_a_whistle_lies_in_the_range_of_whistles(seed: int) -> None:
    singer = replace(draw_singer(seeded(seed), skill=0.0), voice=Voice.WHISTLE, register=None)
    take = perform([*TUNE, Note(7.0, 8.0, 40), Note(8.0, 9.0, 90)], singer, seeded(seed))
    voiced = take.hz[take.hz > 0]
    assert voiced.min() > 699
    assert voiced.max() < 2501


def test_a_whistle_is_nearly_a_sine() -> None:
    singer = Singer(voice=Voice.WHISTLE)
    take = perform([Note(0.0, 2.0, 60)], singer, seeded())
    power = np.abs(np.fft.rfft(synthesize(take, singer, seeded()))) ** 2  # bins of half a hertz
    tone = round(float(take.hz[0]) * 2)
    assert power[tone - 40 : tone + 41].sum() > 0.95 * power.sum()


@pytest.mark.parametrize("voice", list(Voice))
def test_the_same_seed_makes_the_same_audio(voice: Voice) -> None:
    def audio(seed: int) -> Floats:
        rng = seeded(seed)
        singer = replace(draw_singer(rng, skill=0.4), voice=voice)
        return telephone(synthesize(perform(TUNE, singer, rng), singer, rng), RATE_HZ, rng)

    np.testing.assert_array_equal(audio(3), audio(3))
    assert not np.array_equal(audio(3)[:1000], audio(4)[:1000])


def test_rests_hold_only_breath() -> None:
    singer = Singer(breath=0.05)
    audio = synthesize(perform(LONG_NOTES, singer, seeded()), singer, seeded()).reshape(-1, RATE_HZ // 10)
    loudness = np.sqrt((audio**2).mean(axis=1))
    assert 0 < loudness[16:19].max() < 0.03 * loudness[5:10].min()


def test_an_unvoiced_take_is_quiet() -> None:
    silent = Performance(np.zeros(100, np.float32), np.zeros(100, np.float32), np.full(100, -1, np.int32))
    assert np.abs(synthesize(silent, Singer(breath=0.05), seeded())).max() < 0.05


def test_frames_are_whole_numbers_of_samples() -> None:
    take = perform(TUNE, Singer(), seeded())
    assert len(synthesize(take, Singer(), seeded(), rate_hz=8000)) == 8000 * 6.5
    with pytest.raises(ValueError, match="whole number"):
        synthesize(take, Singer(), seeded(), rate_hz=22_050)


def test_skill_makes_takes_truer() -> None:
    def mistuning(skill: float) -> float:
        rng = seeded()
        return float(np.mean([draw_singer(rng, skill=skill).note_error_semitones for _ in range(100)]))

    assert mistuning(1.0) < 0.2 < 0.3 < mistuning(0.5) < 0.45 < mistuning(0.0) < 0.7


def test_drawn_singers_are_plausible() -> None:
    rng = seeded()
    singers = [draw_singer(rng, skill=rng.random()) for _ in range(500)]
    tempos = np.array([singer.tempo for singer in singers])
    assert tempos.min() >= 0.6
    assert tempos.max() <= 1.7
    assert np.mean((tempos > 0.8) & (tempos < 1.25)) > 0.75
    assert {singer.voice for singer in singers} == set(Voice)
    assert {singer.vowel for singer in singers} == set(VOWELS)
    for field in fields(Singer):
        assert len({getattr(singer, field.name) for singer in singers}) > 1, field.name


@pytest.mark.parametrize("skill", [-0.1, 1.1])
def test_it_refuses_a_skill_outside_its_range(skill: float) -> None:
    with pytest.raises(ValueError, match="skill"):
        draw_singer(seeded(), skill=skill)


def test_a_telephone_keeps_only_its_band() -> None:
    noise = np.asarray(seeded().normal(0.0, 0.1, 4 * RATE_HZ), dtype=np.float32)
    heard = telephone(noise, RATE_HZ, seeded())
    power = np.abs(np.fft.rfft(heard)) ** 2  # bins of a quarter of a hertz
    assert heard.shape == noise.shape
    assert power[: 4 * 150].mean() < 0.01 * power[4 * 500 : 4 * 3000].mean()
    assert power[4 * 4000 + 1 :].sum() < 1e-6 * power.sum()


def test_a_telephone_has_eight_bits() -> None:
    tone = np.asarray(np.sin(np.arange(8000) * 0.7), dtype=np.float32)
    heard = telephone(tone, 8000, seeded())
    assert len(np.unique(heard.round(4))) <= 256


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_a_telephone_adds_the_noise_asked_for(snr_db: float) -> None:
    tone = np.asarray(0.3 * np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ), dtype=np.float32)
    noise = telephone(tone, RATE_HZ, seeded(), snr_db=snr_db, band_hz=(0.001, 8000.0)) - tone
    assert 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=1.5)


def test_a_simulated_hum_is_heard_through_a_telephone() -> None:
    singer = Singer(register=50.0, glide_s=0.05, breath=0.02)
    take = perform(TUNE, singer, seeded())
    audio = telephone(synthesize(take, singer, seeded(1)), RATE_HZ, seeded(2), snr_db=20.0)
    assert heard_right(take, audio).mean() >= 0.9
