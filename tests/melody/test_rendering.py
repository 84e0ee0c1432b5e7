"""Rendering: the soundfont plays the score's notes when and as high as they are written."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from melody.config import PitchConfig
from melody.pitch import track_melody
from melody.training.rendering import LEADS, RELEASE_S, SAMPLE_RATE_HZ, draw_lead, render_library, render_notes
from melody.training.score import Note, read_notes
from melody.types import Waveform

NOTES = [Note(0.0, 0.8, 60), Note(0.8, 1.6, 67), Note(1.6, 2.4, 67), Note(2.4, 3.2, 64)]


def put_midi(path: Path, pitches: list[int]) -> Path:
    """A MIDI file of half-second notes, written by hand: 480 ticks a beat at the standard 120 beats a minute."""
    events = b"".join(bytes([0, 0x90, pitch, 100, 0x83, 0x60, 0x80, pitch, 0]) for pitch in pitches)
    track = events + b"\x00\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480)
    path.write_bytes(header + b"MTrk" + struct.pack(">I", len(track)) + track)
    return path


@pytest.mark.parametrize("program", [0, 40, 73])
def test_it_works(program: int) -> None:
    audio = render_notes(NOTES, program)
    assert audio.dtype == np.float32
    assert len(audio) == round((NOTES[-1].end_s + RELEASE_S) * SAMPLE_RATE_HZ)
    assert np.abs(audio).max() == pytest.approx(0.7, abs=0.01)
    at = np.arange(round(len(audio) / SAMPLE_RATE_HZ * 16_000)) / 16_000
    samples = np.interp(at, np.arange(len(audio)) / SAMPLE_RATE_HZ, audio).astype(np.float32)
    heard = track_melody(Waveform(samples, 16_000), PitchConfig())
    for note in NOTES:
        middle = heard.hz[round((note.start_s + 0.2) / heard.hop_s) : round((note.end_s - 0.2) / heard.hop_s)]
        assert 69 + 12 * np.log2(np.median(middle) / 440) == pytest.approx(note.pitch, abs=0.3)


def test_the_same_notes_sound_the_same_each_time() -> None:
    assert np.array_equal(render_notes(NOTES, 73), render_notes(NOTES, 73))


def test_a_tracks_instrument_is_drawn_by_its_name_and_the_seed() -> None:
    names = [f"tune_{number}" for number in range(200)]
    drawn = [draw_lead(name, 1) for name in names]
    assert drawn == [draw_lead(name, 1) for name in names]
    assert drawn != [draw_lead(name, 2) for name in names]
    assert set(drawn) == set(LEADS)


def test_notes_are_read_from_a_midi_file(tmp_path: Path) -> None:
    notes = read_notes(put_midi(tmp_path / "tune.mid", [60, 62, 64]))
    assert [note.pitch for note in notes] == [60, 62, 64]
    assert [note.start_s for note in notes] == pytest.approx([0.0, 0.5, 1.0])
    assert [note.end_s for note in notes] == pytest.approx([0.5, 1.0, 1.5])


def test_a_library_is_rendered_once(tmp_path: Path) -> None:
    scores = [put_midi(tmp_path / f"tune_{number}.mid", [60, 64, 67 + number]) for number in range(2)]
    assert render_library(scores, tmp_path / "audio", seed=1, workers=1) == 2
    assert {soundfile.info(path).duration for path in (tmp_path / "audio").glob("*.flac")} == {1.5 + RELEASE_S}
    assert render_library(scores, tmp_path / "audio", seed=1, workers=1) == 0
    assert sorted(path.name for path in (tmp_path / "audio").iterdir()) == ["tune_0.flac", "tune_1.flac"]
