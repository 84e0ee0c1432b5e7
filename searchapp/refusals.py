"""What Django itself refuses, before or beside the API, in the API's own words wherever a program asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.views import defaults

from searchapp.errors import FAILED, BadRequest, ErrorJson, NotFound

_WRONG_METHOD: ErrorJson = {
    "code": "wrong_method",
    "message": "This address does not answer this method.",
    "hint": "See /v1/docs.",
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse(BadRequest("The request cannot be read.").as_json(), status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_program(request):
        return JsonResponse(NotFound(hint="See /v1/docs.").as_json(), status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    return JsonResponse(FAILED, status=500) if _is_program(request) else defaults.server_error(request)


@sync_and_async_middleware
def middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    """Ninja answers a wrong method in plain text; errors are the same JSON everywhere."""
    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            return _in_json(request, await get_response(request))

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        return _in_json(request, get_response(request))  # type: ignore[arg-type]

    return synchronous


def _in_json(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code != 405 or not _is_program(request):
        return response
    refusal = JsonResponse(_WRONG_METHOD, status=405)
    if "Allow" in response:
        refusal["Allow"] = response["Allow"]
    return refusal


def _is_program(request: HttpRequest) -> bool:
    return request.path.startswith("/v1/") or request.path == "/health"
