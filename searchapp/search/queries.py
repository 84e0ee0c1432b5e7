"""Reads searches."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from searchapp.errors import NotFound
from searchapp.search.models import SearchJob

HIDDEN = "maybe"


def get_job(job_id: uuid.UUID) -> SearchJob:
    job = SearchJob.objects.filter(pk=job_id).first()
    if job is None:
        raise NotFound("There is no such search.", hint="Searches are kept for thirty days.")
    return job


def finished(ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these jobs are finished, or gone."""
    under_way = SearchJob.objects.filter(pk__in=ids).exclude(status__in=SearchJob.FINISHED)
    return set(ids) - set(under_way.values_list("pk", flat=True))


def results_of(job: SearchJob, *, include_maybe: bool, with_audio: bool) -> list[dict[str, Any]]:
    """The hits as the API gives them; `audioUrl` is null where the audio may not be played."""
    shown = job.hits.all() if include_maybe else job.hits.exclude(match_type=HIDDEN)
    return [{**hit.result, "audioUrl": _audio_url(hit.track_id) if with_audio else None} for hit in shown]


def _audio_url(track_id: str) -> str:
    return f"/v1/tracks/{quote(track_id, safe='')}/audio"
