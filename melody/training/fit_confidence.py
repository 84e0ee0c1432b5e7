"""Fit the confidence of `ranking.py`: a logistic of a few signals of a clip-track pair, for hums and for song clips
apart.

    python -m melody.training.fit_confidence SCORES_DIR --measured DIR [DIR ...] --work DIR

SCORES_DIR holds tunes that may be trained on (MIDI); every one that shares a run of notes with a tune of the
`--measured` folders is dropped. The rest are rendered (simulated instruments) and become a library; simulated singers
hum a part of each, instruments play a part of each in another key and tempo. The target is taken away from half of
the clips, so that a clip without its tune in the library is as common as one with it. Tunes are held out, by tune,
for the metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from scipy.optimize import minimize

from melody.build import build
from melody.config import Config
from melody.errors import BadClip
from melody.ranking import SIGNALS, pair_signals, probability
from melody.search import Library, open_library, search
from melody.training.clips import ClipConfig, played, sung
from melody.training.rendering import render_library
from melody.training.same_tune import leaks
from melody.training.score import Note, read_notes
from melody.types import Floats, Mode

WEIGHTS = Path(__file__).parent.parent / "weights"
_MAKERS = {Mode.HUM: sung, Mode.SONG_CLIP: played}


@dataclass(frozen=True, slots=True)
class TrainConfig:
    name: str = "confidence-1"
    seed: int = 20261121
    clips: ClipConfig = field(default_factory=ClipConfig)
    sung_tunes: int = 245  # of those kept, drawn by seed; the others are only there to be told apart
    clips_a_tune: int = 1  # of each mode
    target_there: float = 0.5  # of the clips
    held_out: float = 0.3  # of the tunes
    matches: int = 10  # pairs of each clip that count, the nearest first
    ridge: float = 1e-3


@dataclass(frozen=True, slots=True)
class Pairs:
    """Clip-track pairs of one mode: their signals, whether the tune is the same, and each pair's tune."""

    signals: Floats  # (m, 4)
    same: npt.NDArray[np.bool_]  # (m,)
    tune: npt.NDArray[np.int64]  # (m,) number of the clip's tune


def main(config: TrainConfig, scores: Path, measured: Sequence[Path], work: Path) -> None:
    """Render, sing, search, fit, and write the weights with their metrics."""
    tunes = {path.stem: read_notes(path) for path in sorted(scores.glob("*.mid"))}
    dropped = leaks(
        tunes, {path.stem: read_notes(path) for folder in measured for path in sorted(folder.glob("*.mid"))}
    )
    kept = [name for name in tunes if name not in dropped]
    files = [scores / f"{name}.mid" for name in kept]
    workers = os.cpu_count() or 1
    render_library(files, work / "library", seed=config.seed, workers=workers)
    build(work / "library", work / "index", Config(), workers=workers)
    with get_context("spawn").Pool(workers, initializer=_open, initargs=(work / "index",)) as pool:
        drawn = np.random.default_rng(config.seed).permutation(len(kept))[: config.sung_tunes]
        jobs = [(int(number), kept[number], tunes[kept[number]], config) for number in drawn]
        rows = [row for found in pool.imap(_tune_rows, jobs, chunksize=4) for row in found]
    held_out = drawn[: round(config.held_out * len(drawn))]
    weights: dict[str, dict[str, float]] = {}
    metrics: dict[str, dict[str, float]] = {}
    for mode in Mode:
        pairs = _gather(rows, mode)
        aside = np.isin(pairs.tune, held_out)
        fitted = fit(_subset(pairs, ~aside), config)
        weights[mode] = {name: round(float(w), 4) for name, w in zip((*SIGNALS, "constant"), fitted, strict=True)}
        metrics[mode] = calibration(_subset(pairs, aside), fitted)
    _write(config, weights, metrics, {"tunes": len(tunes), "dropped": len(dropped), "kept": len(kept)})


def fit(pairs: Pairs, config: TrainConfig) -> Floats:
    """Logistic regression with a little ridge: weights (5,), the constant last. Raises ValueError for one kind."""
    if pairs.same.all() or not pairs.same.any():
        raise ValueError("The pairs are all of one kind: nothing can be told apart.")
    scale = pairs.signals.std(axis=0) + 1e-6
    inputs = np.c_[pairs.signals / scale, np.ones(len(pairs.same))]
    signs = np.where(pairs.same, 1.0, -1.0)

    def loss(weights: npt.NDArray[np.float64]) -> float:
        surprise = np.logaddexp(0, -signs * (inputs @ weights)).mean()
        return float(surprise + config.ridge * np.square(weights[:-1]).sum())

    found = minimize(loss, np.zeros(inputs.shape[1]), method="BFGS")
    return np.asarray(found.x / np.append(scale, 1.0), dtype=np.float32)


def calibration(pairs: Pairs, weights: Floats) -> dict[str, float]:
    """On held-out tunes: expected calibration error of all pairs in ten bins, and how right those at 85 and 55 are."""
    sure = probability(pairs.signals, weights)
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(float(sure[bins == b].mean() - pairs.same[bins == b].mean())) * (bins == b).mean() for b in set(bins)]
    right = {percent: pairs.same[sure >= percent / 100] for percent in (85, 55)}
    return {
        "pairs": len(sure),
        "expected_calibration_error": round(float(sum(gaps)), 4),
        **{f"right_of_those_at_{percent}": round(float(same.mean()), 4) for percent, same in right.items()},
        **{
            f"same_tune_pairs_at_{percent}": round(float(same.sum() / pairs.same.sum()), 4)
            for percent, same in right.items()
        },
    }


_opened: list[Library] = []  # one, in each worker
Row = tuple[Mode, int, Floats, bool]


def _open(index_dir: Path) -> None:
    _opened.append(open_library(index_dir, Config()))


def _tune_rows(job: tuple[int, str, list[Note], TrainConfig]) -> list[Row]:
    """All pairs of the clips of one tune."""
    number, name, notes, config = job
    rng = np.random.default_rng([config.seed, number])
    clips = [
        (mode, made(notes, rng, config.clips)) for _ in range(config.clips_a_tune) for mode, made in _MAKERS.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        rows: list[Row] = []
        for mode, (samples, rate_hz) in clips:
            soundfile.write(path, samples, rate_hz)
            there = rng.random() < config.target_there
            rows += [(mode, number, signals, same) for signals, same in _pairs(path, name, mode, config, there=there)]
        return rows


def _pairs(path: Path, name: str, mode: Mode, config: TrainConfig, *, there: bool) -> Iterator[tuple[Floats, bool]]:
    """Signals of the clip's nearest pairs and whether each is the same tune; without the target unless it is there."""
    library = _opened[0]
    try:
        answer = search(path, library, Config(), mode=mode)
    except BadClip:
        return
    stems = [Path(track.path).stem for track in library.index.tracks]
    same = [stems[match.track] == name for match in answer.matches]
    alignments = [m.alignment for m, is_same in zip(answer.matches, same, strict=True) if there or not is_same]
    signals = pair_signals(answer.query.contour, alignments, Config().ranking)
    for row in np.argsort(-signals[:, 0], kind="stable")[: config.matches]:
        yield signals[row], stems[alignments[row].track] == name


def _gather(rows: Sequence[Row], mode: Mode) -> Pairs:
    mine = [row for row in rows if row[0] is mode]
    return Pairs(
        signals=np.stack([signals for _, _, signals, _ in mine]),
        same=np.array([same for *_, same in mine]),
        tune=np.array([number for _, number, _, _ in mine]),
    )


def _subset(pairs: Pairs, which: npt.NDArray[np.bool_]) -> Pairs:
    return Pairs(pairs.signals[which], pairs.same[which], pairs.tune[which])


def _write(config: TrainConfig, weights: object, metrics: object, tunes: dict[str, int]) -> None:
    folder = WEIGHTS / config.name
    folder.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    _write_json(folder / "config.json", {"weights": weights, "training": asdict(config)})
    _write_json(folder / "metrics.json", {"commit": commit, "tunes": tunes, "held_out_tunes": metrics})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--measured", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    main(TrainConfig(), options.scores, options.measured, options.work)
