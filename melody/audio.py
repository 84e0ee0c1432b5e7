"""Decoding: any file -> mono waveform.

FFmpeg does it, as a child with limits, in a private folder that is removed afterwards. What a file is called decides
nothing: FFmpeg sees it through a link named `input`, and judges it by its content.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from melody.config import AudioConfig
from melody.errors import FfmpegMissing, NotAudio, TooShort
from melody.types import Floats, Waveform

_CLIP_FORMATS = "wav,w64,mp3,mov,mp4,m4a,matroska,webm,ogg,flac,aac"
_CLIP_CODECS = "pcm_s16le,pcm_s24le,pcm_f32le,pcm_u8,mp3,mp3float,aac,opus,libopus,vorbis,flac"
_TRACK_FORMATS = f"{_CLIP_FORMATS},aiff,caf"
_TRACK_CODECS = (
    f"{_CLIP_CODECS},alac,pcm_s32le,pcm_f64le,pcm_s8,"
    "pcm_s16be,pcm_s24be,pcm_s32be,pcm_f32be,pcm_f64be,pcm_mulaw,pcm_alaw"
)

_SAMPLE_BYTES = 2
_BEYOND_S = 5.0  # decoded past the limit, which tells that the file goes on
_MEMORY_BYTES = 2_000_000_000
_OPEN_FILES = 64
_KILL_AFTER_S = 2
_CPU_BEYOND_S = 5  # CPU time past the wall clock's limit: the clock should speak first

_DOES_NOT_START = {126, 127}
_OUT_OF_TIME = {124, 128 + signal.SIGKILL, -signal.SIGKILL, -signal.SIGXCPU}

# Runs in a fresh interpreter and not as `preexec_fn`, which can deadlock where the parent has threads.
_LIMIT_AND_EXEC = """
import os, resource, sys
for name, value in zip(("CPU", "AS", "FSIZE", "NOFILE"), map(int, sys.argv[1:5])):
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    except (OSError, ValueError):
        pass
try:
    os.execv(sys.argv[5], sys.argv[5:])
except OSError:
    sys.exit(126)
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a track with context on both sides.

    The parts to keep of successive blocks follow each other without gap or overlap from the track's start to its end.
    """

    waveform: Waveform  # context included; `truncated` only on the last block of a track that was cut
    start_s: float  # where the waveform begins in the track
    keep_from_s: float  # in the waveform
    keep_to_s: float  # in the waveform
    is_last: bool

    def keep_frames(self, hop_s: float) -> slice:
        """Which frames to keep of a tracker whose frame i lies `i * hop_s` after the waveform's start.

        Joined, they are the frames of the whole track if `block_s` and `overlap_s` are whole numbers of hops. They must
        be: another `block_s` makes the joined frames drift, another `overlap_s` shifts them by up to half a hop.
        """
        return slice(round(self.keep_from_s / hop_s), None if self.is_last else round(self.keep_to_s / hop_s))


def decode_clip(path: Path, config: AudioConfig) -> Waveform:
    """Decode what a person submits: at most `clip_max_s`, at `rate_hz`.

    Raises NotAudio for whatever is no readable sound, TooShort under `clip_min_s`, FfmpegMissing.
    """
    limits = _Limits(
        noun="clip",
        min_s=config.clip_min_s,
        max_s=config.clip_max_s,
        timeout_s=config.clip_timeout_s,
        rate_hz=config.rate_hz,
        formats=_CLIP_FORMATS,
        codecs=_CLIP_CODECS,
    )
    with _decoded(path, limits) as sound:
        return Waveform(sound.read(0, sound.length), sound.rate_hz, truncated=sound.truncated)


def track_blocks(path: Path, config: AudioConfig, *, block_s: float, overlap_s: float) -> Generator[Block, None, None]:
    """Decode a track of the library, and give it in blocks that start `block_s` apart and reach `overlap_s` beyond.

    Memory holds one block at a time; the whole track, 32 kB a second, waits in the temporary folder until the
    iterator ends or is closed (`contextlib.closing`, if you may leave it early). A track longer than `track_max_s` is
    cut there.
    The first step raises NotAudio, TooShort under `track_min_s`, FfmpegMissing.
    """
    limits = _Limits(
        noun="track",
        min_s=config.track_min_s,
        max_s=config.track_max_s,
        timeout_s=config.track_timeout_s,
        rate_hz=config.rate_hz,
        formats=_TRACK_FORMATS,
        codecs=_TRACK_CODECS,
        too_short_hint="Leave it out of the library, or put the whole piece there.",
    )
    with _decoded(path, limits) as sound:
        block, overlap = round(block_s * sound.rate_hz), round(overlap_s * sound.rate_hz)
        for start in range(0, sound.length, block):
            stop = min(start + block, sound.length)
            is_last = stop == sound.length
            first = max(start - overlap, 0)
            samples = sound.read(first, min(stop + overlap, sound.length))
            yield Block(
                Waveform(samples, sound.rate_hz, truncated=sound.truncated and is_last),
                start_s=first / sound.rate_hz,
                keep_from_s=(start - first) / sound.rate_hz,
                keep_to_s=(stop - first) / sound.rate_hz,
                is_last=is_last,
            )


@cache
def find_ffmpeg() -> Path:
    """The system's FFmpeg, else the binary that imageio-ffmpeg brings. Raises FfmpegMissing."""
    if found := shutil.which("ffmpeg"):
        return Path(found).absolute()
    try:
        import imageio_ffmpeg

        bundled = Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise FfmpegMissing("FFmpeg, which reads audio files, is not installed.") from error
    if not bundled.is_file():
        raise FfmpegMissing(f"FFmpeg, which reads audio files, is not at {bundled}.")
    return bundled.absolute()


@dataclass(frozen=True, slots=True)
class _Limits:
    """What one file may be, and what FFmpeg may do for it."""

    noun: str
    min_s: float
    max_s: float
    timeout_s: float
    rate_hz: int
    formats: str  # names of FFmpeg's demuxers and decoders
    codecs: str
    too_short_hint: str | None = None  # None: the error's own

    @property
    def output_bytes(self) -> int:
        return round((self.max_s + _BEYOND_S) * self.rate_hz) * _SAMPLE_BYTES


@dataclass(frozen=True, slots=True)
class _Sound:
    """Decoded samples on disk."""

    path: Path  # little-endian 16-bit samples, nothing else
    rate_hz: int
    length: int  # samples, after the cut
    truncated: bool

    def read(self, start: int, stop: int) -> Floats:
        samples = np.fromfile(self.path, dtype="<i2", count=stop - start, offset=start * _SAMPLE_BYTES)
        return samples.astype(np.float32) / np.float32(32768)


@contextlib.contextmanager
def _decoded(path: Path, limits: _Limits) -> Iterator[_Sound]:
    _check_readable(path)
    with tempfile.TemporaryDirectory(prefix="melody-") as name:
        folder = Path(name)
        # Without the file's own name FFmpeg can guess nothing from it, and a playlist finds no neighbours.
        (folder / "input").symlink_to(path.absolute())
        _judge(_run(_guarded(_ffmpeg_command(limits), limits), folder, limits), limits)
        yield _measured(folder / "output", limits)


def _check_readable(path: Path) -> None:
    try:
        # Never open anything else: a named pipe would wait for a writer.
        if not path.is_file():
            raise NotAudio("There is no such file.")
        with path.open("rb") as file:
            if not file.read(1):
                raise NotAudio("The file is empty.")
    except OSError as error:
        raise NotAudio("The file cannot be opened.") from error


def _ffmpeg_command(limits: _Limits) -> list[str]:
    # No -xerror: it refuses recordings that were cut off and MP3s with padding at the end, and adds no safety.
    # -fs besides -t: where recordings were joined the clock of the file starts anew, and -t sees no end.
    # -filter_threads: each reserves address space, of which a machine with many cores would run out.
    before = (
        "-nostdin -hide_banner -v quiet -filter_threads 1 -threads 1 "
        "-max_alloc 50000000 -max_streams 8 -protocol_whitelist file"
    )
    after = f"-map 0:a:0 -vn -sn -dn -map_metadata -1 -ac 1 -ar {limits.rate_hz} -c:a pcm_s16le -f s16le"
    return [
        *(str(find_ffmpeg()), *before.split()),
        *("-format_whitelist", limits.formats, "-codec_whitelist", limits.codecs),
        *("-t", str(limits.max_s + _BEYOND_S), "-i", "file:input"),
        *(*after.split(), "-fs", str(limits.output_bytes), "-y", "file:output"),
    ]


def _guarded(command: list[str], limits: _Limits) -> list[str]:
    """The command with limits on CPU seconds, memory, file size and open files, by whatever the machine has."""
    seconds = math.ceil(limits.timeout_s)
    cpu_s = seconds + _CPU_BEYOND_S
    # FFmpeg looks at -fs once per written buffer, so a file may end somewhat larger.
    file_bytes = max(4_000_000, limits.output_bytes + 1_000_000)
    prlimit, timeout = shutil.which("prlimit"), shutil.which("timeout")
    if prlimit is None or timeout is None:
        values = [str(value) for value in (cpu_s, _MEMORY_BYTES, file_bytes, _OPEN_FILES)]
        return [sys.executable, "-I", "-S", "-c", _LIMIT_AND_EXEC, *values, *command]
    options = [f"--cpu={cpu_s}", f"--as={_MEMORY_BYTES}", f"--fsize={file_bytes}", f"--nofile={_OPEN_FILES}"]
    # `_run` keeps the time as well; this `timeout` still works when our own process has been killed.
    return [prlimit, *options, "--", timeout, "-k", str(_KILL_AFTER_S), str(seconds), *command]


def _run(command: list[str], folder: Path, limits: _Limits) -> int:
    """The exit status; `timeout`'s own where time runs out. Whatever ends the waiting, no process is left behind."""
    child = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return child.wait(limits.timeout_s)
    except subprocess.TimeoutExpired:
        return 124
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses when it has just ended
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _judge(status: int, limits: _Limits) -> None:
    # By the status alone: a cover picture or a video fills stderr with complaints about codecs not allowed.
    if status in _DOES_NOT_START:
        raise FfmpegMissing(f"FFmpeg at {find_ffmpeg()} does not start.")
    if status in _OUT_OF_TIME:
        raise NotAudio(f"The {limits.noun} takes too long to read.", hint="Try a shorter or simpler recording.")
    if status != 0:
        raise NotAudio("The file is not audio that can be read.")


def _measured(path: Path, limits: _Limits) -> _Sound:
    length = path.stat().st_size // _SAMPLE_BYTES
    if not length:
        raise NotAudio("The file holds no sound.")
    duration_s = length / limits.rate_hz
    if duration_s < limits.min_s:
        shown_s = math.floor(duration_s * 10) / 10
        message = f"The {limits.noun} is {shown_s:.1f} seconds long; at least {limits.min_s:g} are needed."
        raise TooShort(message, hint=limits.too_short_hint)
    most = round(limits.max_s * limits.rate_hz)
    return _Sound(path, limits.rate_hz, min(length, most), truncated=length > most)
