"""The whole surface of the service on one screen: its routes, and which error answers with which status."""

from __future__ import annotations

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError

from searchapp import health
from searchapp.errors import FAILED, BadRequest, Forbidden, NoFile, NotAllowed, NotFound, RequestError
from searchapp.library.api import router as library
from searchapp.search.api import router as search

_log = structlog.get_logger(__name__)
api = NinjaAPI(
    title="iKnowThisMelody",
    version="1",
    description="Finds the tracks of a library whose melody resembles a hummed, whistled or recorded clip. "
    "Results are algorithmic similarity estimates and not legal determinations.",
    docs_url="/v1/docs",
    openapi_url="/v1/openapi.json",
    urls_namespace="v1",
)
api.add_router("/v1", search)
api.add_router("/v1", library)


@api.get("/health", response={200: health.HealthOut, 503: health.HealthOut}, tags=["health"], operation_id="health")
def read_health(request: HttpRequest) -> Status[health.HealthOut]:
    found = health.look()
    return Status(200 if found.is_well else 503, found)


@api.exception_handler(RequestError)
def _refuse(request: HttpRequest, error: RequestError) -> HttpResponse:
    response = api.create_response(request, error.as_json(), status=error.status)
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    return response


@api.exception_handler(ValidationError)
def _refuse_parameter(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    if first["loc"][-1] == "file":
        return _refuse(request, NoFile())
    return _refuse(request, BadRequest(f"{first['loc'][-1]}: {first['msg']}."))


@api.exception_handler(AuthenticationError)
def _refuse_stranger(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return _refuse(request, NotAllowed())


@api.exception_handler(HttpError)
def _refuse_as_told(request: HttpRequest, error: HttpError) -> HttpResponse:
    refusal = Forbidden(str(error)) if error.status_code == 403 else BadRequest(str(error))
    return _refuse(request, refusal)


@api.exception_handler(Http404)
def _refuse_unknown(request: HttpRequest, error: Http404) -> HttpResponse:
    return _refuse(request, NotFound())


@api.exception_handler(Exception)
def _own_up(request: HttpRequest, error: Exception) -> HttpResponse:
    _log.error("request_failed", exc_info=error)
    return api.create_response(request, FAILED, status=500)
