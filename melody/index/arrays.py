"""The plain arrays of a version: contours of all tracks one after another, and whose window each vector is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from melody.errors import IndexMismatch
from melody.types import Contour, Floats

HUNDREDTHS = 100
_DTYPES = {"contours": "<i2", "voiced": "|b1", "offsets": "<i8", "window_tracks": "<i4", "window_starts": "<f4"}


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """All contours and windows. Track i's contour lies from `offsets[i]` to `offsets[i + 1]`."""

    contours: npt.NDArray[np.int16]  # (t,) MIDI pitch in hundredths of a semitone, of all tracks
    voiced: npt.NDArray[np.bool_]  # (t,)
    offsets: npt.NDArray[np.int64]  # (tracks + 1,)
    window_tracks: npt.NDArray[np.int32]  # (n,) number of the track
    window_starts: Floats  # (n,) seconds in the track

    def contour(self, track: int, hop_s: float) -> Contour:
        """The contour of the track of this number."""
        span = slice(int(self.offsets[track]), int(self.offsets[track + 1]))
        semitones = np.asarray(self.contours[span], dtype=np.float32) / np.float32(HUNDREDTHS)
        return Contour(semitones, np.array(self.voiced[span]), hop_s)

    def write(self, folder: Path) -> None:
        """One `.npy` file each."""
        for name, dtype in _DTYPES.items():
            np.save(folder / f"{name}.npy", getattr(self, name).astype(dtype), allow_pickle=False)


def hundredths(semitones: Floats) -> npt.NDArray[np.int16]:
    """MIDI pitch (t,) as contours are kept; 0.005 semitones is all that is lost."""
    return np.round(np.nan_to_num(semitones) * HUNDREDTHS).astype(np.int16)


def read_arrays(folder: Path, *, tracks: int, windows: int) -> Arrays:
    """The arrays in `folder`, mapped from their files. Raises IndexMismatch where they do not fit together."""
    found: dict[str, Any] = {name: _read(folder / f"{name}.npy", dtype) for name, dtype in _DTYPES.items()}
    arrays = Arrays(**found)
    fits = (
        len(arrays.offsets) == tracks + 1
        and len(arrays.window_tracks) == len(arrays.window_starts) == windows
        and len(arrays.contours) == len(arrays.voiced) == arrays.offsets[-1]
        and bool((np.diff(arrays.offsets) >= 0).all())
        and (not windows or int(arrays.window_tracks.max()) < tracks)
    )
    if not fits:
        raise IndexMismatch("The files of the library index do not belong together.")
    return arrays


def _read(path: Path, dtype: str) -> npt.NDArray[Any]:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IndexMismatch(f"{path.name} of the library index cannot be read.") from error
    if found.ndim != 1 or found.dtype != np.dtype(dtype):
        raise IndexMismatch(f"{path.name} of the library index is of another kind.")
    return cast(npt.NDArray[Any], found)
