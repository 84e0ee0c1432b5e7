"""The only file that knows django-q2: telling the broker, signs of life, and the process that works on one queue."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.signals import post_spawn
from django_q.tasks import async_task

from searchapp.models import Heartbeat

SEARCHES = "searches"
BUILDS = "builds"
QUEUES = (SEARCHES, BUILDS)
_LOOK_S = 0.5
_log = structlog.get_logger(__name__)


def enqueue(queue: str, task: str, job_id: str) -> None:
    """Tell the broker of a queue that `task` (a dotted name) is to be called with a job's id."""
    async_task(task, job_id, q_options={"cluster": queue})


def waiting(queue: str) -> int:
    """How many messages the broker holds for a queue, those being worked on left out."""
    return int(get_broker(queue).queue_size())


def send_canary(queue: str) -> None:
    """Idle workers run no code of ours: let one show that it lives."""
    async_task("searchapp.queue.beat", queue, q_options={"cluster": queue})


def beat(queue: str) -> None:
    """A worker of this queue lives."""
    Heartbeat.objects.update_or_create(queue=queue, defaults={"beat_at": timezone.now()})


def last_beat(queue: str) -> datetime | None:
    return Heartbeat.objects.filter(queue=queue).values_list("beat_at", flat=True).first()


def is_alive(queue: str) -> bool:
    """Whether a worker of this queue showed its life lately."""
    last = last_beat(queue)
    return last is not None and timezone.now() - last <= settings.HEARTBEAT_STALE[queue]


def work(queue: str, *, parent: int, warm_up: Callable[[], None] | None = None) -> None:
    """Lead one queue's processes, all in our process group, until a signal comes, one of the leading ones dies or the
    process `parent` is gone. Needs Q_CLUSTER_NAME in the environment.

    `warm_up` runs in each worker before its first task.
    """
    from django_q.cluster import Cluster

    if os.environ.get("Q_CLUSTER_NAME") != queue:
        raise RuntimeError("Q_CLUSTER_NAME must name the queue before Django starts.")

    def spawned(**_: Any) -> None:
        threading.Thread(target=_end_with_leader, args=(os.getppid(),), daemon=True).start()
        if warm_up is not None:
            warm_up()
        beat(queue)

    post_spawn.connect(spawned, weak=False)
    cluster = Cluster()
    cluster.start()
    while cluster.sentinel is not None and cluster.sentinel.is_alive():
        if os.getppid() != parent:
            # Nobody else would end us: let what is under way be finished, but not for ever.
            threading.Timer(settings.STOP_GRACE_S, _end_group).start()
            cluster.stop()
        time.sleep(_LOOK_S)
    _end_group()


def _end_with_leader(sentinel: int) -> None:
    """In a worker: what django-q2's leading processes leave behind would work on, unseen and for ever."""
    while os.getppid() == sentinel and _exists(os.getpgid(0)):
        time.sleep(_LOOK_S)
    _end_group()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _end_group() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)
