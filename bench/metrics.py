"""Ranks -> figures: top-1, top-10, MRR and recall, over clips (micro), over songs (macro) and in the corpus' own
mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MISSED = 1_000_000  # the rank of a right track that is nowhere in the list
FIRST_STAGE = 100
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Ranks:
    """For one clip the rank (0 is best) of the first right track, after each stage."""

    clip: str
    song: str
    votes: int
    first_stage: int  # of the tracks handed to the alignment
    final: int


def figures(ranks: Sequence[Ranks], corpus: Mapping[str, float]) -> dict[str, object]:
    """All measures of one run, in the clips' own mix, the corpus' mix, and the mean over songs."""
    final = np.array([rank.final for rank in ranks])
    songs = np.array([rank.song for rank in ranks])
    even = np.array([int(song) % 2 == 0 for song in songs])
    weights = _corpus_mix(songs, corpus)
    per_song = np.array([1 / np.count_nonzero(songs == song) for song in songs])
    stages = {
        f"{name}_recall_at_{FIRST_STAGE}": _share(np.array([getattr(rank, name) for rank in ranks]), FIRST_STAGE)
        for name in ("votes", "first_stage")
    }
    return {
        "clips": len(ranks),
        "capped_mix": {**_measures(final, np.ones(len(final))), **stages, "top_1_interval_95": _interval(final)},
        "even_songs": _measures(final[even], np.ones(int(even.sum()))),
        "corpus_mix": _measures(final, weights),
        "macro_over_songs": _measures(final, per_song),
    }


def _measures(ranks: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> dict[str, float]:
    reciprocal = np.where(ranks < MISSED, 1 / (1 + ranks), 0)
    return {
        "top_1": round(float(np.average(ranks < 1, weights=weights)), 4),
        "top_10": round(float(np.average(ranks < 10, weights=weights)), 4),
        "mrr": round(float(np.average(reciprocal, weights=weights)), 4),
    }


def _share(ranks: npt.NDArray[np.int64], below: int) -> float:
    return round(float((ranks < below).mean()), 4)


def _corpus_mix(songs: npt.NDArray[np.str_], corpus: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Each clip stands for as many recordings as its song has in the corpus, divided among the song's clips here."""
    return np.array([corpus[song] / np.count_nonzero(songs == song) for song in songs])


def _interval(ranks: npt.NDArray[np.int64]) -> list[float]:
    """95 % bootstrap interval of top-1 over clips."""
    rng = np.random.default_rng(0)
    right = (ranks < 1)[rng.integers(0, len(ranks), (RESAMPLES, len(ranks)))].mean(axis=1)
    return [round(float(bound), 4) for bound in np.percentile(right, (2.5, 97.5))]


def seconds(times: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile of seconds a clip."""
    return {"median_s": round(float(np.median(times)), 3), "p95_s": round(float(np.percentile(times, 95)), 3)}
