"""Changes to the library: builds asked for and made, rows led after the index, keys."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone

from searchapp import engine, jobs
from searchapp.library.models import ApiKey, IndexBuild, Segment, Track

_BATCH = 200
_FIELDS = ("title", "artist", "path", "sha256", "size", "duration_s")
T = TypeVar("T")
_NOTE_EVERY_S = 0.5


def request_build(asked_by: str) -> IndexBuild:
    """Queue a build; where one is queued or under way, that one."""
    try:
        with transaction.atomic():
            return IndexBuild.submit(asked_by=asked_by)
    except IntegrityError:
        return IndexBuild.objects.filter(status__in=["queued", "processing"]).latest("created_at")


def make_build(build: IndexBuild) -> None:
    """What a worker does of a build. Raises what the engine raises."""
    noted_at = 0.0

    def note(done: int, total: int) -> None:
        nonlocal noted_at
        if done == total or time.monotonic() - noted_at > _NOTE_EVERY_S:
            noted_at = time.monotonic()
            IndexBuild.objects.filter(pk=build.pk).update(tracks_done=done, tracks_total=total)

    with jobs.kept_alive(build):
        built = engine.build_index(on_progress=note)
        lead_rows(built.version)
    build.finish(version=built.version, failures=built.failures)


def build_now(*, library: Path | None, out: Path | None, on_progress: engine.OnProgress | None = None) -> engine.Built:
    """Build in this process, without a worker; the rows follow where it is the server's own index."""
    built = engine.build_index(library=library, out=out, on_progress=on_progress)
    adopt_current_index()
    return built


def adopt_current_index() -> bool:
    """Lead the rows after a version that was built elsewhere (a shell, another machine); False where they follow."""
    version = engine.current_version()
    adopted = IndexBuild.objects.filter(status=IndexBuild.Status.DONE).order_by("-finished_at").first()
    if version is None or (adopted is not None and adopted.version == version):
        return False
    lead_rows(version)
    IndexBuild.objects.create(
        status=IndexBuild.Status.DONE, version=version, finished_at=timezone.now(), asked_by="shell"
    )
    return True


def lead_rows(version: str) -> None:
    """Make tracks and segments those of a version, a batch at a time; only what changed is written."""
    known = {track.id: track for track in Track.objects.all()}
    entries = engine.indexed_tracks(version)
    changed = (entry for entry in entries if not _is_same(known.get(entry.id), entry))
    for batch in _batches(map(_track, changed)):
        with transaction.atomic():
            Segment.objects.filter(track_id__in=[track.id for track in batch]).delete()
            Track.objects.bulk_create(
                batch,
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=_FIELDS,
            )
            Segment.objects.bulk_create(segment for track in batch for segment in _segments(track))
    for gone in _batches(known.keys() - {entry.id for entry in entries}):
        Track.objects.filter(id__in=gone).delete()


def create_api_key(name: str) -> str:
    """A new key; it cannot be read again."""
    key = f"ikm_{secrets.token_urlsafe(32)}"
    ApiKey.objects.create(name=name, sha256=_hash(key))
    return key


def find_api_key(key: str) -> ApiKey | None:
    """The key's row, if it is known and not revoked."""
    return ApiKey.objects.filter(sha256=_hash(key), revoked_at=None).first()


def revoke_api_keys(ids: list[int]) -> int:
    return ApiKey.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=timezone.now())


def _is_same(row: Track | None, entry: engine.IndexedTrack) -> bool:
    return row is not None and all(getattr(row, field) == getattr(entry, field) for field in _FIELDS)


def _track(entry: engine.IndexedTrack) -> Track:
    return Track(id=entry.id, **{field: getattr(entry, field) for field in _FIELDS})


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _segments(track: Track) -> Iterator[Segment]:
    for number, (start_s, duration_s) in enumerate(engine.segments_of(track.duration_s)):
        yield Segment(id=f"{track.id}__seg_{number:03d}", track=track, start_s=start_s, duration_s=duration_s)


def _hash(key: str) -> str:
    # The key is 256 random bits: a slow hash would add nothing.
    return hashlib.sha256(key.encode()).hexdigest()
