"""Does a killed build lose anything? A library is built while the build is killed (SIGKILL) again and again.

`python -m bench.kill_build --tracks 300 --kills 5` renders a library of random tunes, indexes a few of them, and lets
builds of the whole die at chosen moments: as more and more tracks are analysed, and the last one while it writes the
index. All the while the old index must load and answer. Then a build runs to its end, and everything is counted.
Needs Linux (`/proc`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from melody.config import Config
from melody.index import load_index
from melody.training.rendering import SAMPLE_RATE_HZ, draw_lead, render_notes
from melody.training.score import Note

RESULTS = Path(__file__).parent / "results" / "kill_build.json"
BUILD = """
import json, sys
from pathlib import Path
from melody.build import build
from melody.config import Config

if __name__ == "__main__":
    library, index_dir, workers = sys.argv[1:]
    print(json.dumps(build(Path(library), Path(index_dir), Config(), workers=int(workers)).as_json()))
"""
LONGEST_S = 3600.0


@dataclass(slots=True)
class KillReport:
    """What was lost (nothing, one hopes) and what was seen on the way."""

    tracks: int
    kills: int = 0
    killed_at: list[int] = field(default_factory=list)  # tracks whose features were saved at each kill
    killed_while_writing: bool = False  # a half-written version was there
    answers_meanwhile: int = 0  # times that the old index was opened and searched, and was right
    wrong_answers: int = 0
    workers_left_s: float = 0.0  # the longest that a worker outlived its build
    analysed_again: int = 0  # features that were saved and yet made anew
    analysed_at_last: int = 0
    missing: int = 0
    failures: int = 0
    remains: int = 0  # half-written folders after the last build
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing done twice, and the old index was right whenever it was asked."""
        bad = (self.wrong_answers, self.analysed_again, self.missing, self.failures, self.remains)
        return not any(bad) and self.answers_meanwhile > 0


def kill_builds(library: Path, index_dir: Path, *, kills: int, workers: int) -> KillReport:
    """Kill `kills` builds of `library`, then finish one. `index_dir` holds the index of some of its tracks already."""
    started = time.monotonic()
    names = [path for path in library.iterdir() if path.is_file()]
    report = KillReport(tracks=len(names))
    first = len(saved_features(index_dir))
    before = saved_features(index_dir)
    steps = np.linspace(first, len(names), kills + 1)[1:]
    for step in steps:
        # The last one is let through to the writing of the version.
        is_last = step == steps[-1]
        ready = _is_writing if is_last else _has_saved(round(float(step)))
        _kill_when(ready, library, index_dir, workers, report)
        after = saved_features(index_dir)
        report.analysed_again += sum(after.get(name) != mark for name, mark in before.items())
        report.killed_at.append(len(after))
        before = after
    _finish(library, index_dir, workers, report, before)
    report.seconds = round(time.monotonic() - started, 1)
    return report


def saved_features(index_dir: Path) -> dict[str, tuple[int, int]]:
    """Each saved feature file with the inode and time that a second analysis would change."""
    found = sorted((index_dir / "features").glob("??/*.npz"))
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def _has_saved(count: int) -> Callable[[Path], bool]:
    return lambda index_dir: len(list((index_dir / "features").glob("??/*.npz"))) >= count


def _is_writing(index_dir: Path) -> bool:
    return any(index_dir.glob(".partial-*"))


def _start(library: Path, index_dir: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(library), str(index_dir), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _kill_when(ready: Callable[[Path], bool], library: Path, index_dir: Path, workers: int, report: KillReport) -> None:
    child = _start(library, index_dir, workers)
    asked = 0.0
    while child.poll() is None and not ready(index_dir):
        if time.monotonic() - asked > 0.1:
            _ask(index_dir, report)
            asked = time.monotonic()
        time.sleep(0.001)
    if child.poll() is None:
        os.kill(child.pid, signal.SIGKILL)
        report.kills += 1
        report.killed_while_writing |= _is_writing(index_dir)
    killed = time.monotonic()
    child.wait()
    while _session(child.pid) and time.monotonic() - killed < 30:
        time.sleep(0.02)
    report.workers_left_s = max(report.workers_left_s, round(time.monotonic() - killed, 2))
    child.communicate()
    _ask(index_dir, report)


def _ask(index_dir: Path, report: KillReport) -> None:
    """Open the current index anew and look for a window of each of its tracks."""
    index = load_index(index_dir, Config())
    rows = np.unique(index.arrays.window_tracks, return_index=True)[1]
    vectors = np.stack([index.vectors.row(int(row)) for row in rows])
    found = index.nearest(vectors, 1)
    is_right = bool((found.score[:, 0] > 0.95).all()) and len(rows) == len(index.tracks)
    report.answers_meanwhile += is_right
    report.wrong_answers += not is_right


def _session(leader: int) -> list[int]:
    """Processes that still run in the session which `leader` began."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def _finish(
    library: Path, index_dir: Path, workers: int, report: KillReport, before: dict[str, tuple[int, int]]
) -> None:
    output, errors = _start(library, index_dir, workers).communicate(timeout=LONGEST_S)
    if not output:
        raise RuntimeError(errors)
    built = json.loads(output)
    after = saved_features(index_dir)
    report.analysed_again += sum(after.get(name) != mark for name, mark in before.items())
    report.analysed_at_last = built["analysed"]
    report.failures = len(built["failures"])
    report.missing = report.tracks - len(load_index(index_dir, Config()).tracks)
    report.remains = len(list(index_dir.glob(".partial-*")))
    _ask(index_dir, report)


def _random_notes(seed: int) -> list[Note]:
    draw = np.random.default_rng(seed)
    notes: list[Note] = []
    time_s, pitch = 0.0, 67
    while time_s < 15 + seed % 10:
        length_s = float(draw.choice([0.25, 0.5, 0.75]))
        pitch = int(np.clip(pitch + draw.integers(-4, 5), 55, 79))
        notes.append(Note(time_s, time_s + length_s, pitch))
        time_s += length_s
    return notes


def _render(job: tuple[Path, int]) -> None:
    path, seed = job
    soundfile.write(path, render_notes(_random_notes(seed), draw_lead(path.stem, seed)), SAMPLE_RATE_HZ)


def _render_all(folder: Path, count: int, workers: int) -> None:
    folder.mkdir()
    jobs = [(folder / f"tune_{number:04d}.flac", number) for number in range(count)]
    with get_context("spawn").Pool(workers) as pool:
        pool.map(_render, jobs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the check from a shell, print its report and keep it in `bench/results/`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=300)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        library, index_dir = Path(name, "library"), Path(name, "index")
        _render_all(library, options.tracks, options.workers)
        report = kill_builds(
            library, begin(library, index_dir, options.workers), kills=options.kills, workers=options.workers
        )
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    machine = {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
    command = " ".join(["python -m bench.kill_build", *sys.argv[1:]])
    result = {
        "command": command,
        **asdict(report),
        "is_clean": report.is_clean,
        "commit": git.stdout.strip(),
        "machine": machine,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))
    sys.exit(not report.is_clean)


def begin(library: Path, index_dir: Path, workers: int, *, tracks: int = 3) -> Path:
    """Index the first few tracks alone, so that there is something to answer while the builds of the whole die."""
    with tempfile.TemporaryDirectory() as name:
        for path in sorted(library.iterdir())[:tracks]:
            shutil.copy2(path, name)
        _output, errors = _start(Path(name), index_dir, workers).communicate(timeout=LONGEST_S)
    if not (index_dir / "CURRENT").exists():
        raise RuntimeError(errors)
    return index_dir


if __name__ == "__main__":
    main()
