"""What was heard in one content, kept by its hash: only new sound is ever analysed."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from melody.config import Config
from melody.types import Contour, TrackFeatures

FORMAT = 1
_SHAPING = ("pitch", "contour", "windows", "embedding")
_UNFINISHED = ".unfinished"
_ABANDONED_S = 3600.0
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def feature_key(config: Config) -> str:
    """Twelve hexadecimal digits that change with every setting that shapes features, and with their format."""
    parts = asdict(config)
    shaping = {name: parts[name] for name in _SHAPING}
    heard = {"rate_hz": config.audio.rate_hz, "track_max_s": config.audio.track_max_s}
    text = json.dumps({"format": FORMAT, "audio": heard, **shaping}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class FeatureStore:
    """A folder of features by content and by the settings that shaped them, so that old ones stay beside new ones.

    Several processes may save at once: a file is written apart and then renamed into place.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._key = feature_key(config)

    def path(self, sha256: str) -> Path:
        """Where the features of a content are, or would be."""
        return self._folder / sha256[:2] / f"{sha256}-{self._key}.npz"

    def load(self, sha256: str) -> TrackFeatures | None:
        """The features of a content; None where there are none by these settings, or their file is damaged."""
        try:
            with self.path(sha256).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                hop_s, duration_s = (float(value) for value in arrays["seconds"])
                contour = Contour(arrays["semitones"], arrays["voiced"], hop_s)
                features = TrackFeatures(contour, arrays["start_s"], arrays["vectors"], duration_s)
        except _DAMAGED:
            return None
        return features if _is_whole(features) else None

    def save(self, sha256: str, features: TrackFeatures) -> None:
        """Keep the features of a content: all of the file is there, or none of it. Raises OSError."""
        target = self.path(sha256)
        partial = self._folder / _UNFINISHED / f"{sha256}-{os.getpid()}.npz"
        for folder in (target.parent, partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            partial,
            allow_pickle=False,
            semitones=features.contour.semitones.astype(np.float32),
            voiced=features.contour.voiced.astype(np.bool_),
            start_s=features.start_s.astype(np.float32),
            vectors=features.vectors.astype(np.float16),
            seconds=np.array([features.contour.hop_s, features.duration_s]),
        )
        partial.replace(target)

    def sweep(self) -> None:
        """Remove what killed processes left unfinished, but nothing that another build may be writing now."""
        for partial in (self._folder / _UNFINISHED).glob("*.npz"):
            if time.time() - partial.stat().st_mtime > _ABANDONED_S:
                partial.unlink(missing_ok=True)


def _is_whole(features: TrackFeatures) -> bool:
    contour = features.contour
    has_shapes = contour.semitones.ndim == 1 and features.start_s.ndim == 1 and features.vectors.ndim == 2
    return (
        has_shapes
        and len(contour.semitones) == len(contour.voiced)
        and len(features.start_s) == len(features.vectors)
        and contour.hop_s > 0
    )
