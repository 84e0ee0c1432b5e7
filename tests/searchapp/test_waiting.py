"""Waiting: an answer as soon as there is one, and no thread held by those who wait."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Collection
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError
from django.test import AsyncClient
from httpx import ASGITransport
from httpx import AsyncClient as Http

from searchapp import engine
from searchapp.asgi import application
from searchapp.search import queries, tasks
from searchapp.search.models import SearchJob
from searchapp.search.waiting import until_finished
from tests.searchapp.makers import clip, found, job, result

pytestmark = pytest.mark.django_db(transaction=True)


def answer_later(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.2) -> Any:
    monkeypatch.setattr(engine, "search_clip", lambda *_, **__: found(result()))

    async def work() -> None:
        await asyncio.sleep(seconds)
        while (search := await sync_to_async(SearchJob.objects.first)()) is None:  # the request may not be through yet
            await asyncio.sleep(0.05)
        await sync_to_async(tasks.run)(str(search.pk))

    return work()


def test_a_post_that_waits_is_answered_at_once_when_the_job_is_done(
    index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def both() -> Any:
        post = AsyncClient().post("/v1/search", {"file": clip(), "wait": "10"})
        response, _ = await asyncio.gather(post, answer_later(monkeypatch))
        return response

    response = asyncio.run(both())
    assert response.status_code == 200
    assert list(response.json()) == ["job_id", "results", "query"]
    assert response.json()["results"][0]["trackId"] == "track_1"


def test_a_post_whose_time_is_up_is_told_where_to_look(index: str) -> None:
    response = asyncio.run(AsyncClient().post("/v1/search", {"file": clip(), "wait": "0.1"}))
    assert response.status_code == 202
    assert response.json() == {"job_id": str(SearchJob.objects.get().pk)}


def test_a_read_waits_for_the_end(monkeypatch: pytest.MonkeyPatch, folders: Any) -> None:
    search = job()

    async def both() -> Any:
        get = AsyncClient().get(f"/v1/search/{search.pk}", {"wait": "10"})
        response, _ = await asyncio.gather(get, answer_later(monkeypatch))
        return response

    assert asyncio.run(both()).json()["status"] == "error"  # there is no clip


def test_a_read_whose_time_is_up_says_how_far_it_is() -> None:
    response = asyncio.run(AsyncClient().get(f"/v1/search/{job().pk}", {"wait": "0.1"}))
    assert response.json()["status"] == "queued"


def test_a_database_that_is_away_for_a_moment_costs_nobody_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    ask = queries.finished

    def finished(ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        looks.append(1)
        if len(looks) == 1:
            raise OperationalError("away")
        return ask(ids)

    monkeypatch.setattr(queries, "finished", finished)
    search = job(status="done")
    asyncio.run(until_finished(search.pk, 10))
    assert len(looks) == 2


def test_a_hundred_who_wait_hold_no_hundred_threads() -> None:
    search = job()
    seen: list[int] = []

    async def wait_together() -> list[int]:
        transport = ASGITransport(application)
        async with Http(transport=transport, base_url="http://localhost", timeout=30) as http:
            waiting = [http.get(f"/v1/search/{search.pk}?wait=3") for _ in range(100)]
            gathered = asyncio.gather(*waiting)
            await asyncio.sleep(2.5)
            seen.append(threading.active_count())
            return [response.status_code for response in await gathered]

    assert asyncio.run(wait_together()) == [200] * 100
    assert seen[0] < 50
