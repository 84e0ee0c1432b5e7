"""The web process's door."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class BodyLimit:
    """Stops reading a body that is too large: Django would first write all of it to disk."""

    def __init__(self, app: App, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # Django knows nothing of lifespan and websockets
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_bytes:
            await _refuse(receive, send, drain_bytes=4 * self._max_bytes)
            return
        seen = 0
        ended = False

        async def limited() -> Message:
            nonlocal seen, ended
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes and not ended:
                ended = True
                await _refuse(receive, send, drain_bytes=4 * self._max_bytes)
            return {"type": "http.disconnect"} if ended else message

        async def unless_ended(message: Message) -> None:
            if not ended:
                await send(message)

        await self._app(scope, limited, unless_ended)


async def _refuse(receive: Receive, send: Send, *, drain_bytes: int) -> None:
    """413; first some more is read and forgotten, since few clients hear an answer before they have sent all."""
    from searchapp.errors import TooLarge

    more = True
    while more and drain_bytes > 0:
        message = await receive()
        drain_bytes -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    body = json.dumps(TooLarge().as_json()).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": TooLarge.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _application() -> App:
    application = get_asgi_application()
    from django.conf import settings

    return BodyLimit(application, settings.BODY_MAX_BYTES)


application = _application()
