"""`manage.py serve` for real: web, supervisor and workers on a tiny library, spoken to over HTTP."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


class Server:
    """A running server and the ways to look at it from outside."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "searchapp.settings",
            "ENV_FILE": "none",
            "DATA_DIR": str(folder),
            "APP_PORT": str(port),
            "SEARCH_WORKERS": "1",
            "SEARCHES_PER_MINUTE": "1000",
        }
        self.folder = f"DATA_DIR={folder}".encode()
        self.log = (folder / "serve.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def manage(self, *words: str) -> str:
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def until(self, condition: Any, seconds: float = 60.0) -> Any:
        end = time.monotonic() + seconds
        while True:
            try:
                if found := condition():
                    return found
            except httpx.TransportError:
                pass
            assert time.monotonic() < end, Path(self.log.name).read_text()[-4000:]
            assert self.process.poll() is None, Path(self.log.name).read_text()[-4000:]
            time.sleep(0.2)

    def health(self) -> Any:
        return self.http.get("/health").json()

    def descendants(self) -> list[tuple[int, str]]:
        """Every process below the server: pid and command line."""
        listed = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        below = {self.process.pid}
        found: list[tuple[int, str]] = []
        for _ in rows:
            new = [(int(r[0]), r[-1]) for r in rows if int(r[1]) in below and int(r[0]) not in below]
            if not new:
                break
            below |= {pid for pid, _ in new}
            found += new
        return found

    def supervisor(self) -> int:
        return next(pid for pid, line in self.descendants() if "work --parent" in line)

    def until_alone(self) -> None:
        """Until no process that was given this server's folder is left, whoever its parent is now."""
        end = time.monotonic() + 10
        while left := [pid for pid in Path("/proc").glob("[0-9]*") if self.folder in environment_of(pid)]:
            assert time.monotonic() < end, left
            time.sleep(0.2)

    def stop(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(40)
        self.http.close()
        self.log.close()
        return time.monotonic() - began


@pytest.fixture(scope="module")
def server(tunes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "library").symlink_to(tunes / "library", target_is_directory=True)
    server = Server(folder)
    yield server
    if server.process.poll() is None:
        server.stop()


def search(server: Server, tunes: Path, **fields: Any) -> Any:
    with (tunes / "hum.wav").open("rb") as hum:
        return server.http.post("/v1/search", files={"file": hum}, data={"mode": "hum", **fields})


def environment_of(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def test_it_works_from_an_empty_folder_to_ctrl_c(server: Server, tunes: Path) -> None:
    health = server.until(server.health)
    assert (health["database"], health["index"]) == (True, None)
    assert search(server, tunes).status_code == 503

    key = {"X-API-Key": server.manage("create_api_key", "test")}
    build_id = server.http.post("/v1/admin/build-index", headers=key).json()["build_id"]
    build = server.until(
        lambda: (
            (found := server.http.get(f"/v1/admin/build-index/{build_id}", headers=key).json())["status"]
            in {"done", "error"}
            and found
        )
    )
    assert (build["status"], build["tracksDone"], build["failures"]) == ("done", 3, [])
    assert server.http.get("/v1/library/stats").json()["tracks"] == 3

    answer = search(server, tunes, wait=20)
    assert answer.status_code == 200, answer.text
    best = answer.json()["results"][0]
    assert best["trackId"] == "tune_1"
    part = server.http.get(best["audioUrl"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")

    job_id = search(server, tunes).json()["job_id"]
    read = server.http.get(f"/v1/search/{job_id}", params={"wait": 20}).json()
    assert (read["status"], read["results"]) == ("done", answer.json()["results"])
    assert server.until(lambda: server.health()["worker"]["alive"])

    assert len(server.descendants()) > 8  # the supervisor; for each queue leader, sentinel, pusher, monitor, worker
    assert server.stop() < 30
    server.until_alone()
    assert server.process.returncode == 0


@pytest.fixture
def built_server(tunes: Path, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "library").symlink_to(tunes / "library", target_is_directory=True)
    server = Server(folder)
    try:
        server.until(server.health)
        server.manage("build_index")
        server.until(lambda: server.health()["worker"]["alive"])
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def searchers(server: Server) -> dict[str, int]:
    """The searches' processes: the leader, the sentinel below it, and the worker, which alone holds the engine."""
    listed = server.descendants()
    leader = next(pid for pid, line in listed if "--queue searches" in line)
    same = sorted(pid for pid, _ in listed if os.getpgid(pid) == leader)
    worker = max(same, key=lambda pid: int(Path(f"/proc/{pid}/statm").read_text().split()[1]))
    return {"leader": leader, "sentinel": same[1], "worker": worker}


def is_done(server: Server, job_id: str) -> bool:
    return bool(server.http.get(f"/v1/search/{job_id}").json()["status"] == "done")


def kill(server: Server, victim: str, tunes: Path) -> str:
    """Kill a process and post a search; the id of the job that must not be lost."""
    if victim == "supervisor":
        os.kill(server.supervisor(), signal.SIGKILL)
        return str(search(server, tunes).json()["job_id"])
    process = searchers(server)[victim.removeprefix("busy ").removeprefix("idle ")]
    if not victim.startswith("busy "):
        os.kill(process, signal.SIGKILL)
        return str(search(server, tunes).json()["job_id"])
    job_id = str(search(server, tunes).json()["job_id"])
    while server.http.get(f"/v1/search/{job_id}").json()["status"] == "queued":
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return job_id


def test_whatever_dies_the_job_is_done_within_a_minute_and_nobody_has_to_help(
    built_server: Server, tunes: Path
) -> None:
    for victim in ("busy worker", "idle worker", "leader", "sentinel", "supervisor"):
        lost = kill(built_server, victim, tunes)
        built_server.until(lambda lost=lost: is_done(built_server, lost), 60)
        # One that is posted just then may meet the end of the old workers, and is not lost either.
        following = search(built_server, tunes).json()["job_id"]
        built_server.until(lambda following=following: is_done(built_server, following), 60)
    built_server.stop()
    built_server.until_alone()
