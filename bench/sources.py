"""Where the bench's data is, and which clip sings which tune.

The data lies beside the project (`../shared/bench`, or `BENCH_DATA`) and is never copied into it; what is made of it
lies in `.cache/bench` (or `BENCH_CACHE`), outside git.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from melody.training.same_tune import variants
from melody.training.score import Note, read_notes

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Hum:
    """A recording of somebody who sings or hums a tune."""

    path: Path
    song: str
    number: int  # of the clip within its song

    @property
    def is_tuning(self) -> bool:
        """Odd clips of odd songs are for tuning; what is reported are even clips, and even songs apart."""
        return self.number % 2 == 1 and int(self.song) % 2 == 1


def data_dir() -> Path:
    """The folder of the bench's data. Raises FileNotFoundError with what to do."""
    folder = Path(os.environ.get("BENCH_DATA", ROOT.parent / "shared" / "bench"))
    if not (folder / "hums.csv").is_file():
        raise FileNotFoundError(f"There is no bench data in {folder}. Set BENCH_DATA to a folder with hums.csv.")
    return folder


def cache_dir() -> Path:
    """Where rendered libraries, indexes and the baseline's features are kept between runs."""
    return Path(os.environ.get("BENCH_CACHE", ROOT / ".cache" / "bench"))


def read_hums(folder: Path, which: str) -> list[Hum]:
    """The hums of `hums.csv`: the `even` clips (reported), the `tuning` ones, or `all`."""
    with (folder / "hums.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    hums = [Hum(folder / "hums" / row["clip"], row["song"], int(Path(row["clip"]).stem.split("_")[1])) for row in rows]
    if which == "all":
        return hums
    return [hum for hum in hums if (hum.is_tuning if which == "tuning" else hum.number % 2 == 0)]


def corpus_weights(folder: Path) -> dict[str, float]:
    """How many recordings of each song the whole corpus has, by which the capped mix is weighted back."""
    with (folder / "songs48.csv").open(encoding="utf-8", newline="") as file:
        return {row["song"]: float(row["recordings_in_corpus"]) for row in csv.DictReader(file)}


def plain_library(folder: Path) -> list[Path]:
    """The 2,048 scores of B1: the 48 tunes and the distractors."""
    return sorted((folder / "songs48").glob("*.mid")) + sorted((folder / "essen2000").glob("*.mid"))


def right_answers(folder: Path) -> dict[str, set[str]]:
    """For each song the tracks that count as right: itself, and variants of it among the distractors."""
    songs = {path.stem: read_notes(path) for path in sorted((folder / "songs48").glob("*.mid"))}
    others = {path.stem: read_notes(path) for path in sorted((folder / "essen2000").glob("*.mid"))}
    found: Mapping[str, list[str]] = variants(songs, others)
    return {song: {song, *found[song]} for song in songs}


def song_notes(folder: Path) -> dict[str, list[Note]]:
    """The notes of the 48 tunes, the truth about them."""
    return {path.stem: read_notes(path) for path in sorted((folder / "songs48").glob("*.mid"))}
