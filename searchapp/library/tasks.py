"""The door from the queue."""

from __future__ import annotations

from searchapp import jobs
from searchapp.library import services
from searchapp.library.models import IndexBuild


def run(build_id: str) -> None:
    jobs.run(IndexBuild, build_id, services.make_build)
