"""The current version, opened for searching."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melody.config import Config
from melody.errors import IndexMismatch, IndexMissing
from melody.index.arrays import Arrays, read_arrays
from melody.index.catalog import Manifest, TrackEntry, read_manifest, read_tracks
from melody.index.features import feature_key
from melody.index.vectors import Vectors
from melody.index.versions import current_version, is_version
from melody.types import Bools, Contour, Floats, Neighbours


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """One version, whole. It stays usable when newer ones are published."""

    version: str
    manifest: Manifest
    tracks: tuple[TrackEntry, ...]  # by number
    arrays: Arrays
    vectors: Vectors

    @property
    def semitones(self) -> npt.NDArray[np.int16]:
        """All contours one after another (t,): MIDI pitch in hundredths of a semitone."""
        return self.arrays.contours

    @property
    def voiced(self) -> Bools:
        """(t,) False where a contour is held over a rest."""
        return self.arrays.voiced

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(tracks + 1,): track i's contour lies from `offsets[i]` to `offsets[i + 1]`."""
        return self.arrays.offsets

    @property
    def hop_s(self) -> float:
        """Seconds between the frames of a contour; 0 where there are no tracks."""
        return self.manifest.hop_s

    def contour(self, track: int) -> Contour:
        """The contour of the track of this number."""
        return self.arrays.contour(track, self.manifest.hop_s)

    def nearest(self, vectors: Floats, k: int) -> Neighbours:
        """The k windows of the library nearest to each of `vectors` (q, d), by inner product.

        Where the library has fewer than k, the track is -1, the score minus infinity and the start 0.
        Raises IndexMismatch for vectors of another length.
        """
        score, row = self.vectors.nearest(vectors, k)
        track = np.full(row.shape, -1, dtype=np.int32)
        start_s = np.zeros(row.shape, dtype=np.float32)
        found = row >= 0
        track[found] = self.arrays.window_tracks[row[found]]
        start_s[found] = self.arrays.window_starts[row[found]]
        return Neighbours(score, track, start_s)


def load_index(index_dir: Path, config: Config) -> Index:
    """Open the version that CURRENT names; its arrays are mapped, not read.

    Raises IndexMissing where nothing was built yet, IndexMismatch where the version is damaged or was made with other
    settings than `config`.
    """
    version = current_version(index_dir)
    if version is None:
        raise IndexMissing("Library index not built. Add audio to data/library and run build_index.")
    folder = index_dir / version
    if not is_version(version) or not folder.is_dir():
        raise IndexMismatch("CURRENT names a version of the library index that is not there.")
    manifest = read_manifest(folder)
    if manifest.features != feature_key(config):
        raise IndexMismatch("The library index was made with other settings.")
    tracks = read_tracks(folder)
    arrays = read_arrays(folder, tracks=len(tracks), windows=manifest.windows)
    vectors = Vectors(folder / "faiss.index", config.index.threads)
    dimension = manifest.dimension if manifest.windows else vectors.dimension
    if (manifest.version, len(tracks)) != (version, manifest.tracks):
        raise IndexMismatch("The files of the library index do not belong together.")
    if (vectors.count, vectors.dimension) != (manifest.windows, dimension):
        raise IndexMismatch("The vectors of the library index do not belong to it.")
    return Index(version, manifest, tracks, arrays, vectors)
