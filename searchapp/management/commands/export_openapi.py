"""`manage.py export_openapi`: the contract that the clients are generated from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from searchapp.api import api


class Command(BaseCommand):
    help = "Write docs/openapi.json."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, default=settings.BASE_DIR / "docs" / "openapi.json")

    def handle(self, *args: Any, **options: Any) -> None:
        options["out"].write_text(json.dumps(api.get_openapi_schema(), indent=2) + "\n", encoding="utf-8")
