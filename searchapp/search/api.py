"""The search routes: asynchronous, so that whoever waits holds no thread."""

from __future__ import annotations

import uuid
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest
from ninja import File, Form, Query, Router, Status
from ninja.files import UploadedFile

from searchapp.errors import status_of
from searchapp.library.api import audio_is_open_to
from searchapp.library.schemas import ErrorOut
from searchapp.search import queries, services
from searchapp.search.models import SearchJob
from searchapp.search.schemas import AnswerOut, JobOut, JobStarted, ReadIn, SearchIn
from searchapp.search.waiting import until_finished

router = Router(tags=["search"])
_NOT_READ = dict.fromkeys((400, 404, 500), ErrorOut)
_REFUSALS = dict.fromkeys((400, 413, 415, 422, 429, 500, 503), ErrorOut)


@router.post("/search", response={200: AnswerOut, 202: JobStarted, **_REFUSALS}, operation_id="search")
async def submit(request: HttpRequest, file: File[UploadedFile], form: Form[SearchIn]) -> Status[Any]:
    wish = services.Wish(form.mode, form.top_k)
    job = await sync_to_async(services.submit)(file, wish, address=address_of(request))
    if form.wait:
        await until_finished(job.pk, form.wait)
        return await sync_to_async(_answer)(request, job.pk, include_maybe=form.include_maybe)
    return Status(202, {"job_id": job.pk})


@router.get("/search/{uuid:job_id}", response={200: JobOut, **_NOT_READ}, operation_id="read_search")
async def read(request: HttpRequest, job_id: uuid.UUID, form: Query[ReadIn]) -> JobOut:
    job = await sync_to_async(queries.get_job)(job_id)
    if form.wait and not job.is_finished:
        await until_finished(job_id, form.wait)
    return await sync_to_async(_state)(request, job_id, include_maybe=form.include_maybe)


def address_of(request: HttpRequest) -> str:
    """Whose request it is: the last address that no proxy of ours has."""
    hops = [*request.headers.get("X-Forwarded-For", "").split(","), request.META.get("REMOTE_ADDR", "")]
    addresses = [hop.strip() for hop in hops if hop.strip()]
    while len(addresses) > 1 and addresses[-1] in settings.TRUSTED_PROXIES:
        addresses.pop()
    return addresses[-1] if addresses else ""


def _answer(request: HttpRequest, job_id: uuid.UUID, *, include_maybe: bool) -> Status[Any]:
    job = queries.get_job(job_id)
    if job.error is not None:
        return Status(status_of(job.error_code), job.error)
    if job.status != SearchJob.Status.DONE:
        return Status(202, {"job_id": job.pk})
    return Status(200, AnswerOut.of(job, include_maybe=include_maybe, with_audio=audio_is_open_to(request)))


def _state(request: HttpRequest, job_id: uuid.UUID, *, include_maybe: bool) -> JobOut:
    return JobOut.of(queries.get_job(job_id), include_maybe=include_maybe, with_audio=audio_is_open_to(request))
