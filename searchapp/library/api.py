"""The library's routes."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router, Status
from ninja.security import APIKeyHeader
from ninja.security.session import SessionAuthIsStaff

from searchapp.errors import Forbidden
from searchapp.library import queries, services
from searchapp.library.audio import audio_response
from searchapp.library.models import ApiKey
from searchapp.library.schemas import BuildOut, BuildStarted, ErrorOut, StatsOut


class KeyAuth(APIKeyHeader):
    """An API key in a header: no cookie, so nothing that another site could make a browser send."""

    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        return services.find_api_key(key) if key else None


class StaffSession(SessionAuthIsStaff):
    """A staff member's session; the CSRF token is asked of them alone, a stranger is told to sign in."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if request.user.is_staff else None


STAFF = [KeyAuth(), StaffSession(csrf=True)]
router = Router(tags=["library"])


@router.get("/library/stats", response={200: StatsOut, 503: ErrorOut}, operation_id="library_stats")
def stats(request: HttpRequest) -> StatsOut:
    return StatsOut.of(queries.index_facts())


@router.post(
    "/admin/build-index",
    response={202: BuildStarted, 401: ErrorOut, 403: ErrorOut},
    auth=STAFF,
    operation_id="build_index",
)
def build_index(request: HttpRequest) -> Status[Any]:
    build = services.request_build(str(request.auth))  # type: ignore[attr-defined]
    return Status(202, {"build_id": build.pk})


@router.get(
    "/admin/build-index/{uuid:build_id}",
    response={200: BuildOut, 401: ErrorOut, 403: ErrorOut, 404: ErrorOut},
    auth=STAFF,
    operation_id="read_build",
)
def read_build(request: HttpRequest, build_id: uuid.UUID) -> BuildOut:
    return BuildOut.of(queries.get_build(build_id))


def audio_is_open_to(request: HttpRequest) -> bool:
    """Whether who asks may hear the library."""
    return bool(settings.LIBRARY_AUDIO_PUBLIC or request.user.is_staff)


_SOUND = {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}


@router.api_operation(["HEAD"], "/tracks/{track_id}/audio", include_in_schema=False)
@router.get(
    "/tracks/{track_id}/audio",
    response={403: ErrorOut, 404: ErrorOut, 416: ErrorOut},
    operation_id="track_audio",
    openapi_extra={
        "responses": {200: {"description": "The file", **_SOUND}, 206: {"description": "The range", **_SOUND}}
    },
)
def track_audio(request: HttpRequest, track_id: str) -> HttpResponseBase:
    if not audio_is_open_to(request):
        raise Forbidden("This library's audio is not public.")
    return audio_response(request, *queries.audio_file(track_id))
