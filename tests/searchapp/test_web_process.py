"""The web process: light, from our own origin, with limits before anything is read."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from django.test import AsyncClient, Client
from httpx import ASGITransport, Response
from httpx import AsyncClient as Http

from searchapp.asgi import BodyLimit, application

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "faiss", "librosa", "numba", "scipy", "onnxruntime", "swift_f0", "numpy")
SERVE_AND_LOOK = f"""
import asyncio, sys
import httpx
from searchapp.asgi import application
from django.core.management import call_command
call_command("migrate", verbosity=0)
async def ask():
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for path in ("/health", "/v1/docs", "/v1/openapi.json", "/v1/library/stats", "/admin/login/"):
            print((await http.get(path)).status_code, end=" ")
        print((await http.post("/v1/search", files={{"file": b"RIFF    WAVE"}})).status_code)
asyncio.run(ask())
print(*sorted(set({HEAVY!r}) & set(sys.modules)))
"""


def test_it_never_loads_the_engine(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "searchapp.settings", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SERVE_AND_LOOK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["200 200 200 503 200 503", ""]


def test_its_requirements_name_nothing_of_the_engine() -> None:
    lines = (ROOT / "searchapp" / "requirements.txt").read_text().lower().splitlines()
    names = {line.partition("==")[0] for line in lines}
    assert names & {*HEAVY, "faiss-cpu", "swift-f0", "soundfile"} == set()


def test_the_documentation_comes_from_our_own_origin(client: Client, db: None) -> None:
    page = client.get("/docs", follow=True)
    assert page.redirect_chain == [("/v1/docs", 302)]
    text = page.content.decode()
    assert "//cdn" not in text
    assert "/static/ninja/swagger-ui" in text


def test_static_files_are_served_to_both_kinds_of_request(client: Client) -> None:
    address = "/static/ninja/swagger-ui.css"
    once = client.get(address)
    again = asyncio.run(AsyncClient().get(address))
    assert once.status_code == again.status_code == 200
    assert once.content == again.content
    assert once["Content-Type"].startswith("text/css")
    assert asyncio.run(AsyncClient().get("/static/nothing.css")).status_code == 404


def test_the_contract_in_the_repository_is_the_one_that_is_served(client: Client, db: None) -> None:
    written = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert written == client.get("/v1/openapi.json").json(), "run `make openapi`"


def test_the_contract_names_every_route() -> None:
    written = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert {(path, method) for path, item in written["paths"].items() for method in item} >= {
        ("/v1/search", "post"),
        ("/v1/search/{job_id}", "get"),
        ("/health", "get"),
        ("/v1/library/stats", "get"),
        ("/v1/admin/build-index", "post"),
        ("/v1/admin/build-index/{build_id}", "get"),
        ("/v1/tracks/{track_id}/audio", "get"),
    }


def test_cors_lets_named_origins_read_and_no_others(client: Client, db: None) -> None:
    ours = client.get("/health", headers={"Origin": "http://localhost:3000"})
    assert ours["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "Access-Control-Allow-Origin" not in client.get("/health", headers={"Origin": "http://evil.example"})


def test_an_unknown_host_is_refused_in_json(client: Client) -> None:
    response = client.get("/health", headers={"Host": "evil.example"})
    assert response.status_code == 400


def test_pages_beside_the_api_keep_django_s_own_404(client: Client, db: None) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def send(content: bytes | AsyncIterator[bytes], *, max_bytes: int = 1000) -> tuple[Response, list[int]]:
    read: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            read.append(len(message["body"]))
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def post() -> Response:
        async with Http(transport=ASGITransport(BodyLimit(app, max_bytes)), base_url="http://localhost") as http:
            return await http.post("/", content=content)

    return asyncio.run(post()), read


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(400)


def test_a_body_within_the_limit_is_read() -> None:
    response, read = send(bytes(1000))
    assert (response.status_code, sum(read)) == (200, 1000)


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    response, read = send(bytes(1001))
    assert (response.status_code, response.json()["code"], read) == (413, "too_large", [])


def test_a_body_that_does_not_say_how_large_it_is_is_stopped_at_the_limit() -> None:
    response, read = send(pieces(5))
    assert (response.status_code, sum(read)) == (413, 800)


def test_the_application_has_the_limit() -> None:
    assert isinstance(application, BodyLimit)


def test_the_deployment_check_is_clean(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "searchapp.settings",
        "APP_ENV": "production",
        "SECRET_KEY": "k3-Zq" * 14,
        "ALLOWED_HOSTS": "melody.example",
        "DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
