"""A track's file as a response: whole, or the range of bytes that a player asks for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from pathlib import Path

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from searchapp.errors import RangeNotSatisfiable

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def audio_response(request: HttpRequest, path: Path, media_type: str) -> HttpResponseBase:
    """200 with the file or 206 with a part of it. Raises RangeNotSatisfiable."""
    status = path.stat()
    first, last = _asked_for(request.headers.get("Range", ""), status.st_size)
    partial = "Range" in request.headers and (first, last) != (0, status.st_size - 1)
    length = last - first + 1
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    elif isinstance(request, ASGIRequest):
        response = StreamingHttpResponse(_asynchronously(path, first, length))
    else:
        response = StreamingHttpResponse(_part(path, first, length))
    response.status_code = 206 if partial else 200
    if partial:
        response["Content-Range"] = f"bytes {first}-{last}/{status.st_size}"
    response["Content-Type"] = media_type
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    response["Last-Modified"] = formatdate(status.st_mtime, usegmt=True)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = "inline"
    response["Cache-Control"] = "private, max-age=3600"
    return response


def _asked_for(header: str, size: int) -> tuple[int, int]:
    """First and last byte; the whole file where the header names no single range that we know."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return 0, size - 1
    start, end = match.groups()
    if not start:
        first, last = max(size - int(end), 0), size - 1
        satisfiable = int(end) > 0
    else:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
        satisfiable = first < size and first <= last
    if not satisfiable or not size:
        raise RangeNotSatisfiable
    return first, last


def _part(path: Path, first: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while length > 0 and (chunk := file.read(min(_CHUNK_BYTES, length))):
            length -= len(chunk)
            yield chunk


async def _asynchronously(path: Path, first: int, length: int) -> AsyncIterator[bytes]:
    chunks = _part(path, first, length)
    read = sync_to_async(lambda: next(chunks, b""), thread_sensitive=False)
    while chunk := await read():
        yield chunk
