"""Work that a worker does and a person may watch: QUEUED -> PROCESSING -> DONE | ERROR.

The rows are the truth and the broker only a hint. A worker owns a job while its lease runs; `attempts` grows with each
claim and so also tells a worker whose lease ran out from the one that took over. The third failure ends the job.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar

import structlog
from django.conf import settings
from django.db import close_old_connections, connection, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from melody.errors import MelodyError
from searchapp import queue
from searchapp.errors import FAILED, ErrorJson

MAX_ATTEMPTS = 3
# A queued job that nobody took for so long is told to the broker again; taken twice, it still runs once.
LOST_AFTER = timedelta(seconds=30)
J = TypeVar("J", bound="Job")
_log = structlog.get_logger(__name__)


class Job(models.Model):
    """Abstract. A subclass names its queue and the task that runs it."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        PROCESSING = "processing"
        DONE = "done"
        ERROR = "error"

    FINISHED: ClassVar = (Status.DONE, Status.ERROR)
    queue_name: ClassVar[str]
    task: ClassVar[str]  # dotted name of a function of one id

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    enqueued_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_hint = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def is_finished(self) -> bool:
        return self.status in self.FINISHED

    @property
    def error(self) -> ErrorJson | None:
        if self.status != self.Status.ERROR:
            return None
        return {"code": self.error_code, "message": self.error_message, "hint": self.error_hint}

    @classmethod
    def submit(cls, **values: Any) -> Self:
        """A new job, told to the broker when the transaction around it is kept."""
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        job = cls._default_manager.create(**values, request_id=request_id)
        transaction.on_commit(job.enqueue)
        return job

    def enqueue(self) -> None:
        queue.enqueue(self.queue_name, self.task, str(self.pk))

    @classmethod
    def claim(cls, job_id: str | uuid.UUID) -> Self | None:
        """The job, if it is now ours: it was queued, or its worker's lease has run out. One UPDATE decides."""
        now = timezone.now()
        free = Q(status=cls.Status.QUEUED) | Q(status=cls.Status.PROCESSING, lease_until__lt=now)
        claimed = cls._default_manager.filter(free, pk=job_id, attempts__lt=MAX_ATTEMPTS).update(
            status=cls.Status.PROCESSING, attempts=F("attempts") + 1, lease_until=now + cls._lease()
        )
        return cls._default_manager.get(pk=job_id) if claimed else None

    def renew(self) -> bool:
        """A new lease; False where the job is no longer ours."""
        return self._update_if_ours(lease_until=timezone.now() + self._lease())

    def finish(self, **values: Any) -> bool:
        """Done, with these values; False (and nothing is changed) where the job is no longer ours."""
        return self._end(self.Status.DONE, **values)

    def fail(self, error: ErrorJson) -> bool:
        """Ended with an error that trying again would not change."""
        return self._end(
            self.Status.ERROR, error_code=error["code"], error_message=error["message"], error_hint=error["hint"]
        )

    def give_back(self) -> None:
        """The attempt failed: let another be made, or end the job if this was the last."""
        if self.attempts >= MAX_ATTEMPTS:
            self.fail(FAILED)
        elif self._update_if_ours(status=self.Status.QUEUED, lease_until=None, enqueued_at=timezone.now()):
            self.enqueue()

    @classmethod
    def recover(cls) -> int:
        """Queue again what a dead worker or the broker has lost, and end what failed too often; returns how many."""
        now = timezone.now()
        lapsed = Q(status=cls.Status.PROCESSING, lease_until__lt=now)
        lost = Q(status=cls.Status.QUEUED, enqueued_at__lt=now - LOST_AFTER)
        recovered = 0
        for job in cls._default_manager.filter(lapsed | lost):
            if job.status == cls.Status.PROCESSING:
                _log.warning("lease_ran_out", job_id=str(job.pk), attempts=job.attempts)
                job.give_back()
                recovered += 1
            elif cls._default_manager.filter(pk=job.pk, status=job.status, enqueued_at=job.enqueued_at).update(
                enqueued_at=now
            ):
                job.enqueue()
                recovered += 1
        return recovered

    @classmethod
    def _lease(cls) -> timedelta:
        lease: timedelta = settings.LEASE[cls.queue_name]
        return lease

    def _end(self, status: Status, **values: Any) -> bool:
        return self._update_if_ours(status=status, lease_until=None, finished_at=timezone.now(), **values)

    def _update_if_ours(self, **values: Any) -> bool:
        ours = type(self)._default_manager.filter(pk=self.pk, status=self.Status.PROCESSING, attempts=self.attempts)
        return bool(ours.update(**values))


def run(kind: type[J], job_id: str, work: Callable[[J], None]) -> None:
    """THE JOB RUNNER: claim, work, and see to it that the job ends, whatever happens."""
    job = kind.claim(job_id)
    queue.beat(kind.queue_name)
    if job is None:
        return
    with structlog.contextvars.bound_contextvars(job_id=job_id, request_id=job.request_id or None):
        began = timezone.now()
        _log.info("job_started", queue=kind.queue_name, attempt=job.attempts)
        try:
            work(job)
        except MelodyError as error:
            job.fail({"code": error.code, "message": error.message, "hint": error.hint})
            _log.info("job_refused", code=error.code)
        except Exception:  # the job runner: whatever happened, the job must end or be tried again
            _log.exception("job_failed", attempt=job.attempts)
            job.give_back()
        except BaseException:  # the queue's own time limit is one
            _log.exception("job_stopped", attempt=job.attempts)
            job.give_back()
            raise
        else:
            _log.info("job_done", seconds=_seconds_since(began))
    queue.beat(kind.queue_name)


@contextmanager
def kept_alive(job: Job) -> Iterator[None]:
    """Renew the lease of a long job, and show the worker's life, from a thread beside it."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(job._lease().total_seconds() / 4):
            close_old_connections()
            job.renew()
            queue.beat(job.queue_name)
        connection.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _seconds_since(began: datetime) -> float:
    return round((timezone.now() - began).total_seconds(), 3)
