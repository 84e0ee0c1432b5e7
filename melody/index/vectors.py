"""Vectors on disk and their nearest neighbours: FAISS, one byte a number (8-bit scalar quantiser), compared one by one.

Every vector is looked at, since approximate indexes lost true neighbours of noisy hums; the bytes are mapped from the
file, so that all processes of a machine share them. FAISS's own errors end here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from melody.errors import IndexMismatch
from melody.types import Floats

Halves = npt.NDArray[np.float16]
_ADD_ROWS = 65_536


def widened(extremes: Floats | None, vectors: Halves) -> Floats | None:
    """The lowest and highest value (2, d) of each dimension, after `vectors` (n, d) have been seen as well."""
    if not len(vectors):
        return extremes
    singles = vectors.astype(np.float32)  # numpy is slow with halves
    seen = [singles.min(axis=0), singles.max(axis=0)]
    if extremes is not None:
        seen = [np.minimum(extremes[0], seen[0]), np.maximum(extremes[1], seen[1])]
    return np.asarray(np.stack(seen), dtype=np.float32)


def write_vectors(path: Path, extremes: Floats | None, vectors: Iterable[Halves]) -> None:
    """Write an index of vectors (n, d) each, in their order, given their extremes (2, d): None where there are none."""
    import faiss

    trained_on = np.zeros((2, 1), dtype=np.float32) if extremes is None else extremes
    quantizer = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexScalarQuantizer(trained_on.shape[1], quantizer, faiss.METRIC_INNER_PRODUCT)
    # All that this quantiser learns is each dimension's range: the extremes train it as all vectors would.
    index.train(trained_on)
    for part in vectors:
        for start in range(0, len(part), _ADD_ROWS):
            index.add(np.ascontiguousarray(part[start : start + _ADD_ROWS], dtype=np.float32))
    faiss.write_index(index, str(path))


class Vectors:
    """The vectors of one version, opened once."""

    def __init__(self, path: Path, threads: int) -> None:
        """Raises IndexMismatch where the file is missing, damaged, or no such index."""
        import faiss

        try:
            opened = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, MemoryError) as error:
            raise IndexMismatch(f"{path.name} of the library index cannot be read.") from error
        if not isinstance(opened, faiss.IndexScalarQuantizer) or opened.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise IndexMismatch(f"{path.name} of the library index is of another kind.")
        faiss.omp_set_num_threads(threads)
        self._index: Any = opened
        self.count = int(opened.ntotal)
        self.dimension = int(opened.d)

    def nearest(self, vectors: Floats, k: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Inner products and rows (q, k) of the nearest, best first; where there are fewer, row -1 and minus infinity.

        Raises IndexMismatch for vectors of another length than those of the index.
        """
        shape = (len(vectors), k)
        if not self.count or not len(vectors):
            return np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
        if vectors.shape[1] != self.dimension:
            raise IndexMismatch(f"The library index holds vectors of {self.dimension} numbers, not {vectors.shape[1]}.")
        score, row = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        score[row < 0] = -np.inf
        return score, row

    def row(self, row: int) -> Floats:
        """The vector (d,) in this row, as exact as one byte a number can be."""
        return np.asarray(self._index.reconstruct(row), dtype=np.float32)
