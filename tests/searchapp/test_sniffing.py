"""Files are judged by their first bytes."""

from __future__ import annotations

import pytest

from searchapp.search.sniffing import is_audio_container
from tests.searchapp.makers import silence

AUDIO = {
    "wav": silence()[:64],
    "wav over 4 GB": b"RF64\xff\xff\xff\xffWAVEds64",
    "mp3": b"\xff\xfb\x90\x64" + bytes(60),
    "mp3 with tags": b"ID3\x04" + bytes(60),
    "m4a": b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00",
    "mp4 of a phone": b"\x00\x00\x00\x18ftypiso5\x00\x00\x00\x00",
    "webm": b"\x1a\x45\xdf\xa3" + bytes(60),
    "ogg": b"OggS" + bytes(60),
    "flac": b"fLaC" + bytes(60),
    "aac": b"\xff\xf1\x50\x80" + bytes(60),
}
OTHER = {
    "nothing": b"",
    "a little": b"\xff",
    "text": b"ffconcat version 1.0\n",
    "playlist": b"#EXTM3U\n",
    "html": b"<!DOCTYPE html>",
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(60),
    "utf-16 text": b"\xff\xfe<\x00s\x00",
    "png": b"\x89PNG\r\n\x1a\n",
    "avi": b"RIFF\x00\x00\x00\x00AVI LIST",
    "heic picture": b"\x00\x00\x00\x18ftypheic",
    "zip": b"PK\x03\x04",
    "ones": b"\xff" * 64,
}


@pytest.mark.parametrize("name", AUDIO)
def test_it_lets_through(name: str) -> None:
    assert is_audio_container(AUDIO[name])


@pytest.mark.parametrize("name", OTHER)
def test_it_refuses(name: str) -> None:
    assert not is_audio_container(OTHER[name])
