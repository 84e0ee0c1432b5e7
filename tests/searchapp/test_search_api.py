"""POST /v1/search and GET /v1/search/{id}: keys, statuses and limits as the clients know them."""

from __future__ import annotations

import json
import stat
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from melody.errors import IndexMismatch, NoMelody, NotAudio, TooShort
from searchapp import engine, queue
from searchapp.search import services, tasks
from searchapp.search.models import SearchJob
from tests.searchapp.makers import QUERY, clip, found, job, publish, result, silence

pytestmark = pytest.mark.django_db
ALL = [result(), result("track_2", "loose", 60), result("track_3", "maybe", 20)]


def post(client: Client, **fields: Any) -> Any:
    return client.post("/v1/search", fields)


def read(client: Client, job_id: object, **query: Any) -> Any:
    response = client.get(f"/v1/search/{job_id}", query)
    assert response.status_code == 200
    return response.json()


def answering(monkeypatch: pytest.MonkeyPatch, answer: engine.Found | Exception) -> None:
    def search_clip(*_: Any, **__: Any) -> engine.Found:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(engine, "search_clip", search_clip)


def done(monkeypatch: pytest.MonkeyPatch, *results: dict[str, Any]) -> SearchJob:
    answering(monkeypatch, found(*results))
    search = job()
    path = services.clip_of(search)
    path.parent.mkdir(parents=True)
    path.write_bytes(silence())
    tasks.run(str(search.pk))
    return search


def test_it_works(
    client: Client,
    index: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = post(client, file=clip(), mode="hum", top_k=3)
    assert response.status_code == 202
    assert list(response.json()) == ["job_id"]
    job_id = response.json()["job_id"]
    assert queue.waiting("searches") == 1
    assert read(client, job_id) == {"status": "queued", "results": [], "error": None, "query": None}

    answering(monkeypatch, found(result()))
    tasks.run(job_id)
    answer = read(client, job_id)
    assert answer["status"] == "done"
    assert answer["error"] is None
    assert answer["query"] == QUERY
    assert answer["results"] == [{**result(), "audioUrl": "/v1/tracks/track_1/audio"}]
    assert list(answer["results"][0]) == list(result())


def test_the_worker_is_handed_the_clip_and_the_wish(
    client: Client, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def search_clip(path: Any, *, mode: str, top_k: int) -> engine.Found:
        seen.append((path.read_bytes(), mode, top_k, stat.S_IMODE(path.stat().st_mode)))
        seen.append(stat.S_IMODE(path.parent.stat().st_mode))
        return found()

    monkeypatch.setattr(engine, "search_clip", search_clip)
    tasks.run(post(client, file=clip(), mode="hum", top_k=7).json()["job_id"])
    assert seen == [(silence(), "hum", 7, 0o600), 0o700]


def test_the_clip_goes_when_it_was_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not services.clip_of(done(monkeypatch, result())).parent.exists()


def test_a_maybe_is_shown_only_when_asked_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    search = done(monkeypatch, *ALL)
    assert [each["trackId"] for each in read(client, search.pk)["results"]] == ["track_1", "track_2"]
    assert len(read(client, search.pk, include_maybe="true")["results"]) == 3


def test_no_match_is_an_empty_list_that_still_says_what_was_heard(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = read(client, done(monkeypatch, ALL[2]).pk)
    assert (answer["status"], answer["results"], answer["query"]) == ("done", [], QUERY)


def test_audio_that_may_not_be_played_has_no_address(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIBRARY_AUDIO_PUBLIC = False
    assert read(client, done(monkeypatch, result()).pk)["results"][0]["audioUrl"] is None


def test_a_job_delivered_twice_has_its_hits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    search = done(monkeypatch, *ALL)
    tasks.run(str(search.pk))
    assert search.hits.count() == 3


def test_a_worker_that_lost_its_lease_stores_nothing() -> None:
    search = SearchJob.claim(job().pk)
    assert search is not None
    SearchJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert SearchJob.claim(search.pk) is not None
    services.save_hits(search, found(*ALL))
    assert search.hits.count() == 0


def test_a_clip_that_is_gone_ends_the_job_with_what_to_do(client: Client) -> None:
    search = job()
    tasks.run(str(search.pk))
    answer = read(client, search.pk)
    assert (answer["status"], answer["error"]["hint"]) == ("error", "Send it again.")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooShort("2.0 s are too short."), 422),
        (NoMelody("Nothing to hear."), 422),
        (NotAudio("This is no audio."), 415),
        (IndexMismatch("Made with other settings."), 503),
        (RuntimeError("an accident"), 500),
    ],
)
def test_what_decoding_finds_is_an_error_of_the_job_and_the_status_of_who_waits(
    client: Client, index: str, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    answering(monkeypatch, error)
    submit = services.submit

    def submit_and_work(*values: Any, **more: Any) -> SearchJob:
        search = submit(*values, **more)
        SearchJob.objects.update(attempts=2)
        tasks.run(str(search.pk))
        return search

    monkeypatch.setattr(services, "submit", submit_and_work)

    async def at_once(*_: Any) -> None:
        return None

    monkeypatch.setattr("searchapp.search.api.until_finished", at_once)
    response = post(client, file=clip(), wait=5)
    assert response.status_code == status
    assert set(response.json()) == {"code", "message", "hint"}
    answer = read(client, SearchJob.objects.get().pk)
    assert (answer["status"], answer["error"], answer["results"]) == ("error", response.json(), [])


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 400, "no_file"),
        ({"file": b""}, 400, "no_file"),
        ({"file": b"#EXTM3U\nhttp://example.org/" * 9}, 415, "not_audio"),
        ({"file": b"ffconcat version 1.0\nfile other.wav\n"}, 415, "not_audio"),
        ({"file": silence(), "mode": "opera"}, 400, "bad_parameter"),
        ({"file": silence(), "top_k": 0}, 400, "bad_parameter"),
        ({"file": silence(), "top_k": 51}, 400, "bad_parameter"),
        ({"file": silence(), "top_k": "many"}, 400, "bad_parameter"),
        ({"file": silence(), "wait": 21}, 400, "bad_parameter"),
        ({"file": silence(), "wait": -1}, 400, "bad_parameter"),
        ({"file": silence(), "wait": "nan"}, 400, "bad_parameter"),
    ],
)
def test_it_refuses(client: Client, index: str, fields: dict[str, Any], status: int, code: str) -> None:
    if "file" in fields:
        fields = {**fields, "file": clip(fields["file"])}
    response = post(client, **fields)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "message", "hint"}
    assert not SearchJob.objects.exists()


def test_a_file_that_is_a_text_field_is_no_file(client: Client, index: str) -> None:
    assert post(client, file="words").json()["code"] in {"no_file", "bad_parameter"}


def test_it_refuses_a_clip_that_is_too_large(client: Client, index: str, settings: Settings) -> None:
    settings.CLIP_MAX_BYTES = 10_000
    assert post(client, file=clip()).status_code == 413


def test_it_refuses_when_no_index_is_built(client: Client) -> None:
    response = post(client, file=clip())
    assert response.status_code == 503
    assert response.json()["message"] == "Library index not built. Add audio to data/library and run build_index."


def test_it_refuses_when_the_index_is_damaged(client: Client, index: str, settings: Settings) -> None:
    (settings.INDEX_DIR / index / "manifest.json").write_text("{}")
    assert post(client, file=clip()).status_code == 503


def test_one_client_may_search_so_often_a_minute_and_another_still_may(
    client: Client, index: str, settings: Settings
) -> None:
    settings.SEARCHES_PER_MINUTE = 2
    assert [post(client, file=clip()).status_code for _ in range(3)] == [202, 202, 429]
    response = post(client, file=clip())
    assert response["Retry-After"] == "60"
    assert response.json()["code"] == "too_many_requests"
    assert Client(REMOTE_ADDR="192.0.2.7").post("/v1/search", {"file": clip()}).status_code == 202
    SearchJob.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    assert post(client, file=clip()).status_code == 202


def test_a_full_queue_says_so(client: Client, index: str, settings: Settings) -> None:
    settings.SEARCHES_WAITING = 1
    job()
    assert post(client, file=clip()).status_code == 429
    assert not settings.CLIPS_DIR.exists()


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ("", [], "127.0.0.1"),
        ("198.51.100.1", [], "127.0.0.1"),
        ("198.51.100.1", ["127.0.0.1"], "198.51.100.1"),
        ("10.9.9.9, 198.51.100.1", ["127.0.0.1"], "198.51.100.1"),
        ("198.51.100.1, 10.0.0.1", ["127.0.0.1", "10.0.0.1"], "198.51.100.1"),
    ],
)
def test_who_asks_is_told_by_proxies_of_ours_alone(
    settings: Settings, rf: Any, forwarded: str, proxies: list[str], expected: str
) -> None:
    from searchapp.search.api import address_of

    settings.TRUSTED_PROXIES = frozenset(proxies)
    assert address_of(rf.get("/", headers={"X-Forwarded-For": forwarded})) == expected


def test_the_address_itself_is_not_kept(client: Client, index: str) -> None:
    post(client, file=clip())
    assert "127.0.0.1" not in SearchJob.objects.get().client


@pytest.mark.parametrize("address", [f"/v1/search/{uuid.uuid4()}", "/v1/search/1", "/v1/none"])
def test_what_is_not_there_is_said_in_json(client: Client, address: str) -> None:
    response = client.get(address)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_wrong_method_is_said_in_json(client: Client) -> None:
    response = client.delete("/v1/search")
    assert (response.status_code, response.json()["code"]) == (405, "wrong_method")
    assert "POST" in response["Allow"]


def test_a_bad_parameter_of_a_read_is_400(client: Client) -> None:
    assert client.get(f"/v1/search/{job().pk}", {"wait": "long"}).status_code == 400


def test_an_accident_of_ours_tells_nothing_of_the_inside(
    client: Client, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accident(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(services, "submit", accident)
    response = post(client, file=clip())
    assert response.status_code == 500
    assert "secret" not in response.content.decode()


def test_old_clips_and_old_jobs_go(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, old = job(), job(created_at=timezone.now() - timedelta(days=31))
    for search in (kept, old):
        services.clip_of(search).parent.mkdir(parents=True)
    services.purge()
    assert list(SearchJob.objects.all()) == [kept]
    assert services.clip_of(kept).parent.exists()
    settings.KEEP_CLIPS = timedelta(seconds=-1)
    services.purge()
    assert not services.clip_of(kept).parent.exists()


def test_the_request_id_reaches_the_job(client: Client, index: str) -> None:
    post(client, file=clip())
    assert len(SearchJob.objects.get().request_id) == 36


def test_a_new_index_is_served_without_a_restart(client: Client, index: str) -> None:
    publish([], "20270101T000000000000Z-abcdef")
    assert json.loads(client.get("/v1/library/stats").content)["indexVersion"].startswith("2027")
