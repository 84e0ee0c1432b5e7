"""The supervisor: dead or silent workers are replaced as a whole, and its own troubles end nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from searchapp import queue, supervisor
from searchapp.models import Heartbeat
from searchapp.search.models import SearchJob
from searchapp.supervisor import Group, Supervisor
from tests.searchapp.makers import job

pytestmark = pytest.mark.django_db
# A leader with a child, both of which would go on for long.
LEADER = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); {}"
SLEEP = "time.sleep(60)"


class Stub(Group):
    """A group whose processes only sleep."""

    script = LEADER.format(SLEEP)
    starts = 0

    def start(self) -> None:
        self.starts += 1
        self.started_at = time.monotonic()
        self.leader = subprocess.Popen([sys.executable, "-c", self.script], start_new_session=True)


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    monkeypatch.setattr(supervisor, "Group", Stub)
    monkeypatch.setattr(supervisor, "_RESTART_S", 0.0)
    monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)  # the test's transaction lives in one
    return Supervisor(("searches",))


def members(group: int) -> int:
    """How many processes a group has that are not only waiting to be forgotten."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return sum(int(pgid) == group and not state.startswith("Z") for pgid, state in rows)


def until(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_dead_leader_takes_its_orphans_with_it_and_is_replaced(one: Supervisor) -> None:
    group = one.groups[0]
    group.start()
    assert group.leader is not None
    first = group.leader.pid
    until(lambda: members(first) == 2)
    os.kill(first, signal.SIGKILL)
    until(lambda: not group.is_running)
    try:
        one.tick()
        assert members(first) == 0
        assert group.is_running
        assert group.leader.pid != first
    finally:
        group.end()


def test_workers_that_fell_silent_are_replaced(one: Supervisor, settings: Settings) -> None:
    settings.HEARTBEAT_STALE = {"searches": timedelta(seconds=0.2)}
    group = one.groups[0]
    group.start()
    try:
        one.tick()
        assert group.is_running  # young ones are given time
        time.sleep(0.3)
        queue.beat("searches")
        one.tick()
        assert group.leader is not None
        first = group.leader.pid
        Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
        one.tick()
        assert group.leader.pid != first
        assert members(first) == 0
    finally:
        group.end()


def test_it_ends_with_all_its_workers(one: Supervisor, settings: Settings) -> None:
    settings.STOP_GRACE_S = 0
    one.stop()
    one.run()
    group = one.groups[0]
    assert group.leader is not None
    assert members(group.leader.pid) == 0


def test_it_ends_when_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(supervisor, "Group", Stub)
    settings.STOP_GRACE_S = 0
    bound = Supervisor(("searches",), parent=1_000_000_000)
    bound.run()
    assert not bound.groups[0].is_running


def test_idle_workers_are_sent_a_canary_now_and_then(one: Supervisor) -> None:
    group = one.groups[0]
    group.start()
    try:
        one.tick()
        one.tick()
        assert queue.waiting("searches") == 1
    finally:
        group.end()


def test_lost_jobs_are_queued_again(one: Supervisor) -> None:
    one.groups[0].start()
    lost = job(enqueued_at=timezone.now() - timedelta(minutes=1))
    try:
        one.tick()
        assert SearchJob.objects.get(pk=lost.pk).enqueued_at > lost.enqueued_at
    finally:
        one.groups[0].end()


def test_a_database_that_is_away_for_a_moment_does_not_end_it(one: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> None:
        raise OperationalError("away")

    one.groups[0].start()
    monkeypatch.setattr(queue, "last_beat", away)
    try:
        one.tick()
        assert one.groups[0].is_running
    finally:
        one.groups[0].end()


def test_the_workers_of_a_queue_need_its_name_before_django_starts() -> None:
    with pytest.raises(RuntimeError, match="Q_CLUSTER_NAME"):
        queue.work("searches", parent=1)
