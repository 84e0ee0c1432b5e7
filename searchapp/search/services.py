"""Changes to searches: a clip submitted, a job worked on, what is old removed."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from melody.errors import NotAudio as ClipIsGone
from searchapp import engine
from searchapp.errors import NoFile, NotAudio, TooLarge, TooManyRequests
from searchapp.library.queries import index_facts
from searchapp.search.models import SearchHit, SearchJob
from searchapp.search.sniffing import HEAD_BYTES, is_audio_container

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

    Upload = UploadedFile[Any]

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a clip."""

    mode: str = SearchJob.Mode.SONG_CLIP
    top_k: int = 10


def submit(clip: Upload, wish: Wish, *, address: str) -> SearchJob:
    """Queue a search for a clip sent from `address`.

    Raises at once what the web process can judge: NoFile, TooLarge, NotAudio, IndexMissing, TooManyRequests.
    """
    checked = _checked(clip)
    index_facts()
    client = salted_hmac("searchapp.search.client", address).hexdigest()
    with transaction.atomic():
        _refuse_too_many(client)
        job = SearchJob.submit(mode=wish.mode, top_k=wish.top_k, client=client)
        _store(checked, clip_of(job))
    return job


def search(job: SearchJob) -> None:
    """What a worker does of a search. Raises what the engine raises."""
    clip = clip_of(job)
    if not clip.is_file():
        raise ClipIsGone("The clip was removed before it could be searched for.", hint="Send it again.")
    save_hits(job, engine.search_clip(clip, mode=job.mode, top_k=job.top_k))
    forget_clip(job)


def save_hits(job: SearchJob, found: engine.Found) -> None:
    """Store the answer, if the job is still ours: all of it or nothing."""
    with transaction.atomic():
        if job.finish(query=found.query, index_version=found.index_version, timings_ms=found.timings_ms):
            SearchHit.objects.bulk_create(
                SearchHit(job=job, rank=rank, track_id=result["trackId"], match_type=result["matchType"], result=result)
                for rank, result in enumerate(found.results, start=1)
            )


def clip_of(job: SearchJob) -> Path:
    """Where a job's clip is: alone in a folder that only the server's user can enter."""
    folder: Path = settings.CLIPS_DIR / str(job.pk)
    return folder / "clip"


def forget_clip(job: SearchJob) -> None:
    shutil.rmtree(clip_of(job).parent, ignore_errors=True)


def purge() -> None:
    """Remove clips that are older than an hour, and jobs older than thirty days."""
    oldest = time.time() - settings.KEEP_CLIPS.total_seconds()
    if settings.CLIPS_DIR.is_dir():
        for folder in settings.CLIPS_DIR.iterdir():
            if folder.is_dir() and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
    SearchJob.objects.filter(created_at__lt=timezone.now() - settings.KEEP_JOBS).delete()


def _checked(clip: Upload) -> Upload:
    if not clip.size:
        raise NoFile("The file is empty.")
    if clip.size > settings.CLIP_MAX_BYTES:
        raise TooLarge(f"A clip may have up to {settings.CLIP_MAX_BYTES // 1_000_000} MB.")
    head = clip.read(HEAD_BYTES)
    clip.seek(0)
    if not is_audio_container(head):
        raise NotAudio
    return clip


def _refuse_too_many(client: str) -> None:
    # The rows themselves are counted: right across processes and machines, and nothing else to keep.
    recent = SearchJob.objects.filter(client=client, created_at__gt=timezone.now() - _MINUTE).count()
    if recent >= settings.SEARCHES_PER_MINUTE:
        raise TooManyRequests(retry_after_s=60)
    if SearchJob.objects.filter(status=SearchJob.Status.QUEUED).count() >= settings.SEARCHES_WAITING:
        raise TooManyRequests("Too many searches are waiting.", retry_after_s=10)


def _store(clip: Upload, path: Path) -> None:
    settings.CLIPS_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.mkdir(mode=0o700)
    with path.open("xb") as file:
        path.chmod(0o600)
        for chunk in clip.chunks():
            file.write(chunk)
