"""Simulated clips of a tune: a part of it sung by a simulated amateur, or played by another instrument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from melody.training.rendering import LEADS, SAMPLE_RATE_HZ, render_notes
from melody.training.score import Note
from melody.training.singer import draw_singer, perform, synthesize, telephone
from melody.types import Floats

SUNG_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """From where the clips of a fit are drawn, evenly between the two ends."""

    seconds: tuple[float, float] = (6.0, 14.0)
    skill: tuple[float, float] = (0.1, 0.9)  # of a singer
    snr_db: tuple[float, float] = (12.0, 40.0)
    band_hz: tuple[float, float] = (80.0, 3800.0)
    semitones: float = 6.0  # a played clip is moved by up to this much
    tempo: tuple[float, float] = (0.75, 1.33)  # and played so much faster


def sung(notes: Sequence[Note], rng: np.random.Generator, config: ClipConfig) -> tuple[Floats, int]:
    """Samples and their rate of a part of the tune, hummed, sung or whistled into a telephone."""
    singer = draw_singer(rng, skill=rng.uniform(*config.skill))
    seconds = rng.uniform(*config.seconds)
    start_s = _start(notes, seconds * singer.tempo, rng)
    take = perform(notes, singer, rng, start_s=start_s, duration_s=seconds)
    samples = synthesize(take, singer, rng, rate_hz=SUNG_RATE_HZ)
    snr_db = rng.uniform(*config.snr_db)
    return telephone(samples, SUNG_RATE_HZ, rng, snr_db=snr_db, band_hz=config.band_hz), SUNG_RATE_HZ


def played(notes: Sequence[Note], rng: np.random.Generator, config: ClipConfig) -> tuple[Floats, int]:
    """Samples and their rate of a part of the tune on an instrument, in another key and tempo."""
    tempo = float(np.exp(rng.uniform(*np.log(config.tempo))))
    seconds = rng.uniform(*config.seconds)
    start_s = _start(notes, seconds * tempo, rng)
    moved = round(rng.uniform(-config.semitones, config.semitones))
    part = [
        replace(
            note,
            start_s=(max(note.start_s, start_s) - start_s) / tempo,
            end_s=min((note.end_s - start_s) / tempo, seconds),
            pitch=note.pitch + moved,
        )
        for note in notes
        if note.end_s > start_s and note.start_s < start_s + seconds * tempo
    ]
    return render_notes(part, int(rng.choice(LEADS))), SAMPLE_RATE_HZ


def _start(notes: Sequence[Note], seconds: float, rng: np.random.Generator) -> float:
    """The start of a note from which the tune still goes on for most of `seconds`."""
    last = max(notes[-1].end_s - seconds, notes[0].start_s)
    starts = [note.start_s for note in notes if note.start_s <= last]
    return float(rng.choice(starts)) if starts else notes[0].start_s
