"""The engine from a shell: `python -m melody build LIBRARY_DIR INDEX_DIR`, `python -m melody search INDEX_DIR CLIP
...`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melody.build import Progress, build
from melody.config import Config
from melody.errors import BadClip, MelodyError
from melody.types import MatchType, Mode

EXIT_NOT_READY = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when done, 1 when every clip was bad, 2 for a wrong call, 3 when an operator must act."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except MelodyError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return EXIT_NOT_READY


def _build(options: argparse.Namespace) -> int:
    on_progress = _show_progress if sys.stderr.isatty() else None
    report = build(
        options.library,
        options.index,
        Config(),
        features=options.features,
        workers=options.workers,
        export=options.export,
        on_progress=on_progress,
    )
    if on_progress:
        print(file=sys.stderr)
    print(json.dumps(report.as_json(), ensure_ascii=False))
    return 0


def _search(options: argparse.Namespace) -> int:
    # Torch, FAISS and numba load here and not with the module: a build's children need none of the last two.
    from melody.search import open_library
    from melody.warmup import warm_up

    config = Config()
    library = open_library(options.index, config)
    warm_up(library, config)
    answered = 0
    for clip in options.clips:
        line = _answer_line(clip, library, config, options)
        answered += line["error"] is None
        if options.json:
            print(json.dumps(line, ensure_ascii=False), flush=True)
        else:
            _print_table(line, all_matches=options.include_maybe)
    return 0 if answered else 1


def _answer_line(clip: Path, library: Any, config: Config, options: argparse.Namespace) -> dict[str, Any]:
    from melody.results import query_json, results_json
    from melody.search import search

    line: dict[str, Any] = {"clip": str(clip), "results": [], "query": None, "timingsMs": None, "error": None}
    try:
        answer = search(clip, library, config, mode=options.mode, top_k=options.top_k)
    except BadClip as error:
        return {**line, "error": error.as_json()}
    timings = {stage: round(ms, 2) for stage, ms in answer.timings_ms.items()}
    return {**line, "results": results_json(answer, library), "query": query_json(answer.query), "timingsMs": timings}


def _print_table(line: dict[str, Any], *, all_matches: bool) -> None:
    print(f"\n{line['clip']}")
    if line["error"]:
        print(f"  {line['error']['message']} {line['error']['hint']}")
        return
    shown = [r for r in line["results"] if all_matches or r["matchType"] != MatchType.MAYBE]
    if not shown:
        print(f"  no match ({line['query']['voicedSec']:.1f} s of a tune heard)")
        return
    print(f"  {'sure':>5}  {'resemblance':<11} {'from':>8} {'to':>8} {'semitones':>9} {'tempo':>6}  title")
    for r in shown:
        place = f"{_clock(r['segmentStartSec']):>8} {_clock(r['segmentEndSec']):>8}"
        moved = f"{r['transposeSemitones']:>+9.1f} {r['tempoRatio']:>5.2f}x"
        label = r["matchType"].replace("_", " ")
        print(f"  {r['confidence']:>3} %  {label:<11} {place} {moved}  {r['title']} ({r['artist']})")


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _show_progress(progress: Progress) -> None:
    left = "" if progress.remaining_s is None else f", {_clock(progress.remaining_s)} left"
    print(f"\r\033[K{progress.done} of {progress.total} tracks{left}  {progress.path[-60:]}", end="", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m melody", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    to_build = commands.add_parser("build", help="make or renew the index of a folder of audio; prints a JSON summary")
    to_build.add_argument("library", type=Path, metavar="LIBRARY_DIR")
    to_build.add_argument("index", type=Path, metavar="INDEX_DIR")
    to_build.add_argument("--workers", type=_positive, help="processes (default: one a processor)")
    to_build.add_argument("--features", type=Path, metavar="DIR", help="where analyses are kept (INDEX_DIR/features)")
    to_build.add_argument(
        "--export",
        action=argparse.BooleanOptionalAction,
        help="meta.json for other tools (default: up to 2,000 tracks)",
    )
    to_build.set_defaults(run=_build)
    to_search = commands.add_parser("search", help="find the tracks whose melody resembles each clip's")
    to_search.add_argument("index", type=Path, metavar="INDEX_DIR")
    to_search.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    to_search.add_argument(
        "--mode", type=Mode, choices=list(Mode), default=Mode.SONG_CLIP, help="what the clips are (song_clip)"
    )
    to_search.add_argument("--top-k", type=_positive, default=10, help="results a clip (10)")
    to_search.add_argument("--json", action="store_true", help="one JSON line a clip, with the unlikely matches too")
    to_search.add_argument("--include-maybe", action="store_true", help="show unlikely matches in the table too")
    to_search.set_defaults(run=_search)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
