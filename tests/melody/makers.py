"""What several tests make: random tunes, contours with known notes, and simulated singers' clips. All seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from melody.training.rendering import SAMPLE_RATE_HZ, render_notes
from melody.training.score import Note
from melody.training.singer import Singer, Voice, perform, synthesize
from melody.types import Contour, Floats

RATE_HZ = 16_000
HOP_S = 0.05
MAJOR = (0, 2, 4, 5, 7, 9, 11)
# Good, but a person: a little off in pitch, time and voice.
GOOD_SINGER = Singer(
    tempo_drift=0.05,
    drift_semitones=0.15,
    note_error_semitones=0.12,
    scoop_semitones=0.3,
    glide_s=0.06,
    jitter_semitones=0.05,
    sounding_fraction=0.9,
    breath=0.02,
)


def random_tune(seed: int, seconds: float = 20.0) -> list[Note]:
    """A walk on a major scale in crotchets, quavers and minims, with leaps, about an octave and a half wide."""
    draw = np.random.default_rng(seed)
    tonic = int(draw.integers(57, 65))
    step, at_s, notes = int(draw.integers(0, 8)), 0.0, list[Note]()
    while at_s < seconds:
        length_s = 0.4 * float(draw.choice([0.5, 1.0, 1.0, 1.0, 1.5, 2.0]))
        pitch = tonic + 12 * (step // 7) + MAJOR[step % 7]
        notes.append(Note(at_s, at_s + length_s, pitch))
        at_s += length_s
        step = int(np.clip(step + draw.choice([-4, -3, -2, -1, -1, 0, 1, 1, 2, 3, 4]), -3, 9))
    return notes


def moved(notes: Sequence[Note], semitones: int) -> list[Note]:
    return [replace(note, pitch=note.pitch + semitones) for note in notes]


def faster(notes: Sequence[Note], tempo: float) -> list[Note]:
    return [replace(note, start_s=note.start_s / tempo, end_s=note.end_s / tempo) for note in notes]


def contour_of(notes: Sequence[Note]) -> Contour:
    """The exact contour of notes without rests between them."""
    count = round(notes[-1].end_s / HOP_S)
    at_s = (np.arange(count) + 0.5) * HOP_S
    which = np.searchsorted([note.start_s for note in notes], at_s, side="right") - 1
    semitones = np.array([note.pitch for note in notes], dtype=np.float32)[which]
    return Contour(semitones, np.ones(count, dtype=np.bool_), HOP_S)


def sing(
    notes: Sequence[Note], singer: Singer = GOOD_SINGER, *, seed: int = 0, start_s: float = 0.0, seconds: float = 10.0
) -> Floats:
    """A simulated singer's take at `RATE_HZ`."""
    draw = np.random.default_rng(seed)
    return synthesize(perform(notes, singer, draw, start_s=start_s, duration_s=seconds), singer, draw, rate_hz=RATE_HZ)


def whistler(singer: Singer = GOOD_SINGER) -> Singer:
    return replace(singer, voice=Voice.WHISTLE, register=88.0, breath=0.1)


def put(path: Path, samples: Floats, rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(path, samples, rate_hz)
    return path


def put_played(path: Path, notes: Sequence[Note], program: int) -> Path:
    """The tune on one instrument of the soundfont."""
    return put(path, render_notes(notes, program), SAMPLE_RATE_HZ)


def phase_of(hz: Floats) -> Floats:
    """The phase (n,) in radians of an oscillator whose frequency (n,) moves, at `RATE_HZ`."""
    return np.asarray(2 * np.pi * np.cumsum(hz, dtype=np.float64) / RATE_HZ, dtype=np.float64).astype(np.float32)


def drums(seconds: float, seed: int) -> Floats:
    """Simulated drums: bursts of noise that fade, high and low ones in turn."""
    draw = np.random.default_rng(seed)
    beat = np.arange(round(0.25 * RATE_HZ))
    beats = []
    for number in range(round(seconds / 0.25)):
        burst = draw.standard_normal(len(beat)) * np.exp(-beat / (0.03 * RATE_HZ))
        beats.append(np.convolve(burst, np.ones(24) / 24, mode="same") * 3 if number % 2 else burst)
    return (0.2 * np.concatenate(beats)).clip(-1, 1).astype(np.float32)
