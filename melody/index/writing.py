"""Tracks and their features -> a new version, published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from melody.config import Config
from melody.errors import IndexMismatch
from melody.index.arrays import Arrays, hundredths
from melody.index.catalog import Manifest, TrackEntry, write_catalog
from melody.index.export import segment_starts, write_export
from melody.index.features import feature_key
from melody.index.vectors import widened, write_vectors
from melody.index.versions import new_folder, new_version, publish
from melody.types import Bools, Floats, TrackFeatures

Load = Callable[[str], TrackFeatures | None]


def write_index(
    index_dir: Path, tracks: Sequence[TrackEntry], load: Load, config: Config, *, export: bool | None = None
) -> str:
    """Write a new version with these tracks and make it the current one; returns its name.

    `load` gives features by a content's hash, and is asked twice for each: memory holds the contours of all tracks
    and the bytes of the vector index, but the vectors of one track at a time. `export` None makes meta.json for up to
    `config.index.export_up_to_tracks`. Raises IndexMismatch where features are missing, and OSError; the current
    version stays then.
    """
    version = new_version()
    exported = len(tracks) <= config.index.export_up_to_tracks if export is None else export
    with new_folder(index_dir, version) as folder:
        gathered = _gather(_loaded(tracks, load))
        gathered.arrays.write(folder)
        write_vectors(folder / "faiss.index", gathered.extremes, (each.vectors for each in _loaded(tracks, load)))
        manifest = _manifest(version, tracks, gathered, config, exported=exported)
        if exported:
            write_export(
                folder,
                manifest.created_at,
                tracks,
                lambda number: gathered.arrays.contour(number, gathered.hop_s),
            )
        write_catalog(folder, manifest, tracks)
    publish(index_dir, version)
    return version


@dataclass(frozen=True, slots=True)
class _Gathered:
    arrays: Arrays
    extremes: Floats | None
    hop_s: float


def _gather(features: Iterator[TrackFeatures]) -> _Gathered:
    contours = [hundredths(np.zeros(0, dtype=np.float32))]
    voiced: list[Bools] = [np.zeros(0, dtype=np.bool_)]
    starts: list[Floats] = [np.zeros(0, dtype=np.float32)]
    extremes: Floats | None = None
    hop_s = 0.0
    for each in features:
        contours.append(hundredths(each.contour.semitones))
        voiced.append(each.contour.voiced)
        starts.append(each.start_s)
        extremes = widened(extremes, each.vectors)
        hop_s = each.contour.hop_s
    windows = [len(part) for part in starts[1:]]
    arrays = Arrays(
        contours=np.concatenate(contours),
        voiced=np.concatenate(voiced),
        offsets=np.cumsum([len(part) for part in contours], dtype=np.int64),
        window_tracks=np.repeat(np.arange(len(windows), dtype=np.int32), windows),
        window_starts=np.concatenate(starts),
    )
    return _Gathered(arrays, extremes, hop_s)


def _loaded(tracks: Sequence[TrackEntry], load: Load) -> Iterator[TrackFeatures]:
    for track in tracks:
        features = load(track.sha256)
        if features is None:
            raise IndexMismatch(f"The features of {track.path} are missing.", hint="Run build_index again.")
        yield features


def _manifest(
    version: str, tracks: Sequence[TrackEntry], gathered: _Gathered, config: Config, *, exported: bool
) -> Manifest:
    return Manifest(
        version=version,
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        tracks=len(tracks),
        segments=sum(len(segment_starts(track.duration_s)) for track in tracks),
        windows=len(gathered.arrays.window_starts),
        duration_s=round(sum(track.duration_s for track in tracks), 3),
        embedding=config.embedding.name,
        dimension=0 if gathered.extremes is None else gathered.extremes.shape[1],
        hop_s=gathered.hop_s,
        features=feature_key(config),
        exported=exported,
    )
