"""Scores: the notes of a tune, in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melody.types import Contour

CONTOUR_HOP_S = 0.05


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a score: times in seconds, pitch and velocity as in MIDI (0-127)."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int = 100


def read_notes(path: Path) -> list[Note]:
    """All notes of a MIDI file in seconds, in order of their start, tempo map included (pretty_midi)."""
    import pretty_midi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these files keep tempo events outside track 0
        score = pretty_midi.PrettyMIDI(str(path))
    notes = [Note(n.start, n.end, n.pitch, n.velocity) for part in score.instruments for n in part.notes]
    return sorted(notes, key=lambda note: (note.start_s, note.pitch))


def contour_of(notes: Sequence[Note]) -> Contour:
    """The contour of a score from its first note on: of notes that overlap the later one sounds, rests are held."""
    starts = np.array([note.start_s for note in notes])
    ends = np.array([note.end_s for note in notes])
    times = np.arange(notes[0].start_s, ends.max(), CONTOUR_HOP_S) + CONTOUR_HOP_S / 2
    sounding = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    semitones = np.array([note.pitch for note in notes], dtype=np.float32)[sounding]
    return Contour(semitones, np.asarray(times < ends[sounding]), CONTOUR_HOP_S)
