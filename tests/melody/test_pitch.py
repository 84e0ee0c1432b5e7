"""Pitch: what sounds is heard at its frequency, and what has no pitch is not. All sounds are simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from melody.config import PitchConfig
from melody.pitch import track_melody, track_voice, track_whistle
from melody.training.rendering import SAMPLE_RATE_HZ, render_notes
from melody.training.score import Note
from melody.types import Bools, Floats, PitchTrack, Waveform
from tests.melody.makers import RATE_HZ, drums, phase_of, random_tune

CONFIG = PitchConfig()


def constant(hz: float, seconds: float = 2.0) -> Floats:
    return np.full(round(seconds * RATE_HZ), hz, dtype=np.float32)


def glide(low_hz: float, high_hz: float, seconds: float = 4.0) -> Floats:
    return np.geomspace(low_hz, high_hz, round(seconds * RATE_HZ)).astype(np.float32)


def voice(hz: Floats, overtones: int = 8) -> Waveform:
    """Overtones that fall as 1/n, none above the band."""
    phase = phase_of(hz)
    waves = [np.sin(order * phase) / order * (order * hz < 7000) for order in range(1, overtones + 1)]
    return Waveform(np.asarray(0.2 * np.sum(waves, axis=0), dtype=np.float32), RATE_HZ)


def within(track: PitchTrack, hz: Floats, cents: float = 50) -> Bools:
    """For each voiced frame away from the ends: is the truth (n,) at its time met?"""
    frames = np.flatnonzero(track.hz)
    at = np.round(frames * track.hop_s * RATE_HZ).astype(int)
    inside = (at > 0.1 * RATE_HZ) & (at < len(hz) - 0.1 * RATE_HZ)
    off = 1200 * np.log2(track.hz[frames[inside]] / hz[at[inside]])
    return np.asarray(np.abs(off) < cents)


def voiced_share(track: PitchTrack) -> float:
    return float(np.mean(track.hz > 0))


@pytest.mark.parametrize("hz", [80.0, 110.0, 165.0, 220.0, 330.0, 440.0, 700.0, 1000.0, 1500.0])
def test_it_works(hz: float) -> None:
    heard = track_voice(voice(constant(hz)), CONFIG)
    assert heard.hop_s == pytest.approx(0.016)
    assert voiced_share(heard) > 0.9
    assert within(heard, constant(hz), cents=30).mean() > 0.98


def test_it_follows_a_glide() -> None:
    heard = track_voice(voice(glide(110, 660)), CONFIG)
    assert voiced_share(heard) > 0.9
    assert within(heard, glide(110, 660)).mean() > 0.95


def test_it_follows_a_vibrato() -> None:
    at_s = np.arange(4 * RATE_HZ) / RATE_HZ
    hz = (220 * 2 ** (0.5 * np.sin(2 * np.pi * 5.5 * at_s) / 12)).astype(np.float32)
    heard = track_voice(voice(hz), CONFIG)
    assert within(heard, hz, cents=30).mean() > 0.9
    assert np.ptp(12 * np.log2(heard.hz[20:-20] / 220)) > 0.6


@pytest.mark.parametrize("hz", [100.0, 150.0, 220.0, 300.0])
def test_it_hears_the_fundamental_of_a_buzz_whose_octave_is_louder(hz: float) -> None:
    phase = phase_of(constant(hz))
    strengths = {1: 1.0, 2: 1.5, 3: 0.5, 4: 0.7}
    buzz = 0.15 * np.sum([gain * np.sin(order * phase) for order, gain in strengths.items()], axis=0)
    heard = track_voice(Waveform(buzz.astype(np.float32), RATE_HZ), CONFIG)
    assert within(heard, constant(hz)).mean() > 0.95


@pytest.mark.parametrize(("low_hz", "high_hz"), [(700, 1400), (1400, 2800), (3500, 1750), (700, 3500)])
def test_it_follows_a_whistle(low_hz: float, high_hz: float) -> None:
    draw = np.random.default_rng(0)
    hz = glide(low_hz, high_hz)
    breath = 0.005 * draw.standard_normal(len(hz))
    whistle = Waveform((0.3 * np.sin(phase_of(hz)) + breath).astype(np.float32), RATE_HZ)
    for heard in (track_voice(whistle, CONFIG), track_whistle(whistle, CONFIG)):
        assert voiced_share(heard) > 0.9
        assert within(heard, hz, cents=50).mean() > 0.97


def test_a_low_voice_is_not_taken_for_a_whistle() -> None:
    heard = track_voice(voice(constant(130)), CONFIG)
    assert np.median(heard.hz[heard.hz > 0]) == pytest.approx(130, rel=0.02)


@pytest.mark.parametrize("track", [track_voice, track_melody, track_whistle])
def test_silence_has_no_pitch(track: object) -> None:
    assert callable(track)
    heard = track(Waveform(np.zeros(3 * RATE_HZ, dtype=np.float32), RATE_HZ), CONFIG)
    assert not heard.hz.any()
    assert heard.voiced_s == 0


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_drums_have_almost_no_pitch(seed: int) -> None:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(4 * RATE_HZ).astype(np.float32)
    for samples in (noise, drums(4, seed)):
        assert voiced_share(track_voice(Waveform(samples, RATE_HZ), CONFIG)) < 0.05
        assert voiced_share(track_melody(Waveform(samples, RATE_HZ), CONFIG)) < 0.15


def test_pyin_can_listen_instead_and_agrees() -> None:
    tone = voice(constant(196, seconds=1.5))
    reference = track_voice(tone, replace(CONFIG, tracker="pyin"))
    assert within(reference, constant(196, 1.5), cents=30).mean() > 0.95
    swift = track_voice(tone, CONFIG)
    apart = 1200 * np.log2(np.median(reference.hz[reference.hz > 0]) / np.median(swift.hz[swift.hz > 0]))
    assert abs(apart) < 20


@pytest.mark.parametrize(("low_hz", "high_hz"), [(90, 180), (150, 600), (400, 1200)])
def test_a_solo_is_followed_over_the_whole_range(low_hz: float, high_hz: float) -> None:
    hz = glide(low_hz, high_hz)
    heard = track_melody(voice(hz), CONFIG)
    assert voiced_share(heard) > 0.9
    assert within(heard, hz).mean() > 0.95


def mixed(seed: int) -> tuple[Waveform, Floats]:
    """A simulated band: a clarinet's tune 6 dB above a piano's chords, and a bass as loud as the tune; and the tune's
    frequency (n,)."""
    tune = random_tune(seed, seconds=12)
    beats = np.arange(0, 12, 0.8)
    roots = [45 + (0, 5, 7, 0)[number % 4] for number in range(len(beats))]
    bass = [Note(at, at + 0.7, root - 12) for at, root in zip(beats, roots, strict=True)]
    chords = [Note(at, at + 0.7, root + n) for at, root in zip(beats, roots, strict=True) for n in (7, 12, 16)]
    count = 12 * SAMPLE_RATE_HZ
    parts = [np.resize(render_notes(part, program), count) for part, program in ((tune, 71), (chords, 0), (bass, 33))]
    sound = np.sum([gain * part / np.std(part) for gain, part in zip((2, 1, 2), parts, strict=True)], axis=0)
    at = np.arange(12 * RATE_HZ) / RATE_HZ
    samples = np.interp(at, np.arange(count) / SAMPLE_RATE_HZ, 0.1 * sound).astype(np.float32)
    which = np.searchsorted([note.start_s for note in tune], at, side="right") - 1
    hz = 440 * 2 ** ((np.array([note.pitch for note in tune])[which] - 69) / 12)
    return Waveform(samples, RATE_HZ), hz.astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_melody_of_a_mix_is_followed_within_the_band_of_tunes(seed: int) -> None:
    waveform, hz = mixed(seed)
    melody = track_melody(waveform, CONFIG)
    assert melody.hz[melody.hz > 0].min() >= CONFIG.mix_min_hz
    assert voiced_share(melody) > 0.5
    whole_range = track_voice(waveform, CONFIG)
    assert (whole_range.hz[whole_range.hz > 0] < CONFIG.mix_min_hz).mean() > 0.2
    assert within(melody, hz).mean() > 0.7
    assert within(melody, hz).mean() > within(whole_range, hz).mean() + 0.1


def test_a_very_short_sound_is_no_trouble() -> None:
    for track in (track_voice, track_melody, track_whistle):
        assert len(track(Waveform(constant(0.0, 0.1), RATE_HZ), CONFIG).hz) > 0
