"""Keeps the workers of all queues at work: one process group a queue, restarted whole when it dies or falls silent.

It also looks after the jobs themselves: what lost its worker or its message is queued again, what is old goes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from melody.errors import EngineNotReady
from searchapp import queue
from searchapp.library import services as library
from searchapp.library.models import IndexBuild
from searchapp.search import services as search
from searchapp.search.models import SearchJob

_TICK_S = 0.5
_CANARY_S = 10.0
_RESTART_S = 1.0
_log = structlog.get_logger(__name__)


@dataclass
class Group:
    """The processes that work on one queue."""

    queue: str
    leader: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=0.0)

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.leader = subprocess.Popen(
            [
                sys.executable,
                str(settings.BASE_DIR / "manage.py"),
                "work",
                "--queue",
                self.queue,
                "--parent",
                str(os.getpid()),
            ],
            env={**os.environ, "Q_CLUSTER_NAME": self.queue, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_at

    @property
    def is_running(self) -> bool:
        return self.leader is not None and self.leader.poll() is None

    @property
    def is_silent(self) -> bool:
        """Whether none of its workers showed its life for too long."""
        patience_s = settings.HEARTBEAT_STALE[self.queue].total_seconds()
        return self.age_s > patience_s and not queue.is_alive(self.queue)

    def ask_to_stop(self) -> None:
        if self.leader is not None and self.leader.poll() is None:
            self.leader.terminate()

    def end(self, grace_s: float = 0.0) -> None:
        """Wait so long for what is under way, then end every process of the group."""
        if self.leader is None:
            return
        try:
            self.leader.wait(grace_s)
        except subprocess.TimeoutExpired:
            _log.warning("workers_killed", queue=self.queue)
        with contextlib.suppress(ProcessLookupError):  # all of them may have gone by themselves
            os.killpg(self.leader.pid, signal.SIGKILL)
        self.leader.wait()


class Supervisor:
    """Runs until it is told to stop, or until the process `parent`, if there is one, is no longer its parent."""

    def __init__(self, queues: tuple[str, ...] = queue.QUEUES, *, parent: int | None = None) -> None:
        self.groups = [Group(name) for name in queues]
        self._stop = threading.Event()
        self._parent = parent
        self._canaries = dict.fromkeys(queues, 0.0)
        self._chores = [
            _Chore(5.0, SearchJob.recover),
            _Chore(5.0, IndexBuild.recover),
            _Chore(5.0, library.adopt_current_index),
            _Chore(60.0, search.purge),
        ]

    def run(self) -> None:
        for group in self.groups:
            group.start()
        try:
            while not self._stop.wait(_TICK_S) and not self._is_orphan():
                self.tick()
        finally:
            for group in self.groups:
                group.ask_to_stop()
            for group in self.groups:
                group.end(settings.STOP_GRACE_S)

    def stop(self) -> None:
        self._stop.set()

    def tick(self) -> None:
        """One look at everything. A database that is away for a moment must not end the supervisor."""
        try:
            close_old_connections()
            for group in self.groups:
                self._look_after(group)
            for chore in self._chores:
                chore.do_if_due()
        except (DatabaseError, EngineNotReady, OSError) as error:
            _log.warning("supervisor_hindered", error=str(error))

    def _look_after(self, group: Group) -> None:
        if group.is_running and not group.is_silent:
            self._send_canary(group.queue)
            return
        if group.age_s < _RESTART_S:
            return
        _log.warning("workers_restarted", queue=group.queue, silent=group.is_running)
        group.end()
        group.start()

    def _send_canary(self, name: str) -> None:
        """Now and then, and not behind another that still waits for a busy worker."""
        if time.monotonic() - self._canaries[name] < _CANARY_S:
            return
        self._canaries[name] = time.monotonic()
        last = queue.last_beat(name)
        if last is None or (timezone.now() - last).total_seconds() > _CANARY_S / 2:
            queue.send_canary(name)

    def _is_orphan(self) -> bool:
        return self._parent is not None and os.getppid() != self._parent


@dataclass
class _Chore:
    every_s: float
    do: Callable[[], object]
    done_at: float = float("-inf")

    def do_if_due(self) -> None:
        if time.monotonic() - self.done_at >= self.every_s:
            self.done_at = time.monotonic()
            self.do()
