"""The door from the queue."""

from __future__ import annotations

from searchapp import jobs
from searchapp.search import services
from searchapp.search.models import SearchJob


def run(job_id: str) -> None:
    jobs.run(SearchJob, job_id, services.search)
