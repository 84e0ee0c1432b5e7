"""The straight line of a build: look, recognise, analyse what is new, publish."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from melody.build.library import Sound, find_files, identify
from melody.build.lock import build_lock
from melody.build.pool import Job, Outcome, analyse
from melody.build.report import BuildReport, Failures, Progress
from melody.config import Config
from melody.errors import EngineNotReady, IndexMismatch, LibraryMissing
from melody.index import (
    FeatureStore,
    TrackEntry,
    current_version,
    is_version,
    lead_to,
    load_index,
    read_tracks,
    sweep,
    write_index,
)

OnProgress = Callable[[Progress], None]


def build(  # noqa: PLR0913 - the last four are wishes
    library: Path,
    index_dir: Path,
    config: Config,
    *,
    features: Path | None = None,
    workers: int | None = None,
    export: bool | None = None,
    on_progress: OnProgress | None = None,
) -> BuildReport:
    """Make the index say what the library holds; only what is new or changed is analysed.

    `features` is `index_dir/features` by default, `workers` one process a processor, `export` as in `write_index`.
    A file that cannot be used is in the report with its reason. A build that is stopped, however, leaves the version
    before in place and all finished analyses for the next one. Where nothing changed no version is written.
    Raises BuildRunning, LibraryMissing, FfmpegMissing, and OSError where the index cannot be written.
    """
    started = time.monotonic()
    if not library.is_dir():
        raise LibraryMissing(f"There is no folder {library}.")
    with build_lock(index_dir):
        folder = features or index_dir / "features"
        store = FeatureStore(folder, config)
        store.sweep()
        sweep(index_dir, config.index.keep_versions_s)
        known = _known_tracks(index_dir)
        files, unreadable = find_files(library, (index_dir, folder))
        sounds, unused = identify(library, files, known)
        heard, jobs = _heard_before(library, sounds, store)
        analysed = _Analysis(jobs, on_progress)
        with closing(analyse(jobs, folder, config, workers or os.cpu_count() or 1)) as outcomes:
            for outcome in outcomes:
                analysed.note(outcome)
        tracks, failed = _entries(sounds, heard | analysed.outcomes)
        version = _publish(index_dir, tracks, store, config, export=export)
        sweep(index_dir, config.index.keep_versions_s)
    return BuildReport(
        version=version,
        tracks=len(tracks),
        **_differences(known, tracks),
        analysed=sum(outcome.reason is None for outcome in analysed.outcomes.values()),
        failures=tuple(sorted([*unreadable, *unused, *failed])),
        audio_s=analysed.audio_s,
        seconds=time.monotonic() - started,
    )


class _Analysis:
    """Counts outcomes as they come, and says so."""

    def __init__(self, jobs: Sequence[Job], on_progress: OnProgress | None) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.audio_s = 0.0
        self._started = time.monotonic()
        self._total = len(jobs)
        self._bytes_left = sum(job.size for job in jobs)
        self._bytes = self._bytes_left
        self._on_progress = on_progress
        self._say("")

    def note(self, outcome: Outcome) -> None:
        self.outcomes[outcome.job.sha256] = outcome
        self.audio_s += outcome.duration_s
        self._bytes_left -= outcome.job.size
        self._say(outcome.job.name)

    def _say(self, path: str) -> None:
        if self._on_progress is None:
            return
        elapsed_s = time.monotonic() - self._started
        done = self._bytes - self._bytes_left
        remaining_s = elapsed_s * self._bytes_left / done if done else None
        self._on_progress(Progress(len(self.outcomes), self._total, self.audio_s, elapsed_s, remaining_s, path))


def _known_tracks(index_dir: Path) -> tuple[TrackEntry, ...]:
    version = current_version(index_dir)
    if version is None or not is_version(version):
        return ()
    try:
        return read_tracks(index_dir / version)
    except IndexMismatch:
        return ()


def _heard_before(library: Path, sounds: Sequence[Sound], store: FeatureStore) -> tuple[dict[str, Outcome], list[Job]]:
    """What is in the store already, by content, and what is to be analysed."""
    heard: dict[str, Outcome] = {}
    jobs: list[Job] = []
    for sound in sounds:
        file = sound.file
        job = Job(library / file.path, file.path, sound.sha256, file.size, file.mtime_ns)
        features = store.load(sound.sha256)
        if features is None:
            jobs.append(job)
        else:
            heard[sound.sha256] = Outcome(job, features.duration_s, len(features.start_s))
    return heard, jobs


def _entries(sounds: Sequence[Sound], outcomes: dict[str, Outcome]) -> tuple[tuple[TrackEntry, ...], Failures]:
    tracks: list[TrackEntry] = []
    failures: Failures = []
    for sound in sounds:
        outcome = outcomes[sound.sha256]
        if outcome.reason is not None:
            failures.append((sound.file.path, outcome.reason))
            continue
        entry = TrackEntry(
            id=sound.id,
            title=sound.title,
            artist=sound.artist,
            path=sound.file.path,
            sha256=sound.sha256,
            size=sound.file.size,
            mtime_ns=sound.file.mtime_ns,
            duration_s=outcome.duration_s,
            windows=outcome.windows,
        )
        tracks.append(entry)
    return tuple(tracks), failures


def _publish(
    index_dir: Path, tracks: tuple[TrackEntry, ...], store: FeatureStore, config: Config, *, export: bool | None
) -> str:
    """The version that holds these tracks: the current one if it does, else a new one."""
    version = _unchanged(index_dir, tracks, config, export=export)
    if version is None:
        return write_index(index_dir, tracks, store.load, config, export=export)
    lead_to(index_dir, version)  # a build killed at its last step may not have come to it
    return version


def _unchanged(index_dir: Path, tracks: tuple[TrackEntry, ...], config: Config, *, export: bool | None) -> str | None:
    try:
        current = load_index(index_dir, config)
    except EngineNotReady:
        return None
    has_export = export is None or export == current.manifest.exported
    return current.version if current.tracks == tracks and has_export else None


def _differences(known: Sequence[TrackEntry], tracks: Sequence[TrackEntry]) -> dict[str, int]:
    before = {track.id: track for track in known}
    both = [(before[track.id], track) for track in tracks if track.id in before]
    return {
        "added": len(tracks) - len(both),
        "changed": sum(old.sha256 != new.sha256 for old, new in both),
        "renamed": sum(old.sha256 == new.sha256 and old.path != new.path for old, new in both),
        "removed": len(before) - len(both),
    }
