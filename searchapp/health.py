"""Is it well? Database, index and workers, told apart."""

from __future__ import annotations

from datetime import datetime

from django.db import DatabaseError, connection
from ninja import Schema

from searchapp import queue
from searchapp.errors import IndexMissing
from searchapp.library.queries import index_facts


class IndexHealth(Schema):
    version: str
    tracks: int


class QueueHealth(Schema):
    alive: bool
    lastHeartbeat: datetime | None


class WorkerHealth(Schema):
    """Of all queues: alive if all are, and the oldest sign of life."""

    alive: bool
    lastHeartbeat: datetime | None
    queues: dict[str, QueueHealth]


class HealthOut(Schema):
    database: bool
    index: IndexHealth | None
    worker: WorkerHealth | None

    @property
    def is_well(self) -> bool:
        return self.database


def look() -> HealthOut:
    """Never raises: what cannot be told is null."""
    index = _index()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return HealthOut(database=True, index=index, worker=_worker())
    except DatabaseError:
        return HealthOut(database=False, index=index, worker=None)


def _index() -> IndexHealth | None:
    try:
        facts = index_facts()
    except IndexMissing:
        return None
    return IndexHealth(version=facts.version, tracks=facts.tracks)


def _worker() -> WorkerHealth:
    queues = {
        name: QueueHealth(alive=queue.is_alive(name), lastHeartbeat=queue.last_beat(name)) for name in queue.QUEUES
    }
    beats = [each.lastHeartbeat for each in queues.values() if each.lastHeartbeat is not None]
    return WorkerHealth(
        alive=all(each.alive for each in queues.values()),
        lastHeartbeat=min(beats) if len(beats) == len(queues) else None,
        queues=queues,
    )
