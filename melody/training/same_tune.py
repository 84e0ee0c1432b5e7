"""Which tunes are one: scores that share a run of melodic intervals (n-grams, as in Downie's "Evaluating a simple
approach to music information retrieval", 1999).

Two uses: keeping tunes that we measure on out of everything that is fitted (short runs, so rather too much is dropped),
and counting variants of a tune as right (its whole incipit, so rather too little is counted).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from melody.training.score import Note

INCIPIT_INTERVALS = 11  # twelve notes
LEAK_INTERVALS = 9
MIN_PITCHES = 4  # of a run that says something: a trill or a repeated note is in many tunes

Intervals = tuple[int, ...]
Scores = Mapping[str, Sequence[Note]]


def variants(tunes: Scores, others: Scores) -> dict[str, list[str]]:
    """For each tune the others in which its first twelve notes occur, in any key and rhythm."""
    runs = _runs_of(others, INCIPIT_INTERVALS)
    return {name: sorted(runs.get(_intervals(notes[: INCIPIT_INTERVALS + 1]), set())) for name, notes in tunes.items()}


def leaks(tunes: Scores, measured: Scores) -> dict[str, list[str]]:
    """The tunes that share a run of ten notes with one that is measured on, and with which."""
    runs = _runs_of(measured, LEAK_INTERVALS)
    found = {
        name: sorted(set().union(*(runs.get(run, set()) for run in _runs(notes, LEAK_INTERVALS))))
        for name, notes in tunes.items()
    }
    return {name: others for name, others in found.items() if others}


def _runs_of(scores: Scores, length: int) -> dict[Intervals, set[str]]:
    runs: dict[Intervals, set[str]] = defaultdict(set)
    for name, notes in scores.items():
        for run in _runs(notes, length):
            runs[run].add(name)
    return runs


def _runs(notes: Sequence[Note], length: int) -> Iterator[Intervals]:
    for first in range(len(notes) - length):
        piece = notes[first : first + length + 1]
        if len({note.pitch for note in piece}) >= MIN_PITCHES:
            yield _intervals(piece)


def _intervals(notes: Sequence[Note]) -> Intervals:
    return tuple(after.pitch - before.pitch for before, after in pairwise(notes))
