"""`manage.py search CLIP`: the server's engine and index from a shell, without a server or a worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from melody.errors import MelodyError
from searchapp import engine
from searchapp.search.models import SearchJob


class Command(BaseCommand):
    help = "Print the answer to one clip as the API would give it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("clip", type=Path)
        parser.add_argument("--mode", choices=SearchJob.Mode.values, default=SearchJob.Mode.SONG_CLIP.value)
        parser.add_argument("--top-k", type=int, default=10)

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["clip"].is_file():
            raise CommandError(f"There is no file {options['clip']}.")
        try:
            found = engine.search_clip(options["clip"], mode=options["mode"], top_k=options["top_k"])
        except MelodyError as error:
            raise CommandError(f"{error.message} {error.hint}".strip()) from error
        self.stdout.write(json.dumps({"results": found.results, "query": found.query}, ensure_ascii=False))
