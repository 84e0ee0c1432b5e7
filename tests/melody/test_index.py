"""The index on disk: what is written is what is read, versions never change, and damage is told by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from melody.config import Config, ContourConfig, IndexConfig
from melody.errors import IndexMismatch, IndexMissing
from melody.index import (
    FeatureStore,
    TrackEntry,
    current_version,
    feature_key,
    is_version,
    lead_to,
    load_index,
    sweep,
    write_index,
)
from melody.types import Contour, TrackFeatures

CONFIG = Config()
DIMENSION = 16
QUANTIZED = 0.02  # what one byte a number may cost an inner product of unit vectors


def features_of(seed: int, *, windows: int = 40, duration_s: float = 23.0) -> TrackFeatures:
    """A tune that no one has heard: a random walk, silent in its second second, with random unit vectors."""
    draw = np.random.default_rng(seed)
    frames = round(duration_s / 0.05)
    semitones = (60 + np.cumsum(draw.choice([-2, -1, 0, 1, 2], frames)).clip(-12, 12)).astype(np.float32)
    voiced = np.ones(frames, dtype=np.bool_)
    voiced[20:40] = False
    vectors = draw.normal(size=(windows, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = np.arange(windows, dtype=np.float32) * np.float32(0.5)
    return TrackFeatures(Contour(semitones, voiced, 0.05), starts, vectors.astype(np.float16), duration_s)


def entry_of(number: int, features: TrackFeatures) -> TrackEntry:
    return TrackEntry(
        id=f"track_{number:04d}",
        title=f"Track {number:04d}",
        artist="Unknown",
        path=f"folk/track_{number:04d}.mp3",
        sha256=f"{number:064x}",
        size=1000 + number,
        mtime_ns=1_700_000_000_000_000_001 + number,
        duration_s=features.duration_s,
        windows=len(features.start_s),
    )


def write(index_dir: Path, tracks: list[TrackFeatures], *, export: bool | None = None, config: Config = CONFIG) -> str:
    entries = [entry_of(number, features) for number, features in enumerate(tracks)]
    known = {entry.sha256: features for entry, features in zip(entries, tracks, strict=True)}
    return write_index(index_dir, entries, known.get, config, export=export)


def keeping(seconds: float) -> Config:
    return replace(CONFIG, index=IndexConfig(keep_versions_s=seconds))


def test_it_works(tmp_path: Path) -> None:
    tracks = [features_of(seed) for seed in range(5)]
    version = write(tmp_path, tracks)

    index = load_index(tmp_path, CONFIG)

    assert index.version == version == current_version(tmp_path)
    assert [track.id for track in index.tracks] == [f"track_{number:04d}" for number in range(5)]
    found = index.nearest(tracks[3].vectors[7:9].astype(np.float32), 4)
    assert found.track[:, 0].tolist() == [3, 3]
    assert found.start_s[:, 0].tolist() == [3.5, 4.0]
    assert np.allclose(found.score[:, 0], 1, atol=QUANTIZED)
    assert (np.diff(found.score, axis=1) <= 0).all()


def test_it_scores_by_inner_product(tmp_path: Path) -> None:
    tracks = [features_of(seed, windows=200) for seed in range(3)]
    write(tmp_path, tracks)
    asked = features_of(99).vectors[:5].astype(np.float32)

    found = load_index(tmp_path, CONFIG).nearest(asked, 600)

    exact = asked @ np.concatenate([track.vectors for track in tracks]).astype(np.float32).T
    row = found.track.astype(np.int64) * 200 + (found.start_s * 2).astype(np.int64)
    assert np.allclose(np.take_along_axis(exact, row, axis=1), found.score, atol=QUANTIZED)


def test_it_gives_each_contour_back_to_a_hundredth_of_a_semitone(tmp_path: Path) -> None:
    tracks = [features_of(1, duration_s=4.0), features_of(2, duration_s=30.0), features_of(3, duration_s=7.0)]
    write(tmp_path, tracks)

    index = load_index(tmp_path, CONFIG)

    for number, track in enumerate(tracks):
        contour = index.contour(number)
        assert np.allclose(contour.semitones, track.contour.semitones, atol=0.0051)
        assert contour.semitones.dtype == np.float32
        assert contour.voiced.tolist() == track.contour.voiced.tolist()
        assert contour.hop_s == index.hop_s == 0.05
        raw = index.semitones[index.offsets[number] : index.offsets[number + 1]]
        assert np.allclose(raw / 100, track.contour.semitones, atol=0.0051)
    assert len(index.voiced) == len(index.semitones) == index.offsets[-1]


def test_it_answers_with_no_track_where_it_has_too_few_windows(tmp_path: Path) -> None:
    track = features_of(1, windows=3)
    write(tmp_path, [track])

    found = load_index(tmp_path, CONFIG).nearest(track.vectors[:1].astype(np.float32), 5)

    assert found.track[0].tolist() == [0, 0, 0, -1, -1]
    assert found.start_s[0, 3:].tolist() == [0, 0]
    assert found.score[0, 3:].tolist() == [-np.inf, -np.inf]


def test_an_empty_library_is_an_index_that_answers_nothing(tmp_path: Path) -> None:
    write(tmp_path, [])

    index = load_index(tmp_path, CONFIG)

    assert index.tracks == ()
    assert index.manifest.dimension == 0
    found = index.nearest(np.ones((2, DIMENSION), dtype=np.float32), 3)
    assert found.track.tolist() == [[-1, -1, -1]] * 2
    assert json.loads((tmp_path / "meta.json").read_text())["items"] == []


def test_a_track_without_windows_is_listed_and_never_found(tmp_path: Path) -> None:
    tracks = [features_of(1), features_of(2, windows=0), features_of(3)]
    write(tmp_path, tracks)

    index = load_index(tmp_path, CONFIG)

    assert index.tracks[1].windows == 0
    found = index.nearest(tracks[2].vectors[:1].astype(np.float32), 80)
    assert found.track[0, 0] == 2
    assert set(found.track[0].tolist()) == {0, 2}


def test_vectors_of_another_length_are_a_mismatch(tmp_path: Path) -> None:
    write(tmp_path, [features_of(1)])
    with pytest.raises(IndexMismatch, match="vectors of 16 numbers, not 8"):
        load_index(tmp_path, CONFIG).nearest(np.ones((1, 8), dtype=np.float32), 1)


def test_a_missing_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing) as error:
        load_index(tmp_path / "nowhere", CONFIG)
    assert error.value.message == "Library index not built. Add audio to data/library and run build_index."
    assert current_version(tmp_path / "nowhere") is None


@pytest.mark.parametrize("named", ["", "../../etc", "20260112T101530123456Z-abcdef", "a\x00b", "\udcff"])
def test_a_current_that_names_no_version_is_a_mismatch(tmp_path: Path, named: str) -> None:
    write(tmp_path, [features_of(1)])
    (tmp_path / "CURRENT").write_bytes(named.encode("utf-8", "surrogateescape"))
    with pytest.raises(IndexMismatch, match="CURRENT"):
        load_index(tmp_path, CONFIG)


def _truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 5])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garble(path: Path) -> None:
    path.write_bytes(b"neither array nor index " * 50)


def _of_another_length(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


FILES = ["faiss.index", "contours.npy", "voiced.npy", "offsets.npy", "window_tracks.npy", "window_starts.npy"]


@pytest.mark.parametrize("name", [*FILES, "manifest.json", "tracks.json"])
@pytest.mark.parametrize("damage", [_truncate, _empty, _garble, Path.unlink])
def test_a_damaged_file_is_a_mismatch(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    version = write(tmp_path, [features_of(1), features_of(2)])
    damage(tmp_path / version / name)
    with pytest.raises(IndexMismatch):
        load_index(tmp_path, CONFIG)


@pytest.mark.parametrize("name", FILES[1:])
def test_arrays_that_do_not_fit_together_are_a_mismatch(tmp_path: Path, name: str) -> None:
    version = write(tmp_path, [features_of(1), features_of(2)])
    _of_another_length(tmp_path / version / name)
    with pytest.raises(IndexMismatch):
        load_index(tmp_path, CONFIG)


def test_arrays_are_never_unpickled(tmp_path: Path) -> None:
    version = write(tmp_path, [features_of(1)])
    np.save(tmp_path / version / "offsets.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    with pytest.raises(IndexMismatch):
        load_index(tmp_path, CONFIG)


def test_an_array_of_another_type_is_a_mismatch(tmp_path: Path) -> None:
    version = write(tmp_path, [features_of(1)])
    path = tmp_path / version / "contours.npy"
    np.save(path, np.load(path).astype(np.float64))
    with pytest.raises(IndexMismatch, match=r"contours\.npy"):
        load_index(tmp_path, CONFIG)


def test_the_files_of_two_versions_do_not_mix(tmp_path: Path) -> None:
    first = write(tmp_path, [features_of(1)])
    second = write(tmp_path, [features_of(1), features_of(2)])
    for name in ("faiss.index", "manifest.json"):
        kept = (tmp_path / second / name).read_bytes()
        (tmp_path / second / name).write_bytes((tmp_path / first / name).read_bytes())
        with pytest.raises(IndexMismatch):
            load_index(tmp_path, CONFIG)
        (tmp_path / second / name).write_bytes(kept)
    assert load_index(tmp_path, CONFIG).version == second


def test_another_kind_of_faiss_index_is_a_mismatch(tmp_path: Path) -> None:
    import faiss

    version = write(tmp_path, [features_of(1)])
    faiss.write_index(faiss.IndexFlatIP(DIMENSION), str(tmp_path / version / "faiss.index"))
    with pytest.raises(IndexMismatch, match="of another kind"):
        load_index(tmp_path, CONFIG)


def test_another_format_is_a_mismatch(tmp_path: Path) -> None:
    version = write(tmp_path, [features_of(1)])
    path = tmp_path / version / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 999}))
    with pytest.raises(IndexMismatch, match="another format"):
        load_index(tmp_path, CONFIG)


@pytest.mark.parametrize("name", ["manifest.json", "tracks.json"])
def test_a_catalog_without_its_keys_is_a_mismatch(tmp_path: Path, name: str) -> None:
    version = write(tmp_path, [features_of(1)])
    (tmp_path / version / name).write_text('{"format": 1, "tracks": [{"id": 3}]}')
    with pytest.raises(IndexMismatch, match="is damaged"):
        load_index(tmp_path, CONFIG)


def test_an_index_of_other_settings_is_a_mismatch(tmp_path: Path) -> None:
    write(tmp_path, [features_of(1)])
    with pytest.raises(IndexMismatch, match="other settings"):
        load_index(tmp_path, replace(CONFIG, contour=ContourConfig(median_frames=7)))


def test_the_manifest_is_read_by_the_standard_library(tmp_path: Path) -> None:
    tracks = [features_of(1, duration_s=23.0), features_of(2, duration_s=8.5)]
    version = write(tmp_path, tracks)

    manifest = json.loads((tmp_path / version / "manifest.json").read_text())

    created = manifest.pop("createdAt")
    assert abs(time.time() - time.mktime(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60
    assert manifest == {
        "format": 1,
        "version": version,
        "tracks": 2,
        "segments": 5,
        "windows": 80,
        "durationSec": 31.5,
        "embedding": {"name": CONFIG.embedding.name, "dimension": DIMENSION},
        "hopSec": 0.05,
        "features": feature_key(CONFIG),
        "exported": True,
    }


def test_meta_json_has_the_shape_that_other_tools_read(tmp_path: Path) -> None:
    write(tmp_path, [features_of(1, duration_s=23.0)])

    meta = json.loads((tmp_path / "meta.json").read_text())

    assert list(meta) == ["version", "createdAt", "items"]
    assert meta["version"] == 1
    assert time.strptime(meta["createdAt"], "%Y-%m-%dT%H:%M:%SZ")
    assert meta["items"][1] == {
        "id": "track_0000__seg_001",
        "trackId": "track_0000",
        "title": "Track 0000",
        "artist": "Unknown",
        "source": "local",
        "segmentStartSec": 5,
        "segmentDurationSec": 10,
        "melodyFeaturePath": "melody/track_0000__seg_001.npy",
    }
    spans = [(item["segmentStartSec"], item["segmentDurationSec"]) for item in meta["items"]]
    assert spans == [(0, 10), (5, 10), (10, 10), (15, 8)]
    assert '"segmentDurationSec": 10,' in (tmp_path / "meta.json").read_text()


@pytest.mark.parametrize(
    ("duration_s", "spans"),
    [(3.2, [(0, 3.2)]), (10.0, [(0, 10)]), (10.4, [(0, 10), (5, 5.4)]), (15.0, [(0, 10), (5, 10)])],
)
def test_segments_cover_a_track_once_and_a_half(
    tmp_path: Path, duration_s: float, spans: list[tuple[float, float]]
) -> None:
    write(tmp_path, [features_of(1, duration_s=duration_s)])
    items = json.loads((tmp_path / "meta.json").read_text())["items"]
    assert [(item["segmentStartSec"], item["segmentDurationSec"]) for item in items] == spans


def test_a_segment_s_file_is_its_contour_about_its_median_with_silence_as_nan(tmp_path: Path) -> None:
    track = features_of(1, duration_s=23.0)
    write(tmp_path, [track])

    items = json.loads((tmp_path / "meta.json").read_text())["items"]
    pieces = [np.load(tmp_path / item["melodyFeaturePath"], allow_pickle=False) for item in items]

    assert {(piece.shape, piece.dtype.name) for piece in pieces} == {((100,), "float32")}
    assert np.flatnonzero(np.isnan(pieces[0])).tolist() == list(range(10, 20))
    assert np.isnan(pieces[-1][80:]).all()
    for piece in pieces:
        assert abs(float(np.nanmedian(piece))) < 1e-4
    tenths = track.contour.semitones[1::2]
    moved = pieces[1] - tenths[50:150]
    assert float(moved.max() - moved.min()) < 0.011


def test_a_silent_segment_is_all_nan(tmp_path: Path) -> None:
    track = features_of(1, duration_s=21.0)
    track.contour.voiced[200:] = False
    write(tmp_path, [track])
    assert np.isnan(np.load(tmp_path / "melody" / "track_0000__seg_002.npy")).all()


def test_the_export_is_left_out_of_large_libraries_unless_asked_for(tmp_path: Path) -> None:
    few = replace(CONFIG, index=IndexConfig(export_up_to_tracks=1))
    tracks = [features_of(1), features_of(2)]

    write(tmp_path, tracks, export=True, config=few)
    assert (tmp_path / "meta.json").exists()
    assert (tmp_path / "melody").is_dir()

    write(tmp_path, tracks, config=few)
    assert not os.path.lexists(tmp_path / "meta.json")
    assert not os.path.lexists(tmp_path / "melody")
    assert (tmp_path / "faiss.index").exists()

    write(tmp_path, tracks[:1], config=few)
    assert (tmp_path / "meta.json").exists()

    write(tmp_path, tracks[:1], export=False, config=few)
    assert not os.path.lexists(tmp_path / "meta.json")


def test_the_links_lead_to_the_current_version(tmp_path: Path) -> None:
    write(tmp_path, [features_of(1)])
    version = write(tmp_path, [features_of(1), features_of(2)])

    for name in ("faiss.index", "meta.json", "melody"):
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / name).resolve() == (tmp_path / version / name).resolve()
        assert not (tmp_path / name).readlink().is_absolute()
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    assert len(load_index(moved, CONFIG).tracks) == 2
    assert len(json.loads((moved / "meta.json").read_text())["items"]) == 8
    moved.rename(tmp_path)


def test_without_symbolic_links_they_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [features_of(1), features_of(2)])

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError("no symbolic links here")

    with monkeypatch.context() as patch:
        patch.setattr(os, "symlink", refuse)
        for tracks in ([features_of(1)], [features_of(1), features_of(2)]):
            version = write(tmp_path, tracks)
            assert not any((tmp_path / name).is_symlink() for name in ("faiss.index", "meta.json", "melody"))
            assert (tmp_path / "faiss.index").read_bytes() == (tmp_path / version / "faiss.index").read_bytes()
            names = sorted(path.name for path in (tmp_path / version / "melody").iterdir())
            assert sorted(path.name for path in (tmp_path / "melody").iterdir()) == names
    write(tmp_path, [features_of(1)])
    assert (tmp_path / "melody").is_symlink()


def test_links_that_a_killed_build_left_behind_are_led_on(tmp_path: Path) -> None:
    first = write(tmp_path, [features_of(1)])
    second = write(tmp_path, [features_of(1), features_of(2)])
    lead_to(tmp_path, first)
    assert (tmp_path / "meta.json").resolve().parent.name == first

    lead_to(tmp_path, second)

    assert (tmp_path / "meta.json").resolve().parent.name == second


def test_an_opened_index_goes_on_answering_when_newer_ones_are_published(tmp_path: Path) -> None:
    tracks = [features_of(seed) for seed in range(4)]
    write(tmp_path, tracks[:2])
    old = load_index(tmp_path, CONFIG)
    for count in (3, 4):
        write(tmp_path, tracks[:count])
    sweep(tmp_path, 0)

    assert len(load_index(tmp_path, CONFIG).tracks) == 4
    assert not (tmp_path / old.version).exists()
    assert old.nearest(tracks[1].vectors[:1].astype(np.float32), 1).track[0, 0] == 1
    assert np.allclose(old.contour(1).semitones, tracks[1].contour.semitones, atol=0.0051)


def test_a_version_that_cannot_be_finished_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    version = write(tmp_path, [features_of(1)])
    before = sorted(path.name for path in tmp_path.iterdir())

    with pytest.raises(IndexMismatch, match=r"features of folk/track_0007\.mp3 are missing"):
        write_index(tmp_path, [entry_of(7, features_of(7))], lambda _sha256: None, CONFIG)

    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert load_index(tmp_path, CONFIG).version == version


def test_versions_sort_by_time_and_stay_until_the_grace_period_ends(tmp_path: Path) -> None:
    written = [write(tmp_path, [features_of(seed)]) for seed in range(4)]
    assert written == sorted(written)
    assert all(map(is_version, written))

    sweep(tmp_path, 3600)
    assert all((tmp_path / version).is_dir() for version in written)

    sweep(tmp_path, 0)
    assert [version for version in written if (tmp_path / version).is_dir()] == written[-2:]
    assert load_index(tmp_path, CONFIG).version == written[-1]


def test_sweeping_removes_half_written_versions_and_touches_nothing_else(tmp_path: Path) -> None:
    version = write(tmp_path, [features_of(1)])
    (tmp_path / ".partial-20260112T101530123456Z-abcdef" / "melody").mkdir(parents=True)
    (tmp_path / ".partial-CURRENT").write_text("half")
    (tmp_path / "features").mkdir()
    (tmp_path / "notes.txt").write_text("mine")

    sweep(tmp_path, 0)

    assert {path.name for path in tmp_path.iterdir() if not path.is_symlink()} == {
        *(version, "CURRENT", ".linked", "features", "notes.txt")
    }


def test_importing_the_index_loads_neither_torch_nor_faiss() -> None:
    code = "import sys, melody.index; print(sorted({'torch', 'faiss', 'librosa', 'scipy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_features_come_back_as_they_were_saved(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, CONFIG)
    saved = features_of(1)
    assert store.load("ab" * 32) is None

    store.save("ab" * 32, saved)
    loaded = store.load("ab" * 32)

    assert loaded is not None
    assert np.array_equal(loaded.contour.semitones, saved.contour.semitones)
    assert np.array_equal(loaded.contour.voiced, saved.contour.voiced)
    assert np.array_equal(loaded.start_s, saved.start_s)
    assert np.array_equal(loaded.vectors, saved.vectors)
    assert (loaded.duration_s, loaded.contour.hop_s) == (saved.duration_s, saved.contour.hop_s)
    assert store.path("ab" * 32).parent == tmp_path / "ab"


def test_features_of_other_settings_stay_beside_the_new_ones(tmp_path: Path) -> None:
    other = replace(CONFIG, contour=ContourConfig(median_frames=7))
    FeatureStore(tmp_path, CONFIG).save("cd" * 32, features_of(1))

    assert FeatureStore(tmp_path, other).load("cd" * 32) is None
    FeatureStore(tmp_path, other).save("cd" * 32, features_of(2))

    assert FeatureStore(tmp_path, CONFIG).load("cd" * 32) is not None
    assert feature_key(CONFIG) != feature_key(other)


def test_settings_that_shape_no_features_leave_the_key_alone() -> None:
    assert feature_key(keeping(1)) == feature_key(CONFIG)


def test_damaged_features_count_as_none(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, CONFIG)
    store.save("ef" * 32, features_of(1))
    path = store.path("ef" * 32)
    whole = path.read_bytes()
    draw = np.random.default_rng(5)
    for cut in [0, 1, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:cut])
        assert store.load("ef" * 32) is None
    for _ in range(200):
        broken = bytearray(whole)
        at = int(draw.integers(len(whole)))
        broken[at] ^= 1 << int(draw.integers(8))
        path.write_bytes(bytes(broken))
        # A flipped bit of padding or of a date does no harm; whatever is loaded is whole.
        found = store.load("ef" * 32)
        assert found is None or np.array_equal(found.vectors, features_of(1).vectors)


def test_features_that_do_not_fit_together_count_as_none(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, CONFIG)
    whole = features_of(1)
    store.save("ef" * 32, replace(whole, start_s=whole.start_s[:-1]))
    assert store.load("ef" * 32) is None


def test_what_killed_processes_left_of_features_goes_after_an_hour(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, CONFIG)
    store.save("ef" * 32, features_of(1))
    old, new = tmp_path / ".unfinished" / "old.npz", tmp_path / ".unfinished" / "new.npz"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))

    store.sweep()

    assert not old.exists()
    assert new.exists()
    assert store.load("ef" * 32) is not None
