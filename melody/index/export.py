"""The export for other tools: meta.json, and the melody of each ten-second segment as a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from melody.index.catalog import TrackEntry
from melody.types import Contour, Floats

FORMAT = 1
SEGMENT_S = 10
SEGMENT_HOP_S = 5
FRAMES_PER_S = 10


def segment_starts(duration_s: float) -> range:
    """Seconds where the segments of a track begin: no second of it is in none, and none adds nothing new."""
    more = math.ceil(max(duration_s - SEGMENT_S, 0.0) / SEGMENT_HOP_S)
    return range(0, SEGMENT_HOP_S * more + 1, SEGMENT_HOP_S)


def write_export(
    folder: Path, created_at: str, tracks: Sequence[TrackEntry], contour_of: Callable[[int], Contour]
) -> None:
    """Write meta.json and `melody/<segment>.npy` of all tracks; `contour_of` gives a track's by its number."""
    (folder / "melody").mkdir()
    items: list[dict[str, Any]] = []
    for number, track in enumerate(tracks):
        melody = _ten_a_second(contour_of(number))
        for segment, start_s in enumerate(segment_starts(track.duration_s)):
            item = _item(track, segment, start_s)
            np.save(folder / item["melodyFeaturePath"], _centred(melody, start_s), allow_pickle=False)
            items.append(item)
    meta = {"version": FORMAT, "createdAt": created_at, "items": items}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _item(track: TrackEntry, segment: int, start_s: int) -> dict[str, Any]:
    name = f"{track.id}__seg_{segment:03d}"
    length_s = round(min(float(SEGMENT_S), track.duration_s - start_s), 2)
    return {
        "id": name,
        "trackId": track.id,
        "title": track.title,
        "artist": track.artist,
        "source": "local",
        "segmentStartSec": start_s,
        "segmentDurationSec": int(length_s) if length_s.is_integer() else length_s,
        "melodyFeaturePath": f"melody/{name}.npy",
    }


def _ten_a_second(contour: Contour) -> Floats:
    """MIDI pitch (t,) each tenth of a second, NaN where silent."""
    count = math.ceil(contour.duration_s * FRAMES_PER_S - 1e-6)
    middles = ((np.arange(count) + 0.5) / FRAMES_PER_S / contour.hop_s + 1e-6).astype(np.int64)
    frames = np.minimum(middles, len(contour.semitones) - 1)
    return np.where(contour.voiced[frames], contour.semitones[frames], np.nan).astype(np.float32)


def _centred(melody: Floats, start_s: int) -> Floats:
    """One segment (100,) in semitones about its median; NaN where silent and after the track's end."""
    piece = np.full(SEGMENT_S * FRAMES_PER_S, np.nan, dtype=np.float32)
    heard = melody[start_s * FRAMES_PER_S :][: len(piece)]
    piece[: len(heard)] = heard
    voiced = piece[~np.isnan(piece)]
    return piece - np.median(voiced) if len(voiced) else piece
