"""Analysis in processes of their own: a file that hangs, crashes or eats memory takes nothing else with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from melody.config import Config
from melody.errors import EngineNotReady, MelodyError
from melody.index import FeatureStore
from melody.types import TrackFeatures

CRASHED = "the analysis of this file crashed"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_CHANCES = 2
_GRACE_S = 5.0
_STOPPED = 143  # as a shell shows SIGTERM


@dataclass(frozen=True, slots=True)
class Job:
    """One file to analyse."""

    path: Path
    name: str  # below the library
    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. Its features are in the store unless there is a reason why not."""

    job: Job
    duration_s: float = 0.0
    windows: int = 0
    reason: str | None = None


def analyse(jobs: Sequence[Job], features: Path, config: Config, workers: int) -> Generator[Outcome, None, None]:
    """Analyse files side by side; each worker saves what it heard, so that a stop loses only what was under way.

    When a process dies, whatever was under way is tried again, each alone: a file that then kills its worker twice is
    given up. Raises EngineNotReady where no file can be analysed.
    """
    # The largest first, so that no long recording is left over for one worker at the end.
    waiting = deque(sorted(jobs, key=lambda job: job.size, reverse=True))
    with _one_thread_each():
        while waiting:
            lost = yield from _side_by_side(waiting, features, config, workers)
            for job in lost:
                for _ in range(_CHANCES):
                    if not (yield from _side_by_side(deque([job]), features, config, 1)):
                        break
                else:
                    yield Outcome(job, reason=CRASHED)


def _side_by_side(
    waiting: deque[Job], features: Path, config: Config, workers: int
) -> Generator[Outcome, None, list[Job]]:
    """Take jobs from `waiting` until none is left or a worker dies; returns those under way then."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(waiting)), mp_context=context, initializer=_start_worker)
    running: dict[Future[Outcome], Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) <= workers:
                running[pool.submit(_analyse, waiting[0], features, config)] = waiting[0]
                waiting.popleft()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                del running[future]
                yield outcome
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    # Libraries look at these when they are loaded, before any line of ours runs in a worker.
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(_STOPPED)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # First a chance to end FFmpeg and to remove its folder.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os._exit(_STOPPED)


def _analyse(job: Job, features: Path, config: Config) -> Outcome:
    store = FeatureStore(features, config)
    try:
        # A file that was under way when another killed the pool may have been finished.
        heard = store.load(job.sha256) or _listen(job, store, config)
    except EngineNotReady:
        raise
    except MelodyError as error:
        return Outcome(job, reason=error.message)
    except SystemExit:
        os._exit(_STOPPED)  # the pool's own loop would take it for a result and wait for more work
    except Exception as error:  # one file's trouble, whatever it is, must not stop the others
        return Outcome(job, reason=f"{type(error).__name__}: {error}")
    return Outcome(job, heard.duration_s, len(heard.start_s))


def _listen(job: Job, store: FeatureStore, config: Config) -> TrackFeatures:
    from melody.ingest import ingest  # late: whoever starts the workers needs no Torch

    heard = ingest(job.path, config)
    status = job.path.stat()
    if (status.st_size, status.st_mtime_ns) != (job.size, job.mtime_ns):
        raise MelodyError("The file changed while it was read; build again.")
    store.save(job.sha256, heard)
    return heard
