"""`manage.py create_api_key NAME`: a key for a program that may do what staff may."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from searchapp.library import services


class Command(BaseCommand):
    help = "Make an API key and show it this once. Revoke it in the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(services.create_api_key(options["name"]))
