"""Reads what the library is. No writes, no engine: the web process asks here."""

from __future__ import annotations

import uuid
from pathlib import Path, PurePosixPath

from django.conf import settings

from melody.errors import IndexMismatch
from searchapp import engine
from searchapp.errors import IndexMissing, NotFound
from searchapp.library.models import IndexBuild, Track

AUDIO_TYPES = {
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aifc": "audio/aiff",
    ".aiff": "audio/aiff",
    ".caf": "audio/x-caf",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".mka": "audio/x-matroska",
    ".mkv": "audio/x-matroska",
    ".mov": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "audio/mp4",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".w64": "audio/x-w64",
    ".wav": "audio/wav",
    ".webm": "audio/webm",
}


def index_facts() -> engine.IndexFacts:
    """The current index version. Raises IndexMissing where there is none that can be used."""
    try:
        facts = engine.current_index()
    except IndexMismatch as error:
        raise IndexMissing(error.message, hint=error.hint) from error
    if facts is None:
        raise IndexMissing
    return facts


def get_build(build_id: uuid.UUID) -> IndexBuild:
    build = IndexBuild.objects.filter(pk=build_id).first()
    if build is None:
        raise NotFound("There is no such build.")
    return build


def audio_file(track_id: str) -> tuple[Path, str]:
    """A track's file and its media type, which is that of audio whatever the file holds."""
    track = Track.objects.filter(pk=track_id).first()
    if track is None:
        raise NotFound("There is no such track.")
    inside = PurePosixPath(track.path)
    path = settings.LIBRARY_DIR / inside
    if inside.is_absolute() or ".." in inside.parts or not path.is_file():
        raise NotFound("The file of this track is not in the library's folder.")
    return path, AUDIO_TYPES.get(path.suffix.lower(), "audio/basic")
