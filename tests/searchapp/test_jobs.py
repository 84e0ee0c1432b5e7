"""Jobs: one UPDATE decides whose a job is, nothing is lost, and the third failure is the last."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from melody.errors import NoMelody
from searchapp import jobs, queue
from searchapp.errors import FAILED
from searchapp.search.models import SearchJob
from tests.searchapp.makers import job

pytestmark = pytest.mark.django_db
PAST = timedelta(seconds=-1)


def answer(search: SearchJob) -> None:
    search.finish(index_version="v")


def lapse(search: SearchJob) -> None:
    SearchJob.objects.filter(pk=search.pk).update(lease_until=timezone.now() + PAST)


def state(search: SearchJob) -> tuple[str, int]:
    search.refresh_from_db()
    return search.status, search.attempts


def test_it_works() -> None:
    search = job()
    jobs.run(SearchJob, str(search.pk), answer)
    assert state(search) == ("done", 1)
    assert search.index_version == "v"
    assert search.finished_at is not None
    assert queue.is_alive("searches")


def test_a_job_is_claimed_once() -> None:
    search = job()
    assert SearchJob.claim(search.pk) is not None
    assert SearchJob.claim(search.pk) is None
    assert state(search) == ("processing", 1)


def test_a_finished_or_unknown_job_is_not_claimed() -> None:
    assert SearchJob.claim(job(status="done").pk) is None
    assert SearchJob.claim("00000000-0000-0000-0000-000000000000") is None


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_wins() -> None:
    search = job()
    won = []
    begin = threading.Barrier(8)

    def claim() -> None:
        begin.wait()
        won.append(SearchJob.claim(search.pk) is not None)
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_a_job_whose_lease_ran_out_is_claimed_again_and_its_first_worker_can_no_longer_write() -> None:
    search = job()
    first = SearchJob.claim(search.pk)
    lapse(search)
    second = SearchJob.claim(search.pk)
    assert first is not None
    assert second is not None
    assert not first.finish(index_version="old")
    assert not first.renew()
    assert second.finish(index_version="new")
    assert state(search) == ("done", 2)
    assert search.index_version == "new"


def test_a_lease_can_be_renewed() -> None:
    search = SearchJob.claim(job().pk)
    assert search is not None
    lapse(search)
    assert search.renew()
    assert SearchJob.claim(search.pk) is None


def test_what_the_engine_refuses_ends_the_job_at_once() -> None:
    def refuse(_: SearchJob) -> None:
        raise NoMelody("Only 0.4 s of a tune can be heard.", hint="Louder.")

    search = job()
    jobs.run(SearchJob, str(search.pk), refuse)
    assert state(search) == ("error", 1)
    assert search.error == {
        "code": "no_melody",
        "message": "Only 0.4 s of a tune can be heard.",
        "hint": "Louder.",
    }


def test_an_accident_is_tried_again_and_the_third_is_the_last() -> None:
    def stumble(_: SearchJob) -> None:
        raise RuntimeError("an accident")

    search = job()
    for expected in (("queued", 1), ("queued", 2), ("error", 3)):
        jobs.run(SearchJob, str(search.pk), stumble)
        assert state(search) == expected
    assert search.error == FAILED
    assert queue.waiting("searches") == 2


def test_the_time_limit_counts_as_a_failure_and_still_reaches_the_queue() -> None:
    def hang(_: SearchJob) -> None:
        raise SystemExit

    search = job()
    with pytest.raises(SystemExit):
        jobs.run(SearchJob, str(search.pk), hang)
    assert state(search) == ("queued", 1)


def test_a_job_whose_worker_died_is_queued_again() -> None:
    search = job()
    SearchJob.claim(search.pk)
    assert SearchJob.recover() == 0
    lapse(search)
    assert SearchJob.recover() == 1
    assert state(search) == ("queued", 1)
    assert queue.waiting("searches") == 1


def test_a_job_that_kills_its_workers_ends_with_an_error() -> None:
    search = job(attempts=2)
    SearchJob.claim(search.pk)
    lapse(search)
    SearchJob.recover()
    assert state(search) == ("error", 3)
    assert search.error == FAILED


def test_a_queued_job_that_the_broker_lost_is_told_again_but_not_at_every_look() -> None:
    search = job(enqueued_at=timezone.now() - timedelta(minutes=1))
    assert SearchJob.recover() == 1
    assert SearchJob.recover() == 0
    assert queue.waiting("searches") == 1
    assert state(search) == ("queued", 0)


def test_a_fresh_or_finished_job_is_left_alone() -> None:
    job()
    job(status="done", enqueued_at=timezone.now() - timedelta(days=1))
    assert SearchJob.recover() == 0


@pytest.mark.django_db(transaction=True)
def test_a_long_job_keeps_its_lease_and_shows_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SearchJob, "_lease", classmethod(lambda _: timedelta(seconds=0.2)))
    search = SearchJob.claim(job().pk)
    assert search is not None
    with jobs.kept_alive(search):
        threading.Event().wait(0.5)
        search.refresh_from_db()
        assert search.lease_until is not None
        assert search.lease_until > timezone.now()
    assert queue.is_alive("searches")


def test_an_error_is_only_told_of_jobs_that_have_one() -> None:
    assert job(status="done", error_code="x").error is None
