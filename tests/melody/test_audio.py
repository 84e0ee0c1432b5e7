"""Decoding: what people and libraries hold, what is broken, and what means harm."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import soundfile

from melody.audio import Block, decode_clip, find_ffmpeg, track_blocks
from melody.config import AudioConfig
from melody.errors import FfmpegMissing, NotAudio, TooShort
from melody.types import Floats, Waveform

TONE_HZ = 440.0
CONFIG = AudioConfig()
TEN_HOURS_S = 36_000
TRACK_BLOCKS_IN_A_CHILD = """
import json, resource, sys
from pathlib import Path
from melody.audio import track_blocks
from melody.config import AudioConfig

kept_s = 0.0
for block in track_blocks(Path(sys.argv[1]), AudioConfig(), block_s=60.0, overlap_s=1.0):
    kept_s += block.keep_to_s - block.keep_from_s
# Not ru_maxrss of this process, which begins with what its parent had when it forked.
own = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
ffmpeg = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"kept_s": kept_s, "truncated": block.waveform.truncated, "peak_kb": max(own, ffmpeg)}))
"""
REPORT_LIMITS = """
import json, os, resource, sys

found = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in ("CPU", "AS", "FSIZE", "NOFILE")}
with open(os.path.join(os.path.dirname(__file__), "limits.json"), "w") as file:
    json.dump({**found, "OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}, file)
sys.exit(1)
"""

Encode = Callable[..., Path]


def ffmpeg(*arguments: str | Path) -> bytes:
    command = [find_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def tone(seconds: float, *, rate_hz: int = 44_100, hz: float = TONE_HZ) -> Floats:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def loudest_hz(wave: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(wave.samples * np.hanning(len(wave.samples))))
    return float(np.argmax(spectrum) / wave.duration_s)


def assert_is_the_tone(wave: Waveform, *, seconds: float, within_s: float = 0.15) -> None:
    assert (wave.rate_hz, wave.samples.dtype.name, wave.samples.ndim) == (16_000, "float32", 1)
    assert wave.duration_s == pytest.approx(seconds, abs=within_s)
    assert loudest_hz(wave) == pytest.approx(TONE_HZ, abs=2.0)


def assert_is_given_up(path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(NotAudio, match=r"The track takes too long to read\."):
        list(track_blocks(path, AudioConfig(track_max_s=TEN_HOURS_S, track_timeout_s=0.3), block_s=60, overlap_s=0))
    assert time.monotonic() - started < 2


def processes_working_in(folder: Path) -> list[str]:
    """Command lines of the processes whose working directory lies in `folder` (none where there is no /proc)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            working_directory, words = (process / "cwd").readlink(), (process / "cmdline").read_text()
        except OSError:  # it ended, or belongs to someone else
            continue
        if words and str(working_directory).startswith(str(folder)):
            found.append(words)
    return found


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """Write seven seconds of the tone in the format that the name and FFmpeg's options tell."""

    def write(name: str, *options: str, seconds: float = 7.0) -> Path:
        source, target = tmp_path / "source.wav", tmp_path / name
        soundfile.write(source, tone(seconds), 44_100)
        ffmpeg("-i", source, *options, f"file:{target}")
        return target

    return write


@pytest.fixture
def cover(tmp_path: Path) -> Path:
    path = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x320", "-frames:v", "1", path)
    return path


@pytest.fixture(scope="session")
def ten_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten hours of silence in 0.2 MB of Ogg, which would decode to 1.15 GB."""
    path = tmp_path_factory.mktemp("long") / "ten_hours.ogg"
    silence = f"anullsrc=sample_rate=8000:channel_layout=mono:duration={TEN_HOURS_S}"
    ffmpeg("-f", "lavfi", "-i", silence, "-c:a", "flac", "-frame_size", "65535", path)
    return path


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """After every test, whatever came of it, no temporary folder and no process is left behind."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    deadline = time.monotonic() + 5  # a killed process may take a moment to go
    while (left := processes_working_in(folder)) and time.monotonic() < deadline:
        os.sched_yield()
    assert left == []


@pytest.fixture
def machine_without_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is on PATH: no ffmpeg, and neither prlimit nor timeout."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    find_ffmpeg.cache_clear()
    yield
    find_ffmpeg.cache_clear()


def test_it_works(encode: Encode) -> None:
    assert_is_the_tone(decode_clip(encode("clip.mp3"), CONFIG), seconds=7.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.wav", ()),
        ("clip.mp3", ("-b:a", "96k")),
        ("clip.m4a", ("-c:a", "aac")),
        ("clip.webm", ("-c:a", "libopus")),
        ("vorbis.webm", ("-c:a", "libvorbis")),
        ("clip.ogg", ("-c:a", "libvorbis")),
        ("opus.ogg", ("-c:a", "libopus")),
        ("flac.ogg", ("-c:a", "flac")),
        ("clip.flac", ()),
        ("clip.aac", ("-c:a", "aac")),
        ("eight_bit.wav", ("-c:a", "pcm_u8")),
        ("float.wav", ("-c:a", "pcm_f32le")),
        ("surround.wav", ("-ac", "6")),
        ("surround.m4a", ("-ac", "6", "-c:a", "aac")),
        ("studio.wav", ("-ar", "192000", "-c:a", "pcm_s24le")),
        ("telephone.wav", ("-ar", "8000")),
        ("index_at_the_end.m4a", ("-c:a", "aac", "-movflags", "-faststart")),
        ("index_at_the_start.m4a", ("-c:a", "aac", "-movflags", "+faststart")),
    ],
)
def test_every_format_gives_the_same_tone(encode: Encode, name: str, options: tuple[str, ...]) -> None:
    assert_is_the_tone(decode_clip(encode(name, *options), CONFIG), seconds=7.0)


def test_the_content_decides_and_not_the_name(encode: Encode) -> None:
    path = encode("clip.flac")
    assert_is_the_tone(decode_clip(path.rename(path.with_name("clip.mp3")), CONFIG), seconds=7.0)


@pytest.mark.parametrize(
    "name",
    [
        "-y.wav",
        "two words.wav",
        "ünïcödé 旋律.wav",
        "%d-%03d.wav",
        "concat:a|b.wav",
        "http:x",
        'it\'s "one";&.wav',
        "x",
    ],
)
def test_any_file_name_is_fine(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(6), 44_100, format="WAV")
    assert_is_the_tone(decode_clip(path, CONFIG), seconds=6.0)


def test_a_relative_path_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "-i.wav", tone(6), 44_100)
    monkeypatch.chdir(tmp_path)
    assert_is_the_tone(decode_clip(Path("-i.wav"), CONFIG), seconds=6.0)


def test_samples_keep_their_level(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", tone(6, rate_hz=16_000), 16_000)
    np.testing.assert_allclose(decode_clip(tmp_path / "clip.wav", CONFIG).samples, tone(6, rate_hz=16_000), atol=1e-4)


def test_silence_decodes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(6 * 44_100), 44_100)
    assert not decode_clip(tmp_path / "silence.wav", CONFIG).samples.any()


def test_a_recording_of_a_browser_needs_no_duration(encode: Encode, tmp_path: Path) -> None:
    live = tmp_path / "live.webm"
    live.write_bytes(ffmpeg("-i", encode("clip.wav"), "-c:a", "libopus", "-f", "webm", "-live", "1", "pipe:1"))
    assert_is_the_tone(decode_clip(live, CONFIG), seconds=7.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [("cut.webm", ("-c:a", "libopus")), ("cut.wav", ()), ("cut.flac", ()), ("cut.aac", ("-c:a", "aac"))],
)
def test_a_recording_that_was_cut_off_gives_what_is_there(encode: Encode, name: str, options: tuple[str, ...]) -> None:
    path = encode(name, *options, seconds=12.0)
    os.truncate(path, int(path.stat().st_size * 0.7))
    assert_is_the_tone(decode_clip(path, CONFIG), seconds=8.4, within_s=0.5)


def test_an_m4a_without_its_end_is_not_audio(encode: Encode) -> None:
    path = encode("clip.m4a", "-c:a", "aac")
    os.truncate(path, int(path.stat().st_size * 0.7))
    with pytest.raises(NotAudio):
        decode_clip(path, CONFIG)


def test_padding_after_an_mp3_does_no_harm(encode: Encode) -> None:
    path = encode("clip.mp3")
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert_is_the_tone(decode_clip(path, CONFIG), seconds=7.0)


def test_cover_art_does_no_harm(encode: Encode, cover: Path, tmp_path: Path) -> None:
    path = tmp_path / "with_cover.mp3"
    ffmpeg("-i", encode("clip.mp3"), "-i", cover, "-map", "0", "-map", "1", "-c", "copy", path)
    assert_is_the_tone(decode_clip(path, CONFIG), seconds=7.0)


def test_of_a_video_the_sound_is_taken(encode: Encode, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    pictures = ("-f", "lavfi", "-i", "testsrc=size=320x240:duration=7")
    ffmpeg(*pictures, "-i", encode("clip.wav"), "-c:v", "mpeg4", "-c:a", "aac", path)
    assert_is_the_tone(decode_clip(path, CONFIG), seconds=7.0)


def test_cover_art_alone_is_not_audio(cover: Path, tmp_path: Path) -> None:
    path = tmp_path / "cover_only.m4a"
    ffmpeg("-i", cover, "-c", "copy", "-disposition:v", "attached_pic", "-f", "mp4", path)
    with pytest.raises(NotAudio):
        decode_clip(path, CONFIG)


def test_a_long_clip_is_cut(encode: Encode) -> None:
    wave = decode_clip(encode("clip.wav", seconds=30.0), CONFIG)
    assert_is_the_tone(wave, seconds=20.0, within_s=0.0)
    assert wave.truncated


def test_a_clip_of_just_the_longest_length_is_whole(encode: Encode) -> None:
    wave = decode_clip(encode("clip.wav", seconds=20.0), CONFIG)
    assert_is_the_tone(wave, seconds=20.0, within_s=0.0)
    assert not wave.truncated


def test_ten_hours_of_ogg_are_cut_at_once(ten_hours: Path) -> None:
    started = time.monotonic()
    wave = decode_clip(ten_hours, CONFIG)
    assert (wave.duration_s, wave.truncated) == (20.0, True)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(("name", "codec"), [("live.webm", "libopus"), ("joined.flac", "flac")])
def test_joined_recordings_are_cut_though_their_clock_starts_anew(encode: Encode, name: str, codec: str) -> None:
    path = encode(name, "-c:a", codec, "-live", "1") if name.endswith("webm") else encode(name, "-c:a", codec)
    path.write_bytes(path.read_bytes() * 40)
    wave = decode_clip(path, CONFIG)
    assert_is_the_tone(wave, seconds=20.0, within_s=0.0)
    assert wave.truncated


def test_one_second_is_too_short(encode: Encode) -> None:
    with pytest.raises(TooShort, match=r"The clip is 1\.0 seconds long; at least 5 are needed\."):
        decode_clip(encode("clip.wav", seconds=1.0), CONFIG)


def test_it_never_says_that_a_clip_too_short_is_as_long_as_needed(encode: Encode) -> None:
    with pytest.raises(TooShort, match=r"4\.9 seconds"):
        decode_clip(encode("clip.wav", seconds=4.99), CONFIG)


def test_it_rejects_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(NotAudio, match=r"The file is empty\."):
        decode_clip(tmp_path / "empty.wav", CONFIG)


def test_it_rejects_a_file_with_a_header_and_no_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "header.wav", np.zeros(0), 44_100)
    with pytest.raises(NotAudio):
        decode_clip(tmp_path / "header.wav", CONFIG)


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.aac"])
def test_it_rejects_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("la la la\n" * 5000)
    with pytest.raises(NotAudio, match=r"The file is not audio that can be read\."):
        decode_clip(tmp_path / name, CONFIG)


@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
@pytest.mark.parametrize("name", ["noise.wav", "noise.mp3", "noise.aac"])
def test_it_rejects_random_bytes(tmp_path: Path, name: str, size: int) -> None:
    (tmp_path / name).write_bytes(random.Random(size).randbytes(size))
    with pytest.raises(NotAudio):
        decode_clip(tmp_path / name, CONFIG)


def test_it_rejects_a_codec_that_is_not_listed(encode: Encode) -> None:
    with pytest.raises(NotAudio):
        decode_clip(encode("clip.wav", "-c:a", "adpcm_ms"), CONFIG)


def test_it_rejects_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotAudio, match=r"There is no such file\."):
        decode_clip(tmp_path / "missing.wav", CONFIG)


def test_it_rejects_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotAudio):
        decode_clip(tmp_path, CONFIG)


def test_it_rejects_a_named_pipe_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(NotAudio):
        decode_clip(tmp_path / "pipe.wav", CONFIG)


def test_it_rejects_a_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(NotAudio, match=r"The file cannot be opened\."):
        decode_clip(tmp_path / ("x" * 300), CONFIG)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_it_rejects_a_file_that_may_not_be_read(encode: Encode) -> None:
    path = encode("clip.wav")
    path.chmod(0)
    with pytest.raises(NotAudio, match=r"The file cannot be opened\."):
        decode_clip(path, CONFIG)


@pytest.mark.parametrize("name", ["clip.wav", "clip.mp3", "clip.ffconcat"])
@pytest.mark.parametrize("decode", ["clip", "track"])
def test_a_list_of_files_reads_no_other_file(tmp_path: Path, name: str, decode: str) -> None:
    soundfile.write(tmp_path / "other.wav", tone(6), 44_100)
    (tmp_path / name).write_text("ffconcat version 1.0\nfile other.wav\n")
    with pytest.raises(NotAudio):
        decode_clip(tmp_path / name, CONFIG) if decode == "clip" else list(blocks_of(tmp_path / name))


@pytest.mark.parametrize("name", ["clip.wav", "clip.mp3", "clip.m4a", "clip.m3u8"])
@pytest.mark.parametrize("reference", ["other.aac", "{folder}/other.aac", "file://{folder}/other.aac"])
def test_a_playlist_reads_no_other_file(encode: Encode, tmp_path: Path, name: str, reference: str) -> None:
    encode("other.aac", "-c:a", "aac")
    segment = reference.format(folder=tmp_path)
    (tmp_path / name).write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:7\n#EXTINF:7,\n{segment}\n#EXT-X-ENDLIST\n")
    with pytest.raises(NotAudio):
        decode_clip(tmp_path / name, CONFIG)


def test_a_playlist_calls_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/other.aac"
        (tmp_path / "clip.m3u8").write_text(f"#EXTM3U\n#EXTINF:7,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(NotAudio):
            decode_clip(tmp_path / "clip.m3u8", CONFIG)
        with pytest.raises(BlockingIOError):
            server.accept()


def blocks_of(path: Path, config: AudioConfig = CONFIG, *, block_s: float = 4.0, overlap_s: float = 0.5) -> list[Block]:
    return list(track_blocks(path, config, block_s=block_s, overlap_s=overlap_s))


def test_blocks_have_context_where_the_track_exists(encode: Encode) -> None:
    blocks = blocks_of(encode("track.wav", seconds=10.0))
    found = [(b.start_s, b.waveform.duration_s, b.keep_from_s, b.keep_to_s, b.is_last) for b in blocks]
    assert found == [(0.0, 4.5, 0.0, 4.0, False), (3.5, 5.0, 0.5, 4.5, False), (7.5, 2.5, 0.5, 2.5, True)]


@pytest.mark.parametrize("seconds", [3.0, 8.0, 8.1, 11.9, 12.3])
def test_blocks_joined_are_the_track(tmp_path: Path, seconds: float) -> None:
    whole = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * 16_000)).astype(np.float32)
    soundfile.write(tmp_path / "track.wav", whole, 16_000, subtype="PCM_16")
    parts: list[Floats] = []
    for block in blocks_of(tmp_path / "track.wav"):
        kept = slice(round(block.keep_from_s * 16_000), round(block.keep_to_s * 16_000))
        assert round((block.start_s + block.keep_from_s) * 16_000) == sum(len(part) for part in parts)
        parts.append(block.waveform.samples[kept])
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


@pytest.mark.parametrize("seconds", [3.0, 8.0, 8.192, 12.3])
def test_frames_kept_are_those_of_the_whole_track(tmp_path: Path, seconds: float) -> None:
    hop = 256
    soundfile.write(tmp_path / "track.wav", tone(seconds, rate_hz=16_000), 16_000)
    samples: list[int] = []
    for block in blocks_of(tmp_path / "track.wav", block_s=250 * hop / 16_000, overlap_s=20 * hop / 16_000):
        start = round(block.start_s * 16_000)
        frames = [start + i * hop for i in range(len(block.waveform.samples) // hop + 1)]
        samples += frames[block.keep_frames(hop / 16_000)]
    assert samples == list(range(0, round(seconds * 16_000) + 1, hop))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("track.aiff", "pcm_s16be"),
        ("track.aif", "pcm_s24be"),
        ("track.m4a", "alac"),
        ("track.caf", "alac"),
        ("track.wav", "pcm_s32le"),
        ("track.wav", "pcm_f64le"),
        ("track.wav", "pcm_mulaw"),
    ],
)
def test_a_track_may_be_of_more_formats_than_a_clip(encode: Encode, name: str, codec: str) -> None:
    path = encode(name, "-c:a", codec)
    (block,) = blocks_of(path, block_s=60.0)
    assert_is_the_tone(block.waveform, seconds=7.0)
    with pytest.raises(NotAudio):
        decode_clip(path, CONFIG)


def test_a_track_too_short_says_what_to_do_about_it(encode: Encode) -> None:
    with pytest.raises(TooShort, match=r"The track is 1\.0 seconds long; at least 3") as caught:
        blocks_of(encode("track.wav", seconds=1.0))
    assert "library" in caught.value.hint


def test_a_track_too_long_is_cut(ten_hours: Path) -> None:
    blocks = blocks_of(ten_hours, AudioConfig(track_max_s=100.0), block_s=30.0)
    assert blocks[-1].start_s + blocks[-1].keep_to_s == 100.0
    assert [block.waveform.truncated for block in blocks] == [False, False, False, True]


def test_three_hours_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "three_hours.ogg"
    silence = "anullsrc=sample_rate=8000:channel_layout=mono:duration=10800"
    ffmpeg("-f", "lavfi", "-i", silence, "-c:a", "flac", "-frame_size", "65535", path)
    command = [sys.executable, "-c", TRACK_BLOCKS_IN_A_CHILD, str(path)]
    root = Path(__file__).parents[2]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=root).stdout)
    assert found["kept_s"] == pytest.approx(10_800, abs=1)
    assert not found["truncated"]
    assert found["peak_kb"] < 200_000


def test_closing_the_iterator_removes_the_folder(encode: Encode, scratch: Path) -> None:
    blocks = track_blocks(encode("track.wav"), CONFIG, block_s=1.0, overlap_s=0.1)
    next(blocks)
    assert len(list(scratch.iterdir())) == 1
    blocks.close()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("prlimit_and_timeout_exist", [True, False])
def test_ffmpeg_runs_under_limits(
    encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prlimit_and_timeout_exist: bool
) -> None:
    path = encode("clip.wav")
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "ffmpeg"
    stand_in.write_text(f"#!{sys.executable} -IS\n{REPORT_LIMITS}")
    stand_in.chmod(0o755)
    rest = os.environ["PATH"] if prlimit_and_timeout_exist else "/nowhere"
    monkeypatch.setenv("PATH", f"{stand_in.parent}{os.pathsep}{rest}")
    find_ffmpeg.cache_clear()
    try:
        with pytest.raises(NotAudio):
            decode_clip(path, CONFIG)
    finally:
        find_ffmpeg.cache_clear()
    limits = {"CPU": 20, "AS": 2_000_000_000, "FSIZE": 4_000_000, "NOFILE": 64}
    assert json.loads((tmp_path / "bin" / "limits.json").read_text()) == {**limits, "OMP_NUM_THREADS": "1"}


def test_a_file_that_takes_too_long_is_given_up(ten_hours: Path) -> None:
    assert_is_given_up(ten_hours)


def test_an_interrupt_leaves_nothing_behind(ten_hours: Path) -> None:
    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            blocks_of(ten_hours, AudioConfig(track_max_s=TEN_HOURS_S))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("machine_without_ffmpeg")
def test_the_ffmpeg_of_imageio_works_where_the_system_has_none(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.flac", tone(7), 44_100)
    assert "imageio" in str(find_ffmpeg())
    assert_is_the_tone(decode_clip(tmp_path / "clip.flac", CONFIG), seconds=7.0)


@pytest.mark.usefixtures("machine_without_ffmpeg")
def test_time_is_limited_without_the_timeout_command(ten_hours: Path) -> None:
    assert_is_given_up(ten_hours)


@pytest.mark.usefixtures("machine_without_ffmpeg")
def test_no_ffmpeg_anywhere_is_an_operators_problem(
    encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode("clip.wav")
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises(FfmpegMissing):
        decode_clip(path, CONFIG)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(FfmpegMissing):
        decode_clip(path, CONFIG)


@pytest.mark.usefixtures("machine_without_ffmpeg")
def test_an_ffmpeg_that_does_not_start_is_an_operators_problem(
    encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode("clip.wav")
    find_ffmpeg.cache_clear()
    broken = tmp_path / "broken-ffmpeg"
    broken.touch(mode=0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(broken))
    with pytest.raises(FfmpegMissing, match="does not start"):
        decode_clip(path, CONFIG)
