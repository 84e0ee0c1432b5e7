"""What several tests of the service make."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from searchapp.engine import Found
from searchapp.search.models import SearchJob

VERSION = "20260101T000000000000Z-abcdef"


def silence(seconds: float = 6.0) -> bytes:
    """A wav file that any container check lets through."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(round(seconds * 8000) * 2))
    return buffer.getvalue()


def clip(content: bytes | None = None, name: str = "clip.wav") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, silence() if content is None else content, "application/x-whatever")


def track_entry(number: int, **changes: Any) -> dict[str, Any]:
    entry = {
        "id": f"track_{number}",
        "title": f"Track {number}",
        "artist": "Unknown",
        "path": f"track {number}.wav",
        "sha256": f"{number:064d}",
        "size": 1000,
        "mtimeNs": 0,
        "durationSec": 23.0,
        "windows": 30,
    }
    return {**entry, **changes}


def publish(entries: list[dict[str, Any]], version: str = VERSION) -> str:
    """An index as far as the web process looks at one."""
    folder = settings.INDEX_DIR / version
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": 1,
        "version": version,
        "createdAt": "2026-01-01T00:00:00Z",
        "tracks": len(entries),
        "segments": 4 * len(entries),
        "windows": 30 * len(entries),
        "durationSec": 23.0 * len(entries),
        "embedding": {"name": "agreement-1", "dimension": 320},
        "hopSec": 0.05,
        "features": "x",
        "exported": False,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "tracks.json").write_text(json.dumps({"format": 1, "tracks": entries}))
    (settings.INDEX_DIR / "CURRENT").write_text(version + "\n")
    return version


def result(track_id: str = "track_1", match_type: str = "very_close", confidence: int = 92) -> dict[str, Any]:
    return {
        "trackId": track_id,
        "title": "Track 1",
        "artist": "Unknown",
        "confidence": confidence,
        "matchType": match_type,
        "segmentStartSec": 15.0,
        "segmentEndSec": 23.5,
        "transposeSemitones": -3.0,
        "tempoRatio": 1.08,
        "audioUrl": None,
        "contour": {"hopSec": 0.1, "query": [0.0, 2.1, None], "match": [0.0, 2.0, None]},
        "debug": {"faissScore": 0.83, "melodyDistance": 0.12},
    }


QUERY = {
    "durationSec": 8.0,
    "voicedSec": 6.5,
    "truncated": False,
    "contour": {"hopSec": 0.1, "semitones": [0.0, 2.1, None]},
}


def found(*results: dict[str, Any]) -> Found:
    return Found(list(results), QUERY, VERSION, {"total": 300.0})


def job(**values: Any) -> SearchJob:
    return SearchJob.objects.create(**{"client": "somebody", **values})


def audio_track(path: Path, content: bytes) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content
