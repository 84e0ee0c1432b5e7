"""Protocol B1: real hums against a plain library of 2,048 rendered tunes, and B1-start: against their beginnings only.

The clips are searched one after another in one process on one core, which gives the times. Where a clip is not answered
among the first ten, the stage that lost it is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.metrics import MISSED, Ranks
from bench.sources import Hum
from melody.alignment import align, pooled, scan
from melody.config import AlignmentConfig, Config
from melody.errors import BadClip
from melody.index import FeatureStore, read_tracks, write_index
from melody.search import Answer, Library, search
from melody.training.score import Note, contour_of
from melody.types import Contour, Mode, TrackFeatures

SHOWN = 10
BEGINNING_S = 14.0
UNLIKE_SEMITONES = 1.0  # mean distance from its own tune at which a clip hardly sings it any more
WORSE_SEMITONES = 0.3  # how much farther from the track than from the notes, where the track was heard wrong


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right."""

    right: Mapping[str, Collection[str]]  # for each song the tracks that count
    notes: Mapping[str, Sequence[Note]]  # of each song


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clip."""

    ranks: Ranks
    lost_in: str | None  # None where the tune is among the first ten
    seconds: float
    sure: tuple[tuple[float, bool], ...]  # confidence and rightness of each of the first ten
    stages_ms: Mapping[str, float]


def build_beginnings(index_dir: Path, target: Path, config: Config) -> None:
    """The same tracks cut off after `BEGINNING_S`, made of what the whole ones' analysis kept."""
    store = FeatureStore(index_dir / "features", config)
    tracks = read_tracks(index_dir / (index_dir / "CURRENT").read_text().strip())

    def beginning(sha256: str) -> TrackFeatures | None:
        whole = store.load(sha256)
        return None if whole is None else _cut(whole, config)

    cut = [replace(track, windows=_windows(beginning(track.sha256))) for track in tracks]
    write_index(target, cut, beginning, config, export=False)


def search_all(hums: Sequence[Hum], library: Library, config: Config, truth: Truth) -> list[Outcome]:
    """Search for every hum, one after another."""
    numbers = {track.id: number for number, track in enumerate(library.index.tracks)}
    outcomes = []
    for hum in hums:
        wanted = {numbers[track] for track in truth.right[hum.song] if track in numbers}
        try:
            answer = search(hum.path, library, config, mode=Mode.HUM)
        except BadClip as error:
            outcomes.append(_refused(hum, error.code))
            continue
        ranks = _ranks(hum, answer, wanted, config)
        score = contour_of(truth.notes[hum.song])
        lost_in = None if ranks.final < SHOWN else _lost_in(ranks, answer.query.contour, score, library, wanted)
        sure = tuple((match.confidence, match.track in wanted) for match in answer.matches[:SHOWN])
        outcomes.append(Outcome(ranks, lost_in, answer.timings_ms["total"] / 1000, sure, answer.timings_ms))
    return outcomes


def losses(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The share of all clips that each stage lost."""
    counted = Counter(outcome.lost_in for outcome in outcomes if outcome.lost_in)
    return {stage: round(count / len(outcomes), 4) for stage, count in counted.most_common()}


def reliability(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How right the shown results are at each level of confidence, and the expected calibration error over ten bins."""
    sure = np.array([pair for outcome in outcomes for pair in outcome.sure])
    bins = np.minimum((sure[:, 0] * 10).astype(int), 9)
    rows = {
        f"{10 * b}-{10 * b + 10}": {
            "results": int((bins == b).sum()),
            "confidence": round(float(sure[bins == b, 0].mean()), 3),
            "right": round(float(sure[bins == b, 1].mean()), 3),
        }
        for b in sorted(set(bins))
    }
    error = sum(row["results"] * abs(row["confidence"] - row["right"]) for row in rows.values()) / len(sure)
    return {"expected_calibration_error": round(float(error), 4), "bins": rows}


def melody_accuracy(library: Library, notes: Mapping[str, Sequence[Note]]) -> dict[str, float]:
    """How well the tracks of the 48 songs were heard: share of voiced frames within half a semitone of the notes."""
    numbers = {track.id: number for number, track in enumerate(library.index.tracks)}
    exact, folded = [], []
    for song, score in notes.items():
        heard, truth = library.index.contour(numbers[song]), contour_of(score)
        first = round(score[0].start_s / heard.hop_s)
        frames = min(len(truth.semitones), len(heard.semitones) - first)
        apart = heard.semitones[first : first + frames] - truth.semitones[:frames]
        voiced = heard.voiced[first : first + frames]
        exact.append(float((np.abs(apart[voiced]) < 0.5).mean()))
        folded.append(float((np.abs((apart[voiced] + 6) % 12 - 6) < 0.5).mean()))
    return {"raw_pitch_accuracy": round(float(np.mean(exact)), 4), "octave_folded": round(float(np.mean(folded)), 4)}


def _ranks(hum: Hum, answer: Answer, wanted: Collection[int], config: Config) -> Ranks:
    by_votes = np.argsort(-answer.votes, kind="stable").tolist()
    first_stage = [place.track for place in answer.places[: config.ranking.align_tracks]]
    final = [match.track for match in answer.matches]
    places = [_first(order, wanted) for order in (by_votes, first_stage, final)]
    return Ranks(hum.path.stem, hum.song, *places)


def _first(tracks: Sequence[int], wanted: Collection[int]) -> int:
    return next((rank for rank, track in enumerate(tracks) if track in wanted), MISSED)


def _lost_in(ranks: Ranks, clip: Contour, score: Contour, library: Library, wanted: Collection[int]) -> str:
    """The first stage that is to blame, judged by the clip's distance from the notes and from the track heard."""
    from_score = _distance(clip, score)
    if from_score > UNLIKE_SEMITONES:
        return "clip unlike its notes (singing or pitch)"
    from_track = min(_distance(clip, library.index.contour(track)) for track in wanted)
    if from_track > from_score + WORSE_SEMITONES:
        return "melody of the track"
    if ranks.first_stage == MISSED:
        return "not in the first stage's 100"
    return "ranking"


def _distance(clip: Contour, track: Contour) -> float:
    config = AlignmentConfig()
    curve = pooled(track.semitones, round(config.scan_hop_s / track.hop_s))
    offsets = np.array([0, len(curve)], dtype=np.int64)
    place = scan(clip, curve, offsets, np.zeros(1, dtype=np.int32), config)[0]
    return align(clip, track, place, config).distance


def _refused(hum: Hum, code: str) -> Outcome:
    return Outcome(Ranks(hum.path.stem, hum.song, MISSED, MISSED, MISSED), f"refused ({code})", 0.0, (), {})


def _cut(whole: TrackFeatures, config: Config) -> TrackFeatures:
    frames = round(BEGINNING_S / whole.contour.hop_s)
    contour = Contour(whole.contour.semitones[:frames], whole.contour.voiced[:frames], whole.contour.hop_s)
    inside = whole.start_s <= BEGINNING_S - config.windows.length_s * config.windows.min_filled
    return TrackFeatures(contour, whole.start_s[inside], whole.vectors[inside], min(whole.duration_s, BEGINNING_S))


def _windows(features: TrackFeatures | None) -> int:
    return 0 if features is None else len(features.start_s)
