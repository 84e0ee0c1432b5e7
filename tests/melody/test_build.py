"""Building: only what is new is heard, a bad file stops nothing, and a killed build loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.kill_build import BUILD, begin, kill_builds, saved_features
from melody.build import BuildReport, Progress, build
from melody.build.library import read_tags
from melody.build.lock import build_lock
from melody.build.pool import CRASHED, Job, Outcome, analyse
from melody.config import Config, ContourConfig, IndexConfig
from melody.errors import BuildRunning, FfmpegMissing, LibraryMissing
from melody.index import TrackEntry, current_version, feature_key, load_index
from melody.ingest import ingest
from melody.types import Floats

CONFIG = Config()
RATE_HZ = 16_000
TUNES = 4


def tune(seed: int, duration_s: float = 6.0) -> Floats:
    """Notes of 0.4 s with a few overtones, as a simple synthesiser plays them."""
    draw = np.random.default_rng(seed)
    samples = round(0.4 * RATE_HZ)
    time_s = np.arange(samples) / RATE_HZ
    notes: list[Floats] = []
    for _ in range(round(duration_s / 0.4)):
        hz = 440 * 2 ** ((draw.integers(57, 77) - 69) / 12)
        sound = sum(np.sin(2 * np.pi * hz * order * time_s) / order for order in (1, 2, 3))
        notes.append((0.2 * sound * np.hanning(samples) ** 0.2).astype(np.float32))
    return np.concatenate(notes)


def put(path: Path, seed: int, duration_s: float = 6.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tune(seed, duration_s), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of four tunes and its index; tests take copies."""
    home = tmp_path_factory.mktemp("built")
    for number in range(TUNES):
        put(home / "library" / f"track_{number:04d}.wav", number)
    build(home / "library", home / "index", CONFIG, workers=2)
    return home


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Path:
    # Copied with times: a file whose time is another is looked at again.
    return Path(shutil.copytree(built, tmp_path / "home", symlinks=True))


def rebuild(home: Path, config: Config = CONFIG, *, export: bool | None = None) -> BuildReport:
    return build(home / "library", home / "index", config, workers=1, export=export)


def tracks_of(home: Path, config: Config = CONFIG) -> dict[str, TrackEntry]:
    return {track.id: track for track in load_index(home / "index", config).tracks}


def counts(report: BuildReport) -> dict[str, int]:
    names = ("tracks", "added", "changed", "renamed", "removed", "analysed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_it_works(tmp_path: Path) -> None:
    """Decoded, heard, embedded, written: a window of a tune is then found in that tune, where it is."""
    library, index_dir = tmp_path / "library", tmp_path / "index"
    for number in range(2):
        put(library / f"track_{number:04d}.flac", number, duration_s=12.0)
    said: list[Progress] = []

    report = build(library, index_dir, CONFIG, workers=2, on_progress=said.append)

    assert counts(report) == {"tracks": 2, "added": 2, "analysed": 2}
    assert report.failures == ()
    assert report.audio_s == pytest.approx(24.0, abs=0.1)
    assert report.times_real_time == pytest.approx(report.audio_s / report.seconds)
    index = load_index(index_dir, CONFIG)
    assert index.version == report.version
    heard = ingest(library / "track_0001.flac", CONFIG)
    found = index.nearest(heard.vectors.astype(np.float32), 1)
    assert (found.track[:, 0] == 1).all()
    assert np.allclose(found.start_s[:, 0], heard.start_s)
    assert np.allclose(found.score[:, 0], 1, atol=0.02)
    meta = json.loads((index_dir / "meta.json").read_text())
    assert [item["id"] for item in meta["items"]][:2] == ["track_0000__seg_000", "track_0000__seg_001"]
    assert meta["items"][0]["title"] == "Track 0000"
    assert meta["items"][0]["artist"] == "Unknown"
    assert all(np.load(index_dir / item["melodyFeaturePath"]).shape == (100,) for item in meta["items"])
    assert [(each.done, each.total) for each in said] == [(0, 2), (1, 2), (2, 2)]
    assert {each.path for each in said[1:]} == {"track_0000.flac", "track_0001.flac"}
    assert said[0].remaining_s is None
    assert said[2].remaining_s == 0
    assert said[2].audio_s == report.audio_s


def test_the_report_as_json_has_the_keys_of_the_contract() -> None:
    report = BuildReport("v", 3, 1, 0, 1, 0, 2, (("a.mp3", "The file is empty."),), 120.0, 4.0)
    assert report.as_json() == {
        "version": "v",
        "tracks": 3,
        "added": 1,
        "changed": 0,
        "renamed": 1,
        "removed": 0,
        "analysed": 2,
        "failures": [{"file": "a.mp3", "reason": "The file is empty."}],
        "audioSeconds": 120.0,
        "seconds": 4.0,
        "timesRealTime": 30.0,
    }


def test_where_nothing_changed_nothing_is_written(home: Path) -> None:
    before = sorted(path.name for path in (home / "index").iterdir())
    version = current_version(home / "index")

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES}
    assert report.version == version
    assert report.times_real_time == 0
    assert sorted(path.name for path in (home / "index").iterdir()) == before


def test_a_file_of_the_same_path_size_and_time_is_not_read_again(home: Path) -> None:
    path = home / "library" / "track_0001.wav"
    status = path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert counts(rebuild(home)) == {"tracks": TUNES}


def test_only_an_added_track_is_analysed(home: Path) -> None:
    features = saved_features(home / "index")
    put(home / "library" / "more" / "Ode to Joy (live).wav", 77)

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES + 1, "added": 1, "analysed": 1}
    assert features.items() <= saved_features(home / "index").items()
    assert tracks_of(home)["more_ode_to_joy_live"].title == "Ode to Joy (live)"


def test_a_renamed_track_keeps_its_id_and_is_not_analysed(home: Path) -> None:
    features = saved_features(home / "index")
    (home / "library" / "old").mkdir()
    (home / "library" / "track_0002.wav").rename(home / "library" / "old" / "another_name.wav")

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES, "renamed": 1}
    assert features == saved_features(home / "index")
    track = tracks_of(home)["track_0002"]
    assert (track.path, track.title) == ("old/another_name.wav", "Another name")


def test_a_changed_track_keeps_its_id_and_is_the_only_one_analysed(home: Path) -> None:
    features = saved_features(home / "index")
    before = tracks_of(home)["track_0002"]
    put(home / "library" / "track_0002.wav", 88)

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES, "changed": 1, "analysed": 1}
    assert features.items() <= saved_features(home / "index").items()
    assert tracks_of(home)["track_0002"].sha256 != before.sha256


def test_a_removed_track_is_gone(home: Path) -> None:
    (home / "library" / "track_0002.wav").unlink()
    assert counts(rebuild(home)) == {"tracks": TUNES - 1, "removed": 1}
    assert "track_0002" not in tracks_of(home)


def test_a_touched_track_is_recognised(home: Path) -> None:
    os.utime(home / "library" / "track_0002.wav")
    assert counts(rebuild(home)) == {"tracks": TUNES}


def test_contents_that_change_places_keep_their_ids(home: Path) -> None:
    before = {track.sha256: track.id for track in tracks_of(home).values()}
    first, second = (home / "library" / f"track_000{number}.wav" for number in (0, 1))
    first.rename(home / "library" / "aside.wav")
    second.rename(first)
    (home / "library" / "aside.wav").rename(second)

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES, "renamed": 2}
    assert {track.sha256: track.id for track in tracks_of(home).values()} == before


def test_a_new_track_at_the_path_of_a_renamed_one_gets_an_id_of_its_own(home: Path) -> None:
    path = home / "library" / "track_0001.wav"
    path.rename(home / "library" / "moved.wav")
    put(path, 99)

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES + 1, "added": 1, "renamed": 1, "analysed": 1}
    tracks = tracks_of(home)
    assert tracks["track_0001"].path == "moved.wav"
    assert tracks["track_0001-2"].path == "track_0001.wav"


def test_ids_are_safe_everywhere_and_titles_are_as_people_write_them(home: Path) -> None:
    names = ["Für Elise", "FÜR ELISE", "Катюша", "a__b"]
    for seed, name in enumerate(names):
        put(home / "library" / "n" / f"{name}.wav", 200 + seed)

    assert rebuild(home).added == 4

    titles = {track.title: track.id for track in tracks_of(home).values()}
    assert {titles["Für Elise"], titles["FÜR ELISE"]} == {"n_fur_elise", "n_fur_elise-2"}
    assert titles["A b"] == "n_a_b"
    assert titles["Катюша"] == "n"


def test_a_name_without_any_latin_letter_gets_an_id_by_its_content(home: Path) -> None:
    put(home / "library" / "Катюша.wav", 300)
    rebuild(home)
    track = next(track for track in tracks_of(home).values() if track.title == "Катюша")
    assert track.id == f"track_{track.sha256[:8]}"


def test_a_name_that_is_no_text_does_no_harm(home: Path) -> None:
    path = os.fsencode(home / "library") + b"/caf\xe9.wav"
    try:
        shutil.copyfile(put(home / "elsewhere.wav", 301), path)
    except OSError:
        pytest.skip("this file system takes only text")
    assert counts(rebuild(home)) == {"tracks": TUNES + 1, "added": 1, "analysed": 1}
    assert tracks_of(home)["caf"].title == "Caf?"
    assert counts(rebuild(home)) == {"tracks": TUNES + 1}


def test_title_and_artist_come_from_the_tags(home: Path) -> None:
    path = home / "library" / "x.flac"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
        file.title, file.artist = " Ode to\nJoy ", "Beethoven"
        file.write(tune(5))
    rebuild(home)
    assert (tracks_of(home)["x"].title, tracks_of(home)["x"].artist) == ("Ode to Joy", "Beethoven")


def test_broken_tags_leave_the_name(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for head in (
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
        b"fLaC\x84\xff\xff\xff",
        b"OggS\x00\x02",
        b"RIFF\xff\xff\xff\xffWAVE",
    ):
        for ending in ("mp3", "flac", "ogg", "wav", "m4a", "webm"):
            path = tmp_path / f"my_tune.{ending}"
            path.write_bytes(head + draw.bytes(3000))
            title, artist = read_tags(path)
            assert title.isprintable()
            assert artist.isprintable()
    assert read_tags(tmp_path / "nothing_here.mp3") == ("Nothing here", "Unknown")


def test_a_bad_file_is_named_with_its_reason_and_the_rest_go_on(home: Path) -> None:
    library = home / "library"
    (library / "a_text.mp3").write_text("not audio at all")
    (library / "b_empty.wav").write_bytes(b"")
    put(library / "c_short.wav", 1, duration_s=1.2)
    soundfile.write(library / "d_silent.wav", np.zeros(6 * RATE_HZ), RATE_HZ)
    put(library / "e_good.wav", 66)

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES + 1, "added": 1, "analysed": 1}
    assert [path for path, _ in report.failures] == ["a_text.mp3", "b_empty.wav", "c_short.wav", "d_silent.wav"]
    reasons = dict(report.failures)
    assert reasons["a_text.mp3"] == "The file is not audio that can be read."
    assert reasons["b_empty.wav"] == "The file is empty."
    assert reasons["c_short.wav"].startswith("The track is 1.2 seconds long")
    assert "of a tune can be heard" in reasons["d_silent.wav"]


def test_a_track_that_turns_bad_leaves_the_index_and_is_named(home: Path) -> None:
    (home / "library" / "track_0000.wav").write_text("overwritten")
    report = rebuild(home)
    assert counts(report) == {"tracks": TUNES - 1, "removed": 1}
    assert report.failures == (("track_0000.wav", "The file is not audio that can be read."),)


def test_of_two_files_with_the_same_content_the_known_one_stays(home: Path) -> None:
    library = home / "library"
    shutil.copyfile(library / "track_0001.wav", library / "a_copy.wav")
    put(library / "y_new.wav", 44)
    shutil.copyfile(library / "y_new.wav", library / "z_new.wav")

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES + 1, "added": 1, "analysed": 1}
    assert report.failures == (
        ("a_copy.wav", "same content as track_0001.wav"),
        ("z_new.wav", "same content as y_new.wav"),
    )


def test_other_files_hidden_ones_and_the_index_are_passed_over(home: Path) -> None:
    library = home / "library"
    shutil.move(home / "index", library / "index")
    (library / "cover.jpg").write_bytes(b"picture")
    (library / "notes.txt").write_text("text")
    put(library / ".trash" / "x.wav", 1)
    put(library / "index" / "inside.wav", 2)
    shutil.copyfile(library / "track_0000.wav", library / "._track_0000.wav")
    os.mkfifo(library / "pipe.wav")
    (library / "nowhere.wav").symlink_to("no-such-file.wav")

    report = build(library, library / "index", CONFIG, workers=1)

    assert counts(report) == {"tracks": TUNES}
    assert report.failures == ()


def test_links_are_followed_and_loops_do_no_harm(home: Path) -> None:
    library = home / "library"
    put(home / "elsewhere" / "linked.wav", 12)
    (library / "more").symlink_to(home / "elsewhere", target_is_directory=True)
    (library / "again").symlink_to(library, target_is_directory=True)
    (home / "elsewhere" / "up").symlink_to(library, target_is_directory=True)

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES + 1, "added": 1, "analysed": 1}
    assert report.failures == ()
    assert tracks_of(home)["more_linked"].path == "more/linked.wav"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_named(home: Path) -> None:
    put(home / "library" / "closed" / "x.wav", 1)
    (home / "library" / "closed").chmod(0)
    (home / "library" / "track_0000.wav").chmod(0)
    os.utime(home / "library" / "track_0000.wav")
    try:
        report = rebuild(home)
    finally:
        (home / "library" / "closed").chmod(0o700)
    assert dict(report.failures) == {
        "closed": "The folder cannot be read.",
        "track_0000.wav": "The file cannot be opened.",
    }


def test_a_missing_library_is_no_empty_one(home: Path) -> None:
    version = current_version(home / "index")
    with pytest.raises(LibraryMissing):
        build(home / "no-such-folder", home / "index", CONFIG)
    assert current_version(home / "index") == version


def test_an_empty_library_is_built(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    report = build(tmp_path / "library", tmp_path / "index", CONFIG)
    assert counts(report) == {}
    assert load_index(tmp_path / "index", CONFIG).tracks == ()


def test_damaged_features_are_made_again(home: Path) -> None:
    sha256 = tracks_of(home)["track_0003"].sha256
    path = home / "index" / "features" / sha256[:2] / f"{sha256}-{feature_key(CONFIG)}.npz"
    path.write_bytes(path.read_bytes()[:-100])

    report = rebuild(home)

    assert counts(report) == {"tracks": TUNES, "analysed": 1}
    assert counts(rebuild(home)) == {"tracks": TUNES}


@pytest.mark.parametrize("name", ["faiss.index", "tracks.json", "manifest.json", "contours.npy"])
def test_a_damaged_index_is_written_anew_without_analysing(home: Path, name: str) -> None:
    version = current_version(home / "index")
    assert version is not None
    (home / "index" / version / name).write_bytes(b"damaged")

    report = rebuild(home)

    assert report.analysed == 0
    assert report.version != version
    assert sorted(tracks_of(home)) == [f"track_{number:04d}" for number in range(TUNES)]


def test_a_current_that_names_nothing_is_mended(home: Path) -> None:
    (home / "index" / "CURRENT").write_text("../../etc")
    assert rebuild(home).analysed == 0
    assert len(tracks_of(home)) == TUNES


def test_other_settings_analyse_all_and_the_old_features_stay(home: Path) -> None:
    other = replace(CONFIG, contour=ContourConfig(median_frames=7))
    features = saved_features(home / "index")

    assert counts(rebuild(home, other)) == {"tracks": TUNES, "analysed": TUNES}
    assert features.items() <= saved_features(home / "index").items()
    assert len(tracks_of(home, other)) == TUNES

    assert counts(rebuild(home)) == {"tracks": TUNES}
    assert len(tracks_of(home)) == TUNES


def test_the_export_can_be_asked_for_and_refused(home: Path) -> None:
    rebuild(home, export=False)
    assert not (home / "index" / "meta.json").exists()
    version = rebuild(home).version
    assert not (home / "index" / "meta.json").exists()
    assert rebuild(home, export=True).version != version
    assert (home / "index" / "meta.json").exists()


def test_old_versions_go_after_the_grace_period_but_for_the_one_before(home: Path) -> None:
    config = replace(CONFIG, index=IndexConfig(keep_versions_s=0))
    written = [str(current_version(home / "index"))]
    for export in (False, True, False):
        written.append(rebuild(home, export=export).version)
    assert all((home / "index" / version).is_dir() for version in written)

    rebuild(home, config)

    assert [version for version in written if (home / "index" / version).is_dir()] == written[-2:]


def test_features_can_lie_elsewhere(home: Path) -> None:
    (home / "index" / "features").rename(home / "features")
    report = build(home / "library", home / "index", CONFIG, workers=1, features=home / "features")
    assert counts(report) == {"tracks": TUNES}
    assert not (home / "index" / "features").exists()


def test_a_second_build_at_once_is_refused(home: Path) -> None:
    with build_lock(home / "index"), pytest.raises(BuildRunning):
        rebuild(home)
    assert counts(rebuild(home)) == {"tracks": TUNES}


def test_without_ffmpeg_the_build_stops_and_the_old_index_stays(home: Path) -> None:
    put(home / "library" / "more.wav", 55)
    version = current_version(home / "index")
    environment = os.environ | {"PATH": "", "IMAGEIO_FFMPEG_EXE": "/no/such/ffmpeg"}
    command = [sys.executable, "-c", BUILD, str(home / "library"), str(home / "index"), "1"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1
    assert FfmpegMissing.__name__ in ended.stderr
    assert current_version(home / "index") == version


def test_an_unexpected_error_of_one_file_is_its_reason(home: Path) -> None:
    folder = home / "features"
    folder.write_text("in the way")
    path = home / "library" / "track_0000.wav"
    outcome = run_one(path, folder)
    assert outcome.reason is not None
    assert outcome.reason.startswith(("NotADirectoryError: ", "FileExistsError: "))


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_build(home: Path) -> None:
    path = home / "library" / "track_0000.wav"
    status = path.stat()
    job = Job(path, path.name, "ab" * 32, status.st_size, status.st_mtime_ns - 1)
    [outcome] = analyse([job], home / "elsewhere", CONFIG, 1)
    assert outcome.reason == "The file changed while it was read; build again."
    assert not list((home / "elsewhere").glob("??/*"))


def run_one(path: Path, features: Path) -> Outcome:
    status = path.stat()
    [outcome] = analyse([Job(path, path.name, "ab" * 32, status.st_size, status.st_mtime_ns)], features, CONFIG, 1)
    return outcome


def test_the_environment_is_as_it_was_after_an_analysis(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert run_one(home / "library" / "track_0000.wav", home / "elsewhere").reason is None
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


CRASHING = """
import os, signal, sys
from pathlib import Path

import melody.ingest

whole = melody.ingest.ingest

def ingest(path, config):
    if path.name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    once = path.with_suffix(".once")
    if path.name.startswith("once") and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(path, config)

melody.ingest.ingest = ingest
"""


def test_a_file_that_kills_its_worker_twice_is_named_and_the_rest_go_on(home: Path) -> None:
    """As the system does where memory runs out. Every new process loads the killer by way of `__main__`."""
    library = home / "library"
    for seed, name in enumerate(("crash", "once", "good")):
        put(library / f"{name}.wav", 400 + seed)
    script = home / "crashing.py"
    script.write_text(CRASHING + BUILD)
    command = [sys.executable, str(script), str(library), str(home / "index"), "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["failures"] == [{"file": "crash.wav", "reason": CRASHED}]
    assert (report["added"], report["tracks"]) == (2, TUNES + 2)
    assert {"once", "good"} <= set(tracks_of(home))


@pytest.fixture
def folders_of_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder


@pytest.mark.slow
def test_workers_end_with_a_killed_build_and_leave_nothing_behind(tmp_path: Path, folders_of_decoding: Path) -> None:
    for number in range(2):
        put(tmp_path / "library" / f"long_{number}.wav", number, duration_s=600)
    command = [sys.executable, "-c", BUILD, str(tmp_path / "library"), str(tmp_path / "index"), "2"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(folders_of_decoding.glob("melody-*/output")) and time.monotonic() < deadline:
        time.sleep(0.01)

    os.kill(child.pid, signal.SIGKILL)

    # Workers hold the other end of the pipe: it is at its end when the last of them is.
    assert child.communicate(timeout=30)[0] == b""
    assert not list(folders_of_decoding.glob("melody-*"))
    assert saved_features(tmp_path / "index") == {}


@pytest.mark.slow
def test_a_build_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    library = tmp_path / "library"
    with get_context("spawn").Pool(2) as pool:
        pool.starmap(put, [(library / f"tune_{number:02d}.wav", number) for number in range(24)])

    report = kill_builds(library, begin(library, tmp_path / "index", 2), kills=4, workers=2)

    assert report.kills >= 3
    assert report.wrong_answers == 0
    assert report.answers_meanwhile > 0
    assert (report.missing, report.failures, report.analysed_again, report.remains) == (0, 0, 0, 0)
    assert report.killed_at[0] < report.tracks
    assert report.analysed_at_last == report.tracks - report.killed_at[-1]
    assert report.workers_left_s < 10
    assert report.is_clean
