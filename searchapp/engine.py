"""The only door to melody, one function a flow. Torch and FAISS load on the first search of a worker, never in a web
process: what that asks of the index (which version, how many tracks) is read here with the standard library alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from melody.errors import IndexMismatch

if TYPE_CHECKING:
    from melody.search import Library

OnProgress = Callable[[int, int], None]  # files done, and files to analyse in all


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What the manifest of the current index version says."""

    version: str
    created_at: datetime
    tracks: int
    segments: int
    duration_s: float
    embedding: str
    dimension: int


@dataclass(frozen=True, slots=True)
class IndexedTrack:
    """One track of the current index version."""

    id: str
    title: str
    artist: str
    path: str  # below the library's folder
    sha256: str
    size: int  # bytes
    duration_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one clip: keys as the API gives them, `audioUrl` still null."""

    results: list[dict[str, Any]]
    query: dict[str, Any]
    index_version: str
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did."""

    version: str
    failures: list[dict[str, str]]  # path and reason
    summary: dict[str, Any]


def current_version() -> str | None:
    """The version that CURRENT names; None where nothing was built."""
    try:
        return (settings.INDEX_DIR / "CURRENT").read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def current_index() -> IndexFacts | None:
    """What the current version is; None where nothing was built. Raises IndexMismatch where it is damaged."""
    version = current_version()
    if version is None:
        return None
    found = _read(version, "manifest.json")
    try:
        return IndexFacts(
            version=str(found["version"]),
            created_at=datetime.fromisoformat(found["createdAt"]),
            tracks=int(found["tracks"]),
            segments=int(found["segments"]),
            duration_s=float(found["durationSec"]),
            embedding=str(found["embedding"]["name"]),
            dimension=int(found["embedding"]["dimension"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IndexMismatch("The manifest of the library index is damaged.") from error


def indexed_tracks(version: str) -> list[IndexedTrack]:
    """The tracks of a version. Raises IndexMismatch where it is damaged."""
    found = _read(version, "tracks.json")
    try:
        return [
            IndexedTrack(
                id=item["id"],
                title=item["title"],
                artist=item["artist"],
                path=item["path"],
                sha256=item["sha256"],
                size=item["size"],
                duration_s=item["durationSec"],
            )
            for item in found["tracks"]
        ]
    except (KeyError, TypeError) as error:
        raise IndexMismatch("The tracks of the library index are damaged.") from error


def segments_of(duration_s: float) -> list[tuple[float, float]]:
    """Start and length in seconds of each segment of a track, as `meta.json` lists them."""
    from melody.index.export import SEGMENT_S, segment_starts

    return [(float(start), float(SEGMENT_S)) for start in segment_starts(duration_s)]


def search_clip(path: Path, *, mode: str, top_k: int) -> Found:
    """The tracks whose melody resembles the clip's.

    Raises NotAudio, TooShort, NoMelody, and EngineNotReady where an operator must act.
    """
    from melody.results import query_json, results_json
    from melody.search import search
    from melody.types import Mode

    library = _library()
    answer = search(path, library, _config(), mode=Mode(mode), top_k=top_k)
    results = results_json(answer, library)
    return Found(results, query_json(answer.query), library.index.version, answer.timings_ms)


def warm_up() -> None:
    """One search that nobody asked for, so that nobody waits for loading. Raises EngineNotReady."""
    from melody.warmup import warm_up

    warm_up(_library(), _config())


def build_index(
    *, library: Path | None = None, out: Path | None = None, on_progress: OnProgress | None = None
) -> Built:
    """Make the index say what the library's folder holds, with processes of its own. Raises EngineNotReady, OSError.

    Analyses are kept in the features folder, or beside an index that is put elsewhere.
    """
    from melody.build import Progress, build

    def note(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(progress.done, progress.total)

    report = build(
        library or settings.LIBRARY_DIR,
        out or settings.INDEX_DIR,
        _config(),
        features=settings.FEATURES_DIR if out in (None, settings.INDEX_DIR) else None,
        workers=settings.BUILD_PROCESSES,
        on_progress=note,
    )
    failures = [{"path": path, "reason": reason} for path, reason in report.failures]
    return Built(report.version, failures, report.as_json())


_opened: Library | None = None


def _library() -> Library:
    """The current version, opened once a worker; what CURRENT names is looked at each time."""
    global _opened
    from melody.search import open_library

    if _opened is None or _opened.index.version != current_version():
        _opened = open_library(settings.INDEX_DIR, _config())
    return _opened


def _config() -> Any:
    from melody.config import Config

    return Config()


def _read(version: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads((settings.INDEX_DIR / version / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IndexMismatch(f"{name} of the library index cannot be read.") from error
    if not isinstance(found, dict):
        raise IndexMismatch(f"{name} of the library index is damaged.")
    return found
