"""Versions on disk: written apart, renamed into place, named by CURRENT, removed when nobody can be reading them."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

CURRENT = "CURRENT"
LINKED = ("faiss.index", "meta.json", "melody")
_LED = ".linked"  # names the version that the links lead to: a build can be killed between CURRENT and them
_PARTIAL = ".partial-"
_TIME = "%Y%m%dT%H%M%S%fZ"
_NAME = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{6}")


def new_version() -> str:
    """A name that no other version has and that sorts by time."""
    return f"{datetime.now(UTC).strftime(_TIME)}-{secrets.token_hex(3)}"


def is_version(name: str) -> bool:
    """Whether this can be the name of a version."""
    return _NAME.fullmatch(name) is not None


def current_version(index_dir: Path) -> str | None:
    """What CURRENT names, valid or not; None where there is no CURRENT. Reads one line, so it may be asked often."""
    try:
        return (index_dir / CURRENT).read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def new_folder(index_dir: Path, version: str) -> Iterator[Path]:
    """An empty hidden folder, which becomes the version's when the block ends well and goes when it does not."""
    partial = index_dir / f"{_PARTIAL}{version}"
    partial.mkdir(parents=True)
    try:
        yield partial
        _flush(partial)
        partial.rename(index_dir / version)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(index_dir: Path, version: str) -> None:
    """Make a written version the current one, for readers of CURRENT in one step and then for those of the links."""
    _write_text(index_dir / CURRENT, version)
    lead_to(index_dir, version)


def lead_to(index_dir: Path, version: str) -> None:
    """Let `faiss.index`, `meta.json` and `melody` lead into a version, unless they do; copies where links cannot be."""
    with contextlib.suppress(OSError):
        if (index_dir / _LED).read_text(encoding="utf-8").strip() == version:
            return
    for name in LINKED:
        _lead(index_dir / name, Path(version, name))
    _write_text(index_dir / _LED, version)


def sweep(index_dir: Path, keep_s: float) -> None:
    """Remove half-written versions, and those replaced more than `keep_s` ago but for the one before the current.

    For whoever holds the lock of the build: a half-written version is a dead build's then.
    """
    for partial in index_dir.glob(f"{_PARTIAL}*"):
        _remove(partial)
    current = current_version(index_dir)
    versions = sorted(path.name for path in index_dir.iterdir() if is_version(path.name))
    before = [name for name in versions if current is not None and name < current]
    keep = {current, *before[-1:]}
    for name, successor in pairwise(versions):
        if name not in keep and time.time() - _made_at(successor) >= keep_s:
            shutil.rmtree(index_dir / name, ignore_errors=True)


def _made_at(version: str) -> float:
    return datetime.strptime(version.partition("-")[0], _TIME).replace(tzinfo=UTC).timestamp()


def _lead(link: Path, target: Path) -> None:
    """Replace `link`, whatever it was, by one to `target` (relative to its folder); remove it where that is missing."""
    source = link.parent / target
    fresh = link.parent / f"{_PARTIAL}link-{link.name}"
    _remove(fresh)
    if not source.exists():
        _remove(link)
        return
    try:
        fresh.symlink_to(target, target_is_directory=source.is_dir())
    except OSError:
        _copy(source, fresh)
    if _is_folder(link) or _is_folder(fresh):
        _remove(link)  # nothing replaces a folder in one step
    fresh.replace(link)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f"{_PARTIAL}{path.name}")
    partial.write_text(f"{text}\n", encoding="utf-8")
    _flush_file(partial)
    partial.replace(path)


def _flush(folder: Path) -> None:
    # The engine's own files alone: the export has tens of thousands, and can be made again.
    for path in folder.iterdir():
        if path.is_file():
            _flush_file(path)


def _flush_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
