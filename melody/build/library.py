"""What is in the library: files, whose content is whose, and the id, title and artist of each track."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from melody.build.report import Failures
from melody.index import TrackEntry

# What a file holds decides later; its ending only tells what was meant to be a track.
_ENDINGS = "wav w64 aif aiff aifc caf flac mp3 aac m4a m4b mp4 mov ogg oga opus webm mka mkv"
AUDIO_ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS.split())
UNKNOWN_ARTIST = "Unknown"
_TEXT_LENGTH = 200
_ID_LENGTH = 80


@dataclass(frozen=True, slots=True)
class File:
    """An audio file as the folder lists it."""

    path: str  # below the library, with forward slashes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Sound:
    """A file that will be a track if it can be analysed."""

    file: File
    sha256: str
    id: str
    title: str
    artist: str


def find_files(library: Path, skip: Sequence[Path]) -> tuple[list[File], Failures]:
    """Audio files under `library` by path, and folders that could not be read; hidden names and `skip` are left out.

    Links are followed, but no folder is entered twice.
    """
    files: list[File] = []
    failures: Failures = []
    barred = {_identity(path) for path in skip if path.is_dir()}
    for folder, names in _folders(library, barred, failures):
        for name in names:
            path = folder / name
            if name.startswith(".") or path.suffix.lower() not in AUDIO_ENDINGS:
                continue
            with contextlib.suppress(FileNotFoundError):  # a link to nothing, or removed this moment
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    files.append(File(path.relative_to(library).as_posix(), status.st_size, status.st_mtime_ns))
    return sorted(files, key=lambda file: file.path), failures


def identify(library: Path, files: Sequence[File], known: Sequence[TrackEntry]) -> tuple[list[Sound], Failures]:
    """Each content once with its id, given the tracks of the version before; and files that are none, with a reason.

    A content keeps its id wherever it is moved, and a path keeps its id when its content changes.
    """
    contents, failures = _contents(library, files, known)
    ids = _ids(contents, known)
    known_titles = {(track.path, track.sha256): (track.title, track.artist) for track in known}
    sounds: list[Sound] = []
    for sha256, file in contents.items():
        title, artist = known_titles.get((file.path, sha256)) or read_tags(library / file.path)
        sounds.append(Sound(file, sha256, ids[sha256], title, artist))
    return sorted(sounds, key=lambda sound: sound.id), failures


def read_tags(path: Path) -> tuple[str, str]:
    """Title and artist from a file's tags, else from its name and "Unknown"."""
    from tinytag import TinyTag, TinyTagException

    title = artist = ""
    try:
        tags = TinyTag.get(path, duration=False)
        title, artist = _clean(tags.title or ""), _clean(tags.artist or "")
    # Tags are anybody's bytes: whatever the reader makes of broken ones, the sound may still be good.
    except (TinyTagException, OSError, ArithmeticError, LookupError, TypeError, ValueError, MemoryError, struct.error):
        pass
    return title or _title_of(path), artist or UNKNOWN_ARTIST


def _folders(library: Path, barred: set[tuple[int, int]], failures: Failures) -> Iterator[tuple[Path, list[str]]]:
    def note(error: OSError) -> None:
        failures.append((os.path.relpath(error.filename, library), "The folder cannot be read."))

    entered = {*barred, _identity(library)}
    for name, folders, names in os.walk(library, onerror=note, followlinks=True):
        folder = Path(name)
        inside: list[str] = []
        for each in sorted(folders):
            identity = _identity(folder / each)
            if not each.startswith(".") and identity not in entered:
                entered.add(identity)
                inside.append(each)
        folders[:] = inside
        yield folder, names


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _contents(library: Path, files: Sequence[File], known: Sequence[TrackEntry]) -> tuple[dict[str, File], Failures]:
    """The file that stands for each content: the one known before, else the first by path."""
    recorded = {(track.path, track.size, track.mtime_ns): track.sha256 for track in known}
    settled = {(track.path, track.sha256) for track in known}
    failures: Failures = []
    hashed: list[tuple[bool, File, str]] = []
    for file in files:
        try:
            sha256 = recorded.get((file.path, file.size, file.mtime_ns)) or _sha256(library / file.path)
        except OSError:
            failures.append((file.path, "The file cannot be opened."))
            continue
        hashed.append(((file.path, sha256) not in settled, file, sha256))
    contents: dict[str, File] = {}
    for _, file, sha256 in sorted(hashed, key=lambda each: (each[0], each[1].path)):
        first = contents.setdefault(sha256, file)
        if first is not file:
            failures.append((file.path, f"same content as {first.path}"))
    return contents, failures


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ids(contents: dict[str, File], known: Sequence[TrackEntry]) -> dict[str, str]:
    ids = {track.sha256: track.id for track in known if track.sha256 in contents}
    taken = set(ids.values())
    by_path = {track.path: track.id for track in known}
    new = sorted((sha256 for sha256 in contents if sha256 not in ids), key=lambda sha256: contents[sha256].path)
    for sha256 in new:
        track_id = by_path.get(contents[sha256].path)
        if track_id is not None and track_id not in taken:
            ids[sha256] = track_id
            taken.add(track_id)
    for sha256 in new:
        if sha256 not in ids:
            ids[sha256] = _free(_slug(contents[sha256]) or f"track_{sha256[:8]}", taken)
            taken.add(ids[sha256])
    return ids


def _slug(file: File) -> str:
    """Lower-case letters, digits and single underscores: safe in addresses and as a file's name on every system."""
    path = Path(file.path).with_suffix("").as_posix()
    ascii_only = unicodedata.normalize("NFKD", path).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", ascii_only.lower())[:_ID_LENGTH].strip("_")


def _free(slug: str, taken: set[str]) -> str:
    number, name = 1, slug
    while name in taken:
        number += 1
        name = f"{slug}-{number}"
    return name


def _title_of(path: Path) -> str:
    title = _clean(path.stem.replace("_", " "))
    return title[:1].upper() + title[1:]


def _clean(text: str) -> str:
    """Printable text in one line: file names and tags may hold anything, also bytes that are no text."""
    shown = text.encode("utf-8", "replace").decode()
    printable = "".join(letter if letter.isprintable() else " " for letter in shown)
    return " ".join(printable.split())[:_TEXT_LENGTH]
