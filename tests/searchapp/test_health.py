"""GET /health: database, index and workers, told apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from searchapp import health, queue
from searchapp.models import Heartbeat

pytestmark = pytest.mark.django_db


def test_all_is_well(client: Client, index: str) -> None:
    for name in queue.QUEUES:
        queue.beat(name)
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json()["database"] is True
    assert response.json()["index"] == {"version": index, "tracks": 2}
    assert response.json()["worker"]["alive"] is True


def test_it_answers_200_without_index_and_workers_and_says_so(client: Client) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json()["index"] is None
    assert response.json()["worker"]["alive"] is False
    assert response.json()["worker"]["lastHeartbeat"] is None


def test_a_worker_that_fell_silent_is_told(client: Client) -> None:
    for name in queue.QUEUES:
        queue.beat(name)
    Heartbeat.objects.filter(queue="searches").update(beat_at=timezone.now() - timedelta(minutes=2))
    worker = client.get("/health").json()["worker"]
    assert worker["alive"] is False
    assert [worker["queues"][name]["alive"] for name in queue.QUEUES] == [False, True]
    assert str(Heartbeat.objects.get(queue="searches")).startswith("searches at ")


def test_without_the_database_it_is_503(client: Client, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def cursor(self) -> Any:
            raise OperationalError("away")

    monkeypatch.setattr(health, "connection", Away())
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json() == {
        "database": False,
        "index": {"version": index, "tracks": 2},
        "worker": None,
    }
