"""`manage.py build_index`: make the index say what the library holds, with processes of its own and no worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from melody.errors import MelodyError
from searchapp.library import services


class Command(BaseCommand):
    help = "Index the library: only what is new or changed is analysed. Prints a JSON summary."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--library", type=Path, default=settings.LIBRARY_DIR)
        parser.add_argument("--out", type=Path, default=settings.INDEX_DIR)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            built = services.build_now(library=options["library"], out=options["out"], on_progress=self._show)
        except MelodyError as error:
            raise CommandError(f"{error.message} {error.hint}".strip()) from error
        self.stdout.write(json.dumps(built.summary, ensure_ascii=False))

    def _show(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done} of {total} files", ending="\n" if done == total else "")
