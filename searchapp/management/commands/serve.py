"""`manage.py serve`: everything under one process, for one machine. It ends with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

_RESTART_S = 1.0


class Command(BaseCommand):
    help = "Serve the API and work on its jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.APP_HOST)
        parser.add_argument("--port", type=int, default=settings.APP_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0, interactive=False)
        # uvicorn sends itself again what it was stopped with, which would end us before the workers.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        with Workers():
            self.stdout.write(f"http://{options['host']}:{options['port']}/v1/docs  (Ctrl-C ends everything)")
            web_server(options["host"], options["port"]).run()


def web_server(host: str, port: int) -> uvicorn.Server:
    config = uvicorn.Config(
        "searchapp.asgi:application",
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,  # addresses are ours to judge: TRUSTED_PROXIES
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


class Workers:
    """The supervisor as a child in a session of its own, so that Ctrl-C reaches us alone; started again if it dies."""

    def __enter__(self) -> Workers:
        self._ended = threading.Event()
        self._child = self._start()
        self._guard = threading.Thread(target=self._keep, daemon=True)
        self._guard.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._guard.join()
        self._child.terminate()
        self._child.wait()

    def _keep(self) -> None:
        while not self._ended.wait(_RESTART_S):
            if self._child.poll() is not None:
                self._child = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "work", "--parent", str(os.getpid())]
        return subprocess.Popen(command, start_new_session=True)
