"""`manage.py work`: the workers of all queues under their supervisor."""

from __future__ import annotations

import os
import signal
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser

from melody.errors import MelodyError
from searchapp import engine, queue
from searchapp.supervisor import Supervisor

_log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Work on searches and builds until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", choices=queue.QUEUES, help="one queue, without a supervisor (it calls this)")
        parser.add_argument("--parent", type=int, help="the process that started this: stop when it is gone")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["queue"]:
            needed = warm_up if options["queue"] == queue.SEARCHES else None
            queue.work(options["queue"], parent=options["parent"] or os.getppid(), warm_up=needed)
            return
        supervisor = Supervisor(parent=options["parent"])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()


def warm_up() -> None:
    try:
        engine.warm_up()
    except (MelodyError, OSError) as error:  # no index yet: the first search after a build loads
        _log.info("not_warmed_up", reason=str(error))
