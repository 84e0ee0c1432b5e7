"""A *simulated* singer: notes into the audio of an amateur who hums, sings or whistles, with exact truth.

Nothing here is a recording of a person, and reports say "simulated" wherever its audio is used. Every random choice
comes from the generator that is passed in: the same seed makes the same take. The kinds of error (another key, another
tempo, drift, local slips, lost notes) are those of Meek and Birmingham, "A comprehensive trainable error model for sung
music queries" (2004); their sizes are guesses, fitted to nobody. The voice is additive synthesis under formants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from melody.training.score import Note
from melody.types import Floats

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

HOP_S = 0.01
BRIDGED_REST_S = 0.2  # a singer holds a note over a shorter rest: it is the notation's, not the tune's
JOINED_S = 0.03
TEMPO_KNOT_S = 0.8
DRIFT_KNOT_S = 3.0
WHISTLE_HZ = (700.0, 2500.0)
WHISTLE_PITCHES = (78.0, 99.0)
WHISTLE_REGISTER = 88.0
MAX_HARMONICS = 30
BRIGHTEST_HZ = 4500.0
# (centre in Hz, half width in Hz, gain), near the averages of men in Peterson and Barney 1952; "m" is a closed mouth.
FORMANTS = {
    "m": ((250.0, 150.0, 1.0), (1000.0, 200.0, 0.06), (2200.0, 300.0, 0.02)),
    "a": ((750.0, 120.0, 1.0), (1250.0, 150.0, 0.6), (2600.0, 250.0, 0.2)),
    "e": ((480.0, 100.0, 1.0), (1900.0, 200.0, 0.4), (2550.0, 250.0, 0.2)),
    "i": ((300.0, 80.0, 1.0), (2250.0, 200.0, 0.3), (3000.0, 300.0, 0.2)),
    "o": ((480.0, 100.0, 1.0), (850.0, 120.0, 0.5), (2500.0, 250.0, 0.05)),
    "u": ((330.0, 80.0, 1.0), (800.0, 120.0, 0.25), (2300.0, 250.0, 0.03)),
}
VOWELS = ("a", "e", "i", "o", "u")


class Voice(StrEnum):
    """How the tune is produced: closed mouth, syllables with consonants, or lips."""

    HUM = "hum"
    LA = "la"
    WHISTLE = "whistle"


ONSET_DIPS = {Voice.HUM: 0.4, Voice.LA: 0.85, Voice.WHISTLE: 0.6}  # how far the level falls where a note begins
NOISE_BANDS_HZ = {Voice.HUM: (60.0, 900.0), Voice.LA: (200.0, 4000.0), Voice.WHISTLE: (800.0, 5000.0)}


@dataclass(frozen=True, slots=True)
class Singer:
    """One simulated person in one take. The defaults sing the score exactly as written."""

    voice: Voice = Voice.HUM
    vowel: str = "a"  # of VOWELS, for Voice.LA
    formant_scale: float = 1.0  # 1 a long vocal tract, 1.2 a short one
    register: float | None = None  # MIDI pitch: the take moves by whole octaves to lie nearest it; None: as transposed
    transpose_semitones: float = 0.0
    tempo: float = 1.0  # 1.4: 1.4 times as fast as the score
    tempo_drift: float = 0.0  # largest local deviation of the tempo, as a part of it
    drift_semitones: float = 0.0  # largest slow deviation of the tuning
    interval_scale: float = 1.0  # stretch of all intervals about the mean pitch
    note_error_semitones: float = 0.0  # standard deviation of each note's mistuning
    wrong_note_probability: float = 0.0  # 1 to 3 semitones off
    drop_probability: float = 0.0  # a note is left out, or the one before is held over it
    octave_slip_probability: float = 0.0  # at each note, to change into the other octave, or back
    scoop_semitones: float = 0.0  # standard deviation of how far below a detached note begins
    glide_s: float = 0.0  # between joined notes, and from a scoop into the note
    vibrato_hz: float = 5.5
    vibrato_semitones: float = 0.0  # amplitude
    jitter_semitones: float = 0.0  # largest fast deviation
    gap_probability: float = 0.0  # at each note, to breathe after it
    sounding_fraction: float = 1.0  # of each note: 1 legato, 0.6 "ta ta ta"
    breath: float = 0.0  # amplitude of the breath's noise beside the voice's


@dataclass(frozen=True, slots=True)
class Performance:
    """What a simulated singer sings, frame by frame: the truth of a take. Frame k stands at k * hop_s."""

    hz: Floats  # (t,) 0 where unvoiced
    score_time_s: Floats  # (t,) the time in the score that is sung; it goes on through rests, and past the last note
    note: Ints  # (t,) which of the notes given to `perform`; -1 where unvoiced
    hop_s: float = HOP_S

    @property
    def duration_s(self) -> float:
        return len(self.hz) * self.hop_s


@dataclass(frozen=True, slots=True)
class _Line:
    """The notes that will be sung, one at a time, in score time."""

    note: Ints  # (k,) indices into the score
    start_s: Doubles  # (k,) increasing
    end_s: Doubles  # (k,) no later than the next start
    pitch: Doubles  # (k,)


@dataclass(frozen=True, slots=True)
class _Timing:
    """When the notes of a line sound in the take, and what the score's time is then."""

    start_s: Doubles  # (k,)
    stop_s: Doubles  # (k,) the sound ends
    frame_s: Doubles  # (t,)
    score_s: Doubles  # (t,)


def draw_singer(rng: np.random.Generator, *, skill: float) -> Singer:
    """A plausible simulated amateur; `skill` 1 is accurate, 0 terrible. ValueError if it lies outside 0..1."""
    if not 0.0 <= skill <= 1.0:
        raise ValueError(f"skill must lie in 0..1, not {skill}")
    lack = 1.0 - skill
    voice = (Voice.HUM, Voice.LA, Voice.WHISTLE)[rng.choice(3, p=(0.35, 0.45, 0.2))]
    whistles = voice is Voice.WHISTLE
    high = rng.random() < 0.5
    centre = WHISTLE_REGISTER if whistles else 61.0 if high else 50.0
    return Singer(
        voice=voice,
        vowel=VOWELS[rng.integers(len(VOWELS))],
        formant_scale=rng.uniform(1.1, 1.3) if high else rng.uniform(0.92, 1.1),
        register=centre + rng.normal(0.0, 2.0),
        transpose_semitones=rng.uniform(-6.0, 6.0),
        tempo=float(np.clip(np.exp(rng.normal(0.0, 0.08 + 0.14 * lack)), 0.6, 1.7)),
        tempo_drift=rng.uniform(0.0, 0.05 + 0.15 * lack),
        drift_semitones=rng.uniform(0.0, 0.1 + 0.6 * lack),
        interval_scale=float(np.clip(rng.normal(1.0 - 0.03 * lack, 0.02 + 0.06 * lack), 0.85, 1.15)),
        note_error_semitones=(0.12 + 0.48 * lack) * rng.uniform(0.7, 1.3),
        wrong_note_probability=lack * rng.uniform(0.0, 0.12),
        drop_probability=lack * rng.uniform(0.0, 0.12),
        octave_slip_probability=lack * rng.uniform(0.0, 0.02),
        scoop_semitones=rng.uniform(0.2, 0.8 + 1.5 * lack),
        glide_s=rng.uniform(0.03, 0.08 + 0.08 * lack),
        vibrato_hz=rng.uniform(4.5, 6.5),
        vibrato_semitones=rng.uniform(0.1, 0.6) if rng.random() < 0.25 else 0.0,
        jitter_semitones=rng.uniform(0.02, 0.08 + 0.2 * lack),
        gap_probability=rng.uniform(0.0, 0.05 + 0.15 * lack),
        sounding_fraction=1.0 if rng.random() < 0.5 else rng.uniform(0.5, 0.95),
        breath=rng.uniform(0.05, 0.3) if whistles else rng.uniform(0.005, 0.1),
    )


def perform(
    notes: Sequence[Note],
    singer: Singer,
    rng: np.random.Generator,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> Performance:
    """Sing `notes`, in order of their start, from `start_s` of the score, for `duration_s` of the take or to the end.

    Of notes that overlap, the later one takes over. The octave and the mean, about which intervals stretch, are those
    of the notes sung. ValueError if no note lies in the part asked for.
    """
    fastest = singer.tempo * (1.0 + singer.tempo_drift)
    reach_s = np.inf if duration_s is None else start_s + duration_s * fastest
    line = _choose_notes(notes, singer, rng, start_s=start_s, reach_s=reach_s)
    timing = _time_notes(line, singer, rng, start_s=start_s, duration_s=duration_s)
    which = np.searchsorted(timing.start_s, timing.frame_s + 1e-9, side="right") - 1
    sounds = (which >= 0) & (timing.frame_s < timing.stop_s[which] - 1e-9)
    hz = 440.0 * 2.0 ** ((_draw_curve(_sing_pitches(line, singer, rng), timing, singer, rng) - 69.0) / 12.0)
    if singer.voice is Voice.WHISTLE:
        hz = np.clip(hz, *WHISTLE_HZ)
    return Performance(
        hz=np.where(sounds, hz, 0.0).astype(np.float32),
        score_time_s=timing.score_s.astype(np.float32),
        note=np.where(sounds, line.note[which], -1).astype(np.int32),
    )


def _choose_notes(
    notes: Sequence[Note], singer: Singer, rng: np.random.Generator, *, start_s: float, reach_s: float
) -> _Line:
    """One line out of the score: overlaps cut, short rests bridged, notes dropped or merged; the first one stays."""
    table = np.array([(n.start_s, n.end_s, n.pitch) for n in notes], dtype=np.float64).reshape(-1, 3)
    start, end, pitch = table.T
    following = np.append(start[1:], np.inf)
    end = np.where(following - end < BRIDGED_REST_S, following, end)
    (kept,) = np.nonzero((end > start) & (end > start_s) & (start < reach_s))
    if len(kept) == 0:
        raise ValueError(f"no notes between {start_s} s and {reach_s} s of the score")
    start, end = np.maximum(start[kept], start_s), end[kept]
    sung = rng.random(len(kept)) >= singer.drop_probability
    sung[0] = True
    held_over = ~sung & (rng.random(len(kept)) < 0.5)
    owner = np.maximum.accumulate(np.where(sung, np.arange(len(kept)), 0))
    np.maximum.at(end, owner[held_over], end[held_over])
    return _Line(kept[sung].astype(np.int32), start[sung], end[sung], pitch[kept][sung])


def _time_notes(
    line: _Line, singer: Singer, rng: np.random.Generator, *, start_s: float, duration_s: float | None
) -> _Timing:
    """The take's clock: a tempo that wanders, and breaths, which partly shorten a note and partly delay the next."""
    last_s = line.end_s[-1] if duration_s is None else start_s + duration_s * singer.tempo * (1.0 + singer.tempo_drift)
    score = start_s + HOP_S * np.arange(np.ceil((max(last_s, line.end_s[-1]) - start_s) / HOP_S) + 2)
    tempo = singer.tempo * (1.0 + singer.tempo_drift * _wander(len(score), TEMPO_KNOT_S, rng))
    clock = np.concatenate(([0.0], np.cumsum(HOP_S / tempo)[:-1]))

    breath_s = rng.uniform(0.15, 0.5, len(line.note)) * (rng.random(len(line.note)) < singer.gap_probability)
    pause_s = breath_s * rng.random(len(line.note))
    waited_s = np.cumsum(pause_s) - pause_s
    begin = np.interp(line.start_s, score, clock) + waited_s
    end = np.interp(line.end_s, score, clock) + waited_s
    stolen_s = np.minimum(breath_s - pause_s, 0.5 * (end - begin))

    frames = round((end[-1] if duration_s is None else duration_s) / HOP_S)
    at_s = HOP_S * np.arange(frames)
    late_s = np.interp(
        at_s, np.stack([end, end + pause_s], 1).ravel(), np.stack([waited_s, waited_s + pause_s], 1).ravel()
    )
    return _Timing(
        start_s=begin,
        stop_s=begin + (end - begin - stolen_s) * singer.sounding_fraction,
        frame_s=at_s,
        score_s=np.interp(at_s - late_s, clock, score),
    )


def _sing_pitches(line: _Line, singer: Singer, rng: np.random.Generator) -> Doubles:
    """The pitch (k,) each note is aimed at: in another key or octave, its interval stretched, mistuned or wrong."""
    count = len(line.pitch)
    mean = float(np.average(line.pitch, weights=line.end_s - line.start_s))
    wrong = rng.choice([-3, -2, -1, 1, 2, 3], count) * (rng.random(count) < singer.wrong_note_probability)
    in_other_octave = np.cumsum(rng.random(count) < singer.octave_slip_probability) % 2
    pitch = mean + (line.pitch + wrong - mean) * singer.interval_scale + singer.transpose_semitones
    pitch += rng.normal(0.0, singer.note_error_semitones, count) + rng.choice([-12, 12]) * in_other_octave

    whistles = singer.voice is Voice.WHISTLE
    register = WHISTLE_REGISTER if whistles and singer.register is None else singer.register
    if register is not None:
        pitch += 12.0 * np.round((register - mean - singer.transpose_semitones) / 12.0)
    if whistles:
        low, high = WHISTLE_PITCHES
        pitch += 12.0 * np.ceil(np.maximum(low - pitch, 0.0) / 12.0)
        pitch -= 12.0 * np.ceil(np.maximum(pitch - high, 0.0) / 12.0)
    return np.asarray(pitch, dtype=np.float64)


def _draw_curve(pitch: Doubles, timing: _Timing, singer: Singer, rng: np.random.Generator) -> Doubles:
    """The pitch (t,) of every frame, silent ones too: each note comes from the one before it, or from a scoop below."""
    joined = np.append(False, timing.start_s[1:] - timing.stop_s[:-1] < JOINED_S)
    scoop = -np.abs(rng.normal(0.0, singer.scoop_semitones, len(pitch)))
    approach = np.where(joined, np.append(pitch[:1], pitch[:-1]) - pitch, scoop)
    glide_s = np.maximum(np.minimum(singer.glide_s, 0.5 * (timing.stop_s - timing.start_s)), HOP_S)

    at_s = timing.frame_s
    which = np.maximum(np.searchsorted(timing.start_s, at_s + 1e-9, side="right") - 1, 0)
    since_s = at_s - timing.start_s[which]
    ease = 0.5 + 0.5 * np.cos(np.pi * np.clip((since_s + HOP_S) / glide_s[which], 0.0, 1.0))
    vibrato = np.clip(since_s / 0.3 - 0.5, 0.0, 1.0) * np.sin(2 * np.pi * (singer.vibrato_hz * at_s + rng.random()))
    return np.asarray(
        pitch[which]
        + approach[which] * ease
        + singer.vibrato_semitones * vibrato
        + singer.drift_semitones * _wander(len(at_s), DRIFT_KNOT_S, rng)
        + singer.jitter_semitones * _wander(len(at_s), 3 * HOP_S, rng),
        dtype=np.float64,
    )


def _wander(frames: int, knot_s: float, rng: np.random.Generator) -> Doubles:
    """A random line (frames,) within -1..1 that turns every `knot_s`."""
    at = np.arange(frames) * (HOP_S / knot_s)
    knots = rng.uniform(-1.0, 1.0, int(frames * HOP_S / knot_s) + 2)
    return np.asarray(np.interp(at, np.arange(len(knots)), knots), dtype=np.float64)


def synthesize(performance: Performance, singer: Singer, rng: np.random.Generator, *, rate_hz: int = 16_000) -> Floats:
    """The audio (n,) of a performance, n = its duration at `rate_hz`, within -0.5..0.5.

    Harmonics of the fundamental under a formant envelope, a level that dips where a note begins, and breath noise.
    ValueError if `rate_hz` is no whole number of samples a frame.
    """
    hop = round(rate_hz * performance.hop_s)
    if abs(hop - rate_hz * performance.hop_s) > 1e-6:
        raise ValueError(f"{rate_hz} Hz is no whole number of samples in {performance.hop_s} s")
    voiced = np.flatnonzero(performance.hz)
    frames = np.arange(len(performance.hz))
    hz = np.interp(frames, voiced, performance.hz[voiced]) if len(voiced) else np.full(len(frames), 220.0)
    level = _draw_level(performance, singer, rng)
    noise = np.asarray(rng.standard_normal(len(frames) * hop), dtype=np.float32)
    noise = _band_pass(noise, rate_hz, NOISE_BANDS_HZ[singer.voice]).reshape(-1, hop)
    noise *= singer.breath * (0.1 + 0.9 * level[:, None]) / max(float(noise.std()), 1e-9)
    audio = (_add_harmonics(hz, level, singer, hop, rate_hz) + noise).ravel()
    return np.asarray(audio * (0.5 / max(float(np.abs(audio).max()), 1.0)), dtype=np.float32)


def _draw_level(performance: Performance, singer: Singer, rng: np.random.Generator) -> Floats:
    """The voice's amplitude (t,): a loudness for each note, a dip at its onset; half at the edges of voicing."""
    note = performance.note
    frames = np.arange(len(note))
    begins = np.diff(note, prepend=-1) != 0
    since_s = performance.hop_s * (frames - np.maximum.accumulate(np.where(begins, frames, 0)))
    loudness = np.exp(rng.normal(0.0, 0.2, int(note.max(initial=0)) + 1))[note]
    level = np.where(note >= 0, loudness, 0.0) * (1.0 - ONSET_DIPS[singer.voice] * np.exp(-((since_s / 0.03) ** 2)))
    window = np.hanning(7)[1:-1]
    return np.asarray(np.convolve(level, window / window.sum(), mode="same"), dtype=np.float32)


def _harmonic_gains(hz: Doubles, singer: Singer, rate_hz: int) -> Floats:
    """The amplitude of each harmonic in each frame (t, h), of unit power in a frame."""
    if singer.voice is Voice.WHISTLE:
        gains = np.tile([1.0, 0.03], (len(hz), 1))
    else:
        order = np.arange(1, int(np.clip(BRIGHTEST_HZ / hz.min(), 2, MAX_HARMONICS)) + 1)
        centre, half_width, gain = np.array(FORMANTS["m" if singer.voice is Voice.HUM else singer.vowel]).T
        off = (hz[:, None, None] * order[:, None] / singer.formant_scale - centre) / half_width
        gains = order**-0.8 * (0.01 + (gain / (1.0 + off**2)).sum(axis=2))
    gains *= hz[:, None] * np.arange(1, gains.shape[1] + 1) < 0.45 * rate_hz
    return np.asarray(gains / np.maximum(np.linalg.norm(gains, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _add_harmonics(hz: Doubles, level: Floats, singer: Singer, hop: int, rate_hz: int) -> Floats:
    """The voice (t, hop): the sum of its harmonics, their amplitudes linear from each frame to the next."""
    frames = len(hz)
    gains = _harmonic_gains(hz, singer, rate_hz) * level[:, None]
    both = np.stack([gains, np.concatenate([gains[1:], gains[-1:]])], axis=2)
    sample_hz = np.interp(np.arange(frames * hop) / hop, np.arange(frames), hz)
    cycles = np.cumsum(sample_hz) / rate_hz
    turn = np.asarray(2 * np.pi * (cycles % 1.0), dtype=np.float32).reshape(frames, hop, 1)
    waves = np.sin(turn * np.arange(1, gains.shape[1] + 1, dtype=np.float32))
    later = np.arange(hop, dtype=np.float32) / hop
    now_and_next = waves @ both
    return np.asarray(now_and_next[..., 0] * (1.0 - later) + now_and_next[..., 1] * later, dtype=np.float32)


def _band_pass(samples: Floats, rate_hz: int, band_hz: tuple[float, float]) -> Floats:
    """The samples (n,) through a zero-phase band with the slopes of a fourth-order Butterworth filter."""
    hz = np.fft.rfftfreq(len(samples), 1.0 / rate_hz)
    low, high = band_hz
    gain = 1.0 / np.sqrt((1.0 + (low / np.maximum(hz, 1e-3)) ** 8) * (1.0 + (hz / high) ** 8))
    spectrum = np.fft.rfft(samples) * gain.astype(np.float32)
    return np.asarray(np.fft.irfft(spectrum, len(samples)), dtype=np.float32)


def telephone(
    samples: Floats,
    rate_hz: int,
    rng: np.random.Generator,
    *,
    snr_db: float = 20.0,
    band_hz: tuple[float, float] = (300.0, 3400.0),
) -> Floats:
    """The samples (n,) as a phone or an old hum corpus has them, at the same rate: room noise, a band, 8 kHz, 8 bits.

    `snr_db` compares the voice with the room's noise, before the band; silence stays silent.
    """
    power = float(np.mean(np.square(samples), dtype=np.float64))
    room = np.fft.rfft(rng.standard_normal(len(samples)).astype(np.float32))
    room /= np.sqrt(np.arange(len(room), dtype=np.float32) + 1.0)  # pink, as rooms are
    noise = np.fft.irfft(room, len(samples)).astype(np.float32)
    noise *= np.float32(np.sqrt(power * 10 ** (-snr_db / 10) / max(float(np.mean(noise**2)), 1e-20)))
    heard = _band_pass(samples + noise, rate_hz, band_hz)

    narrow = np.fft.rfft(heard)
    narrow[np.fft.rfftfreq(len(heard), 1.0 / rate_hz) >= 4000.0] = 0.0
    count = round(len(heard) * 8000 / rate_hz)
    at_8_khz = np.fft.irfft(narrow[: count // 2 + 1], count) * (count / len(heard))
    steps = 127.0 * rng.uniform(0.3, 1.0) / max(float(np.abs(at_8_khz).max()), 1e-9)
    coarse = np.fft.rfft(np.round(at_8_khz * steps) / steps)
    return np.asarray(np.fft.irfft(coarse, len(samples)) * (len(samples) / count), dtype=np.float32)
