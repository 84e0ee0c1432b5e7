"""Stats, builds for staff alone, and the tracks' audio."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from melody.errors import BuildRunning
from searchapp import engine
from searchapp.library import services, tasks
from searchapp.library.models import ApiKey, IndexBuild, Segment, Track
from tests.searchapp.makers import VERSION, audio_track, publish, track_entry

pytestmark = pytest.mark.django_db
BUILD = "/v1/admin/build-index"


@pytest.fixture
def key() -> dict[str, Any]:
    return {"headers": {"X-API-Key": services.create_api_key("a program")}}


def built(version: str = VERSION) -> engine.Built:
    return engine.Built(version, [{"path": "bad.mp3", "reason": "This is no audio."}], {})


def test_stats_are_those_of_the_current_index(client: Client, index: str) -> None:
    assert client.get("/v1/library/stats").json() == {
        "count": 8,
        "tracks": 2,
        "durationSec": 46.0,
        "updatedAt": "2026-01-01T00:00:00Z",
        "indexVersion": index,
        "embedding": {"name": "agreement-1", "dimension": 320},
    }


def test_stats_without_an_index_are_503(client: Client) -> None:
    response = client.get("/v1/library/stats")
    assert (response.status_code, response.json()["code"]) == (503, "index_missing")


def test_a_build_works(client: Client, key: dict[str, Any], index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    response = client.post(BUILD, **key)
    assert response.status_code == 202
    build_id = response.json()["build_id"]
    assert client.get(f"{BUILD}/{build_id}", **key).json()["status"] == "queued"

    def build_index(*, on_progress: engine.OnProgress) -> engine.Built:
        on_progress(0, 2)
        on_progress(2, 2)
        return built()

    monkeypatch.setattr(engine, "build_index", build_index)
    monkeypatch.setattr("searchapp.jobs.kept_alive", _no_thread)
    tasks.run(build_id)
    assert client.get(f"{BUILD}/{build_id}", **key).json() == {
        "status": "done",
        "tracksDone": 2,
        "tracksTotal": 2,
        "failures": [{"path": "bad.mp3", "reason": "This is no audio."}],
        "error": None,
    }
    assert Track.objects.count() == 2


class _no_thread:
    def __init__(self, _: Any) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: Any) -> None: ...


def test_a_build_that_the_engine_refuses_says_why(
    client: Client, key: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> engine.Built:
        raise BuildRunning("Another build of this index is running.")

    monkeypatch.setattr(engine, "build_index", refuse)
    monkeypatch.setattr("searchapp.jobs.kept_alive", _no_thread)
    build = services.request_build("me")
    tasks.run(str(build.pk))
    assert client.get(f"{BUILD}/{build.pk}", **key).json()["error"]["code"] == "build_running"


def test_a_second_wish_for_a_build_leads_to_the_first(client: Client, key: dict[str, Any]) -> None:
    first, second = (client.post(BUILD, **key).json()["build_id"] for _ in range(2))
    assert first == second
    IndexBuild.objects.update(status="done")
    assert client.post(BUILD, **key).json()["build_id"] != first


def test_a_stranger_is_refused(client: Client, django_user_model: type[User]) -> None:
    for response in (client.post(BUILD), client.get(f"{BUILD}/{uuid.uuid4()}")):
        assert (response.status_code, response.json()["code"]) == (401, "not_allowed")
    client.force_login(django_user_model.objects.create_user("somebody"))
    assert client.post(BUILD).status_code == 401
    assert client.post(BUILD, headers={"X-API-Key": "ikm_guess"}).status_code == 401
    assert not IndexBuild.objects.exists()


def test_a_revoked_key_is_refused(client: Client, key: dict[str, Any]) -> None:
    services.revoke_api_keys(list(ApiKey.objects.values_list("pk", flat=True)))
    assert client.post(BUILD, **key).status_code == 401


def test_a_key_is_stored_as_a_hash(key: dict[str, Any]) -> None:
    assert key["headers"]["X-API-Key"] not in str(ApiKey.objects.values().get())


def test_staff_may_with_their_session_and_its_csrf_token(django_user_model: type[User]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_user("keeper", is_staff=True))
    refused = client.post(BUILD)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    client.cookies["csrftoken"] = "a" * 32
    assert client.post(BUILD, headers={"X-CSRFToken": "a" * 32}).status_code == 202
    assert IndexBuild.objects.get().asked_by == "keeper"


def test_an_unknown_build_is_404(client: Client, key: dict[str, Any]) -> None:
    assert client.get(f"{BUILD}/{uuid.uuid4()}", **key).status_code == 404


def test_rows_follow_an_index_that_a_shell_built() -> None:
    publish([track_entry(1), track_entry(2)])
    assert services.adopt_current_index()
    assert not services.adopt_current_index()
    assert IndexBuild.objects.get().asked_by == "shell"
    assert list(Segment.objects.filter(track="track_1").values_list("id", "start_s", "duration_s")) == [
        (f"track_1__seg_{number:03d}", 5.0 * number, 10.0) for number in range(4)
    ]
    publish([track_entry(2, title="Another"), track_entry(3, durationSec=9.0)], "20270101T000000000000Z-abcdef")
    assert services.adopt_current_index()
    assert list(Track.objects.values_list("id", "title")) == [("track_2", "Another"), ("track_3", "Track 3")]
    assert Segment.objects.filter(track="track_3").count() == 1


def test_without_an_index_there_is_nothing_to_follow() -> None:
    assert not services.adopt_current_index()


@pytest.mark.parametrize(
    ("header", "status", "expected", "content_range"),
    [
        ("", 200, slice(None), None),
        ("bytes=0-9", 206, slice(0, 10), "bytes 0-9/1000"),
        ("bytes=990-", 206, slice(990, None), "bytes 990-999/1000"),
        ("bytes=990-5000", 206, slice(990, None), "bytes 990-999/1000"),
        ("bytes=-10", 206, slice(990, None), "bytes 990-999/1000"),
        ("bytes=0-4,6-8", 200, slice(None), None),
        ("seconds=1-2", 200, slice(None), None),
    ],
)
def test_audio_is_given_whole_or_in_part(
    client: Client,
    tracks: None,
    settings: Settings,
    header: str,
    status: int,
    expected: slice,
    content_range: str | None,
) -> None:
    content = audio_track(settings.LIBRARY_DIR / "track 1.wav", bytes(range(250)) * 4)
    response: Any = client.get("/v1/tracks/track_1/audio", headers={"Range": header} if header else {})
    assert response.status_code == status
    assert b"".join(response.streaming_content) == content[expected]
    assert response["Content-Length"] == str(len(content[expected]))
    assert response.get("Content-Range") == content_range
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("audio/wav", "nosniff")


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=-0", "bytes=9-3"])
def test_bytes_that_are_not_there_are_416(client: Client, tracks: None, settings: Settings, header: str) -> None:
    audio_track(settings.LIBRARY_DIR / "track 1.wav", bytes(1000))
    response = client.get("/v1/tracks/track_1/audio", headers={"Range": header})
    assert (response.status_code, response.json()["code"]) == (416, "range_not_satisfiable")


def test_a_head_request_tells_the_length_alone(client: Client, tracks: None, settings: Settings) -> None:
    audio_track(settings.LIBRARY_DIR / "track 1.wav", bytes(1000))
    response = client.head("/v1/tracks/track_1/audio")
    assert (response.status_code, response["Content-Length"], response.content) == (200, "1000", b"")


@pytest.mark.django_db(transaction=True)
def test_audio_is_streamed_asynchronously_too(tracks: None, settings: Settings) -> None:
    content = audio_track(settings.LIBRARY_DIR / "track 1.wav", bytes(range(250)) * 2000)

    async def fetch() -> bytes:
        response: Any = await AsyncClient().get("/v1/tracks/track_1/audio")
        return b"".join([chunk async for chunk in response.streaming_content])

    assert asyncio.run(fetch()) == content


@pytest.mark.parametrize(
    "path", ["missing.wav", "../secret.wav", "/etc/hostname"], ids=["missing", "above", "elsewhere"]
)
def test_a_file_that_is_not_in_the_library_is_404(client: Client, tracks: None, settings: Settings, path: str) -> None:
    audio_track(settings.LIBRARY_DIR.parent / "secret.wav", b"secret")
    Track.objects.filter(pk="track_1").update(path=path)
    assert client.get("/v1/tracks/track_1/audio").status_code == 404


def test_an_unknown_track_is_404(client: Client) -> None:
    assert client.get("/v1/tracks/nothing/audio").json()["code"] == "not_found"


def test_audio_that_is_not_public_is_for_staff(
    client: Client, tracks: None, settings: Settings, django_user_model: type[User]
) -> None:
    settings.LIBRARY_AUDIO_PUBLIC = False
    audio_track(settings.LIBRARY_DIR / "track 1.wav", bytes(1000))
    assert client.get("/v1/tracks/track_1/audio").status_code == 403
    client.force_login(django_user_model.objects.create_user("keeper", is_staff=True))
    assert client.get("/v1/tracks/track_1/audio").status_code == 200


def test_the_admin_shows_rows_and_revokes_keys(admin_client: Client, tracks: None, key: dict[str, Any]) -> None:
    IndexBuild.objects.create(status="done", finished_at=timezone.now())
    for page in ("library/track", "library/indexbuild", "library/apikey", "search/searchjob"):
        assert admin_client.get(f"/admin/{page}/").status_code == 200
    assert admin_client.get("/admin/library/track/track_1/change/").status_code == 200
    assert admin_client.get("/admin/library/track/add/").status_code == 403
    assert admin_client.get("/admin/library/apikey/add/").status_code == 403
    chosen = {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]}
    assert admin_client.post("/admin/library/apikey/", chosen).status_code == 302
    assert ApiKey.objects.get().revoked_at is not None
