"""`python -m bench B1 [--clips even|tuning|all] [--no-baseline]`: measure, print tables, write
bench/results/<P>.json."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median
from typing import Any

from bench.baseline import Baseline
from bench.hums import Outcome, Truth, build_beginnings, losses, melody_accuracy, reliability, search_all
from bench.metrics import MISSED, Ranks, figures, seconds
from bench.records import table, write_record
from bench.sources import Hum, cache_dir, corpus_weights, data_dir, plain_library, read_hums, right_answers, song_notes
from melody.build import build
from melody.config import Config
from melody.search import Library, open_library
from melody.training.rendering import render_library
from melody.warmup import warm_up

PROTOCOL = "B1: real hums, 2,048 rendered tunes, anywhere in the song; B1-start: their beginnings only"
SEED = 1
COLUMNS = ["top-1", "top-10", "MRR", "first stage @100", "votes alone @100", "s median", "s p95"]
RUNS = {"engine": "engine", "engine_start": "engine, B1-start", "baseline": "baseline (untrained CNN)"}
MIXES = ("capped_mix", "even_songs", "corpus_mix", "macro_over_songs")


def main() -> None:
    """Run one protocol."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("protocol", choices=["B1"])
    parser.add_argument("--clips", choices=["even", "tuning", "all"], default="even", help="even clips are reported")
    parser.add_argument("--no-baseline", action="store_true", help="leave the plain design out")
    options = parser.parse_args()
    started = f"{options.clips} clips"
    hums, audio, cache = read_hums(data_dir(), options.clips), cache_dir() / "b1" / "audio", cache_dir() / "b1"
    truth, corpus = Truth(right_answers(data_dir()), song_notes(data_dir())), corpus_weights(data_dir())
    workers = os.cpu_count() or 1
    rendered = render_library(plain_library(data_dir()), audio, seed=SEED, workers=workers)
    say(f"{started}; {rendered} tracks rendered (simulated music)")
    record: dict[str, Any] = {
        "protocol": PROTOCOL,
        "clips": options.clips,
        "variants_counted_as_right": variants(truth),
    }
    record |= measure_engine(hums, audio, cache, truth, corpus)
    if not options.no_baseline:
        record["baseline"] = measure_baseline(hums, audio, cache / "baseline", truth, corpus)
    path = write_record("B1" if options.clips == "even" else f"B1-{options.clips}", record)
    print_tables(record)
    say(f"written to {path.name}")


def measure_engine(hums: list[Hum], audio: Path, cache: Path, truth: Truth, corpus: dict[str, float]) -> dict[str, Any]:
    """Index the library, then search it, and then the beginnings of its tracks alone."""
    config = Config()
    built = build(audio, cache / "index", config, export=False)
    say(f"{built.tracks} tracks indexed, {built.analysed} of them anew, {built.times_real_time:.0f}x real time")
    library = ready(cache / "index", config)
    outcomes = search_all(hums, library, config, truth)
    build_beginnings(cache / "index", cache / "beginnings", config)
    beginnings = search_all(hums, ready(cache / "beginnings", config), config, truth)
    return {
        "build": {**built.as_json(), **index_size(cache / "index", built.tracks)},
        "tracks_heard": melody_accuracy(library, truth.notes),
        "engine": summary(outcomes, corpus),
        "engine_start": summary(beginnings, corpus),
    }


def variants(truth: Truth) -> dict[str, list[str]]:
    """Tracks that count as right beside the song itself."""
    return {song: sorted(set(tracks) - {song}) for song, tracks in truth.right.items() if len(tracks) > 1}


def ready(index_dir: Path, config: Config) -> Library:
    """The index, loaded and warmed up, so that no clip pays for it."""
    library = open_library(index_dir, config)
    warm_up(library, config)
    return library


def summary(outcomes: list[Outcome], corpus: dict[str, float]) -> dict[str, Any]:
    """All figures of one run of the engine."""
    timed = [outcome.stages_ms for outcome in outcomes if outcome.stages_ms]
    return {
        **figures([outcome.ranks for outcome in outcomes], corpus),
        "time": seconds([outcome.seconds for outcome in outcomes]),
        "stage_ms_median": {stage: round(median(ms[stage] for ms in timed), 1) for stage in timed[0]},
        "lost_of_all_clips": losses(outcomes),
        "confidence": reliability(outcomes),
    }


def measure_baseline(
    hums: list[Hum], audio: Path, cache: Path, truth: Truth, corpus: dict[str, float]
) -> dict[str, Any]:
    """The plain design on the same clips and the same library."""
    baseline = Baseline.build(sorted(audio.glob("*.flac")), cache, os.cpu_count() or 1)
    ranks, times = [], []
    for hum in hums:
        found, wanted = baseline.rank(hum.path), truth.right[hum.song]
        first, final = (
            next((rank for rank, track in enumerate(order) if track in wanted), MISSED)
            for order in (found.first_stage, found.tracks)
        )
        ranks.append(Ranks(hum.path.stem, hum.song, first, first, final))
        times.append(found.seconds)
    design = "untrained log-mel CNN on 10 s segments, FAISS top 50, pYIN + librosa.sequence.dtw"
    return {"design": design, **figures(ranks, corpus), "time": seconds(times)}


def index_size(index_dir: Path, tracks: int) -> dict[str, float]:
    """Megabytes on disk: of the version that is searched, and of the features kept for later builds."""
    version = index_dir / (index_dir / "CURRENT").read_text().strip()
    bytes_of = {
        "index_mb": sum(file.stat().st_size for file in version.rglob("*") if file.is_file()),
        "features_mb": sum(file.stat().st_size for file in (index_dir / "features").rglob("*") if file.is_file()),
    }
    sizes = {name: round(size / 1e6, 1) for name, size in bytes_of.items()}
    return {**sizes, "index_mb_per_1000_tracks": round(sizes["index_mb"] / max(tracks, 1) * 1000, 1)}


def print_tables(record: dict[str, Any]) -> None:
    """What a person wants to see first."""
    rows: dict[str, list[Any]] = {}
    for run, label in RUNS.items():
        for mix in MIXES if run in record else ():
            found = record[run][mix]
            stages = [found.get(f"{stage}_recall_at_100", "") for stage in ("first_stage", "votes")]
            times = list(record[run]["time"].values()) if mix == "capped_mix" else ["", ""]
            rows[f"{label}, {mix.replace('_', ' ')}"] = [found["top_1"], found["top_10"], found["mrr"], *stages, *times]
    say(table("B1", COLUMNS, rows))
    lost = {stage: [share] for stage, share in record["engine"]["lost_of_all_clips"].items()}
    say(table("lost to the first ten, of all clips", ["share"], lost))
    confidence = record["engine"]["confidence"]
    bins = {name: list(row.values()) for name, row in confidence["bins"].items()}
    say(table("confidence", ["results", "said", "right"], bins))
    say(f"expected calibration error {confidence['expected_calibration_error']:.3f}")


def say(text: str) -> None:
    """One message, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
