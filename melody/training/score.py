"""Scores: the notes of a tune, in seconds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path


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
