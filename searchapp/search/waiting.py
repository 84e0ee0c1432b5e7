"""Waiting for a job without holding a thread: one look a moment at the database for all who wait in this process."""

from __future__ import annotations

import asyncio
import uuid
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import DatabaseError, close_old_connections, connections

from searchapp.search import queries

_LOOK_EVERY_S = 0.05


class _Watch:
    """Everybody who waits in one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], uuid.UUID] = {}
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, job_id: uuid.UUID, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = job_id
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(future, None)

    async def _look(self) -> None:
        look = sync_to_async(_finished, thread_sensitive=False)
        while self._waiting:
            for_all = set(self._waiting.values())
            try:
                finished = await look(for_all)
            except DatabaseError:  # away for a moment: whoever waits is still told what there is when the time is up
                finished = set()
            for future, job_id in list(self._waiting.items()):
                if job_id in finished and not future.done():
                    future.set_result(None)
            await asyncio.sleep(_LOOK_EVERY_S)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()


async def until_finished(job_id: uuid.UUID, seconds: float) -> None:
    """Return when the job is finished or the time is up. For a view that then reads the job."""
    await _release_thread()
    watch = _watches.setdefault(asyncio.get_running_loop(), _Watch())
    await watch.wait(job_id, seconds)


def _finished(ids: set[uuid.UUID]) -> set[uuid.UUID]:
    close_old_connections()
    try:
        return queries.finished(ids)
    finally:
        close_old_connections()


async def _release_thread() -> None:
    """End the thread that Django keeps for this request's synchronous parts; the next of them starts another."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or context not in SyncToAsync.context_to_thread_executor:
        return
    await sync_to_async(connections.close_all)()
    SyncToAsync.context_to_thread_executor.pop(context).shutdown(wait=False)
