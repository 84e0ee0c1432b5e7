"""From neighbours to answers: votes along a tempo line, a shortlist, and one match per track with its confidence.

A clip's windows vote for (track, where in it the clip would begin). A true match collects the votes of windows that
follow each other at one tempo; chance neighbours do not. (Shift-and-vote as in Shazam's and in Typke's work on
ordered windows.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melody.config import RankingConfig
from melody.types import Alignment, Contour, Floats, Match, MatchType, Mode, Neighbours, Windows

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
_BINS = 1 << 20  # of a track's time line, more than a day of half seconds
_IDENTICAL = 0.05  # semitones, below which a distance says nothing more
_WEIGHTS = Path(__file__).parent / "weights"


def vote(windows: Windows, neighbours: Neighbours, tracks: int, config: RankingConfig) -> Floats:
    """Each track's votes (tracks,), 0 where no window of it is near the clip.

    A window's vote is its score above the faintest of the window's neighbours. At each tempo the votes of a clip's
    windows for one beginning add up, half of those for the bins beside it with them; a track has the votes of its
    best beginning.
    """
    line, lines = _lines(windows)
    begin = neighbours.start_s - (windows.start_s * windows.tempo)[:, None]
    cell = np.round(begin / config.bin_s).astype(np.int64) + _BINS // 2
    there = neighbours.track >= 0
    above = neighbours.score - _faintest(neighbours, there)
    # One clip window (tempo, start) gives one vote to a cell, however many of its shifted twins and neighbours meet
    # there.
    key = (line[:, None] * tracks + neighbours.track) * _BINS + cell
    key, height = _highest(key[there], above[there])
    tempo = lines[key // (tracks * _BINS), 0].astype(np.int64)
    cell_of = tempo * (tracks * _BINS) + key % (tracks * _BINS)
    cells, where = np.unique(cell_of, return_inverse=True)
    votes: npt.NDArray[np.float64] = np.bincount(where, weights=height, minlength=len(cells)).astype(np.float64)
    total = votes + 0.5 * (_beside(cells, votes, -1) + _beside(cells, votes, 1))
    total /= np.bincount(lines[:, 0].astype(np.int64))[cells // (tracks * _BINS)]
    best = np.zeros(tracks, dtype=np.float32)
    np.maximum.at(best, cells // _BINS % tracks, total.astype(np.float32))
    return best


def shortlist(votes: Floats, durations_s: Floats, config: RankingConfig) -> Ints:
    """The tracks that the scan looks at, most votes first: as many as fit into its budget of music, at least a few."""
    order = np.argsort(-votes, kind="stable").astype(np.int32)
    fits = int(np.searchsorted(np.cumsum(durations_s[order]), config.scan_budget_s))
    return order[: max(fits, config.align_tracks)]


def rank(
    clip: Contour, alignments: Sequence[Alignment], votes: Floats, mode: Mode, config: RankingConfig
) -> list[Match]:
    """One match per aligned track, the surest first."""
    signals = pair_signals(clip, alignments, config)
    weights = _confidence_weights(config.confidence, mode)
    matches = [
        Match(a.track, float(p), match_type(float(p), config), a, float(votes[a.track]))
        for a, p in zip(alignments, probability(signals, weights), strict=True)
    ]
    return sorted(matches, key=lambda match: (-match.confidence, match.alignment.distance))


SIGNALS = ("below_crowd", "voiced", "spread", "stretch")


def pair_signals(clip: Contour, alignments: Sequence[Alignment], config: RankingConfig) -> Floats:
    """What confidence is made of, (m, 4) for m alignments, in the order of `SIGNALS`; each judges one clip-track pair.

    below_crowd: log of how many times nearer the track is than unrelated ones, whose distance shrinks as a library
    grows and for simple tunes. voiced: log of the clip's voiced seconds. spread: the clip's own range, since a tune of
    one note is near to every tune. stretch: how far the tempo lies from the track's, in octaves of tempo.
    """
    distance = np.maximum([a.distance for a in alignments], _IDENTICAL)
    nearer = np.log(_crowd(distance, config) / distance)
    voiced = math.log(max(float(clip.voiced.sum()) * clip.hop_s, 0.5))
    spread = min(float(np.std(clip.semitones[clip.voiced])), 4.0)
    stretch = np.abs(np.log2([a.tempo_ratio for a in alignments]))
    constant = np.ones(len(alignments))
    columns = [nearer, constant * voiced, constant * spread, stretch]
    return np.stack(columns, axis=1).astype(np.float32).reshape(-1, len(SIGNALS))


def probability(signals: Floats, weights: Floats) -> Floats:
    """The logistic of signals (m, 4) with weights (5,), the last being the constant: (m,) in 0..1."""
    return np.asarray(1 / (1 + np.exp(-(signals @ weights[:-1] + weights[-1]))), dtype=np.float32)


def match_type(confidence: float, config: RankingConfig) -> MatchType:
    """The bucket that people see. The bounds are of the rounded per cent that stands beside it."""
    percent = round(100 * confidence)
    if percent >= config.very_close:
        return MatchType.VERY_CLOSE
    if percent >= config.similar:
        return MatchType.SIMILAR
    return MatchType.LOOSE if percent >= config.loose else MatchType.MAYBE


def _crowd(distance: Floats, config: RankingConfig) -> float:
    """The usual distance of an unrelated track: those past the first few, which may be versions of the tune.

    A small library has too few, and its crowd leans on what is usual.
    """
    unrelated = np.sort(distance)[config.crowd_skip : config.crowd_skip + config.crowd_tracks]
    total = float(unrelated.sum()) + config.crowd_prior_tracks * config.crowd_prior
    return total / (len(unrelated) + config.crowd_prior_tracks)


def _lines(windows: Windows) -> tuple[Longs, Floats]:
    """For each window the number of its (tempo, start), and per such number (tempo's number, start)."""
    tempo = np.unique(windows.tempo, return_inverse=True)[1]
    pairs = np.stack([tempo.astype(np.float32), windows.start_s], axis=1)
    lines, line = np.unique(pairs, axis=0, return_inverse=True)
    return line.ravel().astype(np.int64), lines


def _faintest(neighbours: Neighbours, there: npt.NDArray[np.bool_]) -> Floats:
    return np.asarray(np.where(there, neighbours.score, np.inf).min(axis=1, keepdims=True), dtype=np.float32)


def _highest(key: Longs, height: Floats) -> tuple[Longs, Floats]:
    """Each key once, with the highest of its values."""
    order = np.argsort(key, kind="stable")
    key, height = key[order], height[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, dtype=np.int64)
    return key[first], np.maximum.reduceat(height, first) if len(key) else height


def _beside(cells: Longs, votes: npt.NDArray[np.float64], step: int) -> npt.NDArray[np.float64]:
    at = np.clip(np.searchsorted(cells, cells + step), 0, max(len(cells) - 1, 0))
    return np.where(cells[at] == cells + step, votes[at], 0.0)


@cache
def _confidence_weights(name: str, mode: Mode) -> Floats:
    weights = json.loads((_WEIGHTS / name / "config.json").read_text())["weights"][mode]
    return np.array([weights[signal] for signal in (*SIGNALS, "constant")], dtype=np.float32)
