"""Scores into audio: what is measured and fitted on is always *audio*, as a user's library is.

Rendering is simulated music (a General MIDI soundfont), and the reports call it so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from melody.training.score import Note, read_notes

SAMPLE_RATE_HZ = 22050
RELEASE_S = 0.5
# General MIDI programs (0-based) that can carry a tune: keys, mallets, plucked, bowed, voices, brass, reeds, pipes.
LEADS = (0, 4, 11, 21, 22, 24, 25, 40, 41, 42, 48, 52, 53, 56, 60, 65, 66, 68, 71, 73, 75, 79, 80)


def draw_lead(name: str, seed: int) -> int:
    """The program that plays the track `name`: drawn by seed, the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return LEADS[int.from_bytes(digest[:4], "big") % len(LEADS)]


@cache
def _soundfont() -> bytes:
    import pretty_midi

    return (Path(pretty_midi.__file__).parent / "TimGM6mb.sf2").read_bytes()


def render_notes(notes: Sequence[Note], program: int) -> npt.NDArray[np.float32]:
    """Mono audio (n,) at `SAMPLE_RATE_HZ`, peak at -3 dB, of notes played by one General MIDI program."""
    import tinysoundfont

    synth = tinysoundfont.Synth(gain=-6, samplerate=SAMPLE_RATE_HZ)
    synth.program_select(0, synth.sfload(_soundfont()), 0, program)
    # Offs come before ons at the same instant, so that a repeated note sounds twice.
    events = sorted([(n.start_s, 1, n) for n in notes] + [(n.end_s, 0, n) for n in notes], key=lambda e: e[:2])
    blocks: list[npt.NDArray[np.float32]] = []
    done = 0

    def play_until(time_s: float) -> int:
        samples = round(time_s * SAMPLE_RATE_HZ) - done
        if samples > 0:
            block = np.frombuffer(bytes(synth.generate_simple(samples)), dtype=np.float32)
            blocks.append(block.reshape(-1, 2).mean(axis=1))
        return done + max(samples, 0)

    for time_s, is_on, note in events:
        done = play_until(time_s)
        if is_on:
            synth.noteon(0, note.pitch, note.velocity)
        else:
            synth.noteoff(0, note.pitch)
    play_until(events[-1][0] + RELEASE_S)
    audio = np.concatenate(blocks)
    return np.asarray(audio * (0.7 / max(float(np.abs(audio).max()), 1e-6)), dtype=np.float32)


def _render_file(job: tuple[Path, Path, int]) -> None:
    source, target, seed = job
    audio = render_notes(read_notes(source), draw_lead(source.stem, seed))
    partial = target.with_suffix(".part")
    soundfile.write(partial, audio, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    partial.replace(target)


def render_library(scores: Sequence[Path], folder: Path, *, seed: int, workers: int) -> int:
    """Render each MIDI file to `folder/<stem>.flac` unless it is there; returns how many were rendered."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(score, folder / f"{score.stem}.flac", seed) for score in scores]
    jobs = [job for job in jobs if not job[1].exists()]
    with get_context("spawn").Pool(workers) as pool:
        for _ in pool.imap_unordered(_render_file, jobs, chunksize=8):
            pass
    return len(jobs)
