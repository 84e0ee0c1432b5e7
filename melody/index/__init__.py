"""Everything the engine keeps on disk: features by content, and index versions that never change once written.

INDEX_DIR/
  CURRENT                          the name of the version that readers should take
  <version>/                       made whole in a hidden folder, then renamed into place
    manifest.json tracks.json      what it is; one entry a track
    faiss.index                    vectors of all windows
    window_tracks.npy window_starts.npy
    contours.npy voiced.npy offsets.npy
    meta.json melody/              the export for other tools, if made
  faiss.index meta.json melody     lead into the current version
  features/ab/<sha256>-<key>.npz   what was heard in one content, shared by all versions
"""

from __future__ import annotations

from melody.index.catalog import Manifest, TrackEntry, read_manifest, read_tracks
from melody.index.features import FeatureStore, feature_key
from melody.index.reading import Index, load_index
from melody.index.versions import current_version, is_version, lead_to, sweep
from melody.index.writing import write_index

__all__ = [
    "FeatureStore",
    "Index",
    "Manifest",
    "TrackEntry",
    "current_version",
    "feature_key",
    "is_version",
    "lead_to",
    "load_index",
    "read_manifest",
    "read_tracks",
    "sweep",
    "write_index",
]
