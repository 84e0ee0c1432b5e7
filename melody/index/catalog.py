"""The two small files of a version that the standard library reads: what it is, and which tracks are in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melody.errors import IndexMismatch

FORMAT = 1
MANIFEST = "manifest.json"
TRACKS = "tracks.json"


@dataclass(frozen=True, slots=True)
class TrackEntry:
    """One track of the library, as an index version lists it."""

    id: str
    title: str
    artist: str
    path: str  # below the library, with forward slashes
    sha256: str  # of the file
    size: int  # bytes
    mtime_ns: int
    duration_s: float
    windows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one version is."""

    version: str
    created_at: str  # UTC, ISO 8601
    tracks: int
    segments: int  # of 10 s, one each 5 s
    windows: int
    duration_s: float
    embedding: str
    dimension: int  # 0 where there are no tracks
    hop_s: float  # of the contours
    features: str  # the key of the settings that shaped them
    exported: bool  # meta.json and its files are there
    format: int = FORMAT

    def as_json(self) -> dict[str, Any]:
        """The manifest as it is written."""
        return {
            "format": self.format,
            "version": self.version,
            "createdAt": self.created_at,
            "tracks": self.tracks,
            "segments": self.segments,
            "windows": self.windows,
            "durationSec": self.duration_s,
            "embedding": {"name": self.embedding, "dimension": self.dimension},
            "hopSec": self.hop_s,
            "features": self.features,
            "exported": self.exported,
        }


def write_catalog(folder: Path, manifest: Manifest, tracks: Sequence[TrackEntry]) -> None:
    """Write manifest.json and tracks.json."""
    items = [
        {
            "id": track.id,
            "title": track.title,
            "artist": track.artist,
            "path": track.path,
            "sha256": track.sha256,
            "size": track.size,
            "mtimeNs": track.mtime_ns,
            "durationSec": track.duration_s,
            "windows": track.windows,
        }
        for track in tracks
    ]
    (folder / TRACKS).write_text(json.dumps({"format": FORMAT, "tracks": items}, indent=1), encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps(manifest.as_json(), indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the version in `folder`. Raises IndexMismatch where it is damaged or of another format."""
    found = _read(folder / MANIFEST)
    try:
        return Manifest(
            version=str(found["version"]),
            created_at=str(found["createdAt"]),
            tracks=int(found["tracks"]),
            segments=int(found["segments"]),
            windows=int(found["windows"]),
            duration_s=float(found["durationSec"]),
            embedding=str(found["embedding"]["name"]),
            dimension=int(found["embedding"]["dimension"]),
            hop_s=float(found["hopSec"]),
            features=str(found["features"]),
            exported=bool(found["exported"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IndexMismatch(f"{MANIFEST} of the library index is damaged.") from error


def read_tracks(folder: Path) -> tuple[TrackEntry, ...]:
    """The tracks of the version in `folder`, by number. Raises IndexMismatch as `read_manifest` does."""
    found = _read(folder / TRACKS)
    try:
        return tuple(_entry(item) for item in found["tracks"])
    except (KeyError, TypeError, ValueError) as error:
        raise IndexMismatch(f"{TRACKS} of the library index is damaged.") from error


def _entry(item: dict[str, Any]) -> TrackEntry:
    return TrackEntry(
        id=str(item["id"]),
        title=str(item["title"]),
        artist=str(item["artist"]),
        path=str(item["path"]),
        sha256=str(item["sha256"]),
        size=int(item["size"]),
        mtime_ns=int(item["mtimeNs"]),
        duration_s=float(item["durationSec"]),
        windows=int(item["windows"]),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IndexMismatch(f"{path.name} of the library index cannot be read.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise IndexMismatch(f"{path.name} of the library index has another format.")
    return found
