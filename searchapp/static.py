"""Static files from our own origin: WhiteNoise, made able to let asynchronous requests through without a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise as it comes is synchronous, and one synchronous middleware costs every waiting request a thread."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        file = self.find_file(request.path_info) if self.autorefresh else self.files.get(request.path_info)
        if iscoroutinefunction(self):
            return self._answer(request, file)
        response: HttpResponseBase = self.get_response(request) if file is None else self._whole(request, file)
        return response

    async def _answer(self, request: HttpRequest, file: Any) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request) if file is None else self._whole(request, file)
        return response

    def _whole(self, request: HttpRequest, file: Any) -> HttpResponse:
        # Static files are small: at once is simpler than streaming, which has two forms.
        served = self.serve(file, request)
        content = b"".join(served)
        served.close()
        return HttpResponse(content, status=served.status_code, headers=dict(served.items()))
