"""The plain design that the engine is measured against."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.baseline import (
    DIMENSIONS,
    SAMPLE_RATE_HZ,
    Baseline,
    TrackFeatures,
    alignment_cost,
    centre,
    cut_contours,
    cut_segments,
    embed,
    read_semitones,
)
from melody.training.rendering import SAMPLE_RATE_HZ as LIBRARY_RATE_HZ
from melody.training.rendering import render_notes
from melody.training.score import Note
from melody.types import Floats

NOTE_S = 0.5
TUNES = {
    "rising": [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79, 81, 83, 84, 86] * 2,
    "waves": [60, 67, 60, 67, 65, 72, 65, 72, 62, 69, 62, 69, 60, 67, 60, 67] * 2,
    "falling": [84, 83, 81, 79, 77, 76, 74, 72, 71, 69, 67, 65, 64, 62, 60, 59] * 2,
    "short": [64, 62, 60, 62, 64, 64, 64, 62],
}


def play(pitches: list[int], program: int) -> Floats:
    """Audio (n,) at `LIBRARY_RATE_HZ` of a tune in equal notes."""
    return render_notes([Note(i * NOTE_S, (i + 1) * NOTE_S, pitch) for i, pitch in enumerate(pitches)], program)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("library")
    files = []
    for program, (name, pitches) in zip((0, 40, 73, 24), TUNES.items(), strict=True):
        files.append(folder / f"{name}.flac")
        soundfile.write(files[-1], play(pitches, program), LIBRARY_RATE_HZ)
    return files


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def baseline(library: list[Path], cache: Path) -> Baseline:
    return Baseline.build(library, cache, workers=1)


@pytest.mark.parametrize("name", TUNES)
def test_it_finds_an_identical_recording_first(baseline: Baseline, library: list[Path], name: str) -> None:
    ranking = baseline.rank(next(path for path in library if path.stem == name))

    assert ranking.tracks[0] == name
    assert ranking.first_stage[0] == name
    assert sorted(ranking.first_stage) == sorted(TUNES)
    assert ranking.seconds > 0


def test_it_finds_a_tune_in_another_key_and_tempo(baseline: Baseline, tmp_path: Path) -> None:
    notes = [Note(i * 0.45, (i + 1) * 0.45, pitch - 5) for i, pitch in enumerate(TUNES["falling"][:16])]
    soundfile.write(tmp_path / "clip.wav", render_notes(notes, 73), LIBRARY_RATE_HZ)

    assert baseline.rank(tmp_path / "clip.wav").tracks[0] == "falling"


def test_it_ranks_the_same_way_twice(baseline: Baseline, library: list[Path], cache: Path) -> None:
    again = Baseline.build(library, cache, workers=1)

    first, second = baseline.rank(library[0]), again.rank(library[0])
    assert (second.tracks, second.first_stage) == (first.tracks, first.first_stage)


def test_it_answers_a_silent_clip(baseline: Baseline, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(8 * 8000), 8000)

    assert sorted(baseline.rank(tmp_path / "silence.wav").tracks) == sorted(TUNES)


@pytest.mark.usefixtures("baseline")
def test_it_reuses_the_cache(library: list[Path], cache: Path, tmp_path: Path) -> None:
    written = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    moved = [Path(shutil.copy(path, tmp_path)) for path in library]

    Baseline.build(moved, cache, workers=1)

    assert len(written) == len(TUNES)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == written


def test_it_computes_what_the_cache_lacks(baseline: Baseline, library: list[Path], cache: Path, tmp_path: Path) -> None:
    partial = Path(shutil.copytree(cache, tmp_path / "cache"))
    (lost,) = partial.glob("waves-*.npz")
    lost.unlink()
    kept = {path: path.stat().st_mtime_ns for path in partial.iterdir()}

    rebuilt = Baseline.build(library, partial, workers=1)

    assert lost.exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert all(np.array_equal(a, b) for a, b in zip(rebuilt.contours, baseline.contours, strict=True))


def test_its_pitch_is_right_on_a_tone() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ).astype(np.float32)

    semitones = read_semitones(tone)

    assert len(semitones) == 21
    assert np.allclose(semitones[2:-2], 69, atol=0.2)


def test_its_segments_cover_the_whole_track() -> None:
    track = np.ones(int(17.2 * SAMPLE_RATE_HZ), dtype=np.float32)

    segments = cut_segments(track)

    assert segments.shape == (3, 10 * SAMPLE_RATE_HZ)
    assert np.count_nonzero(segments[2]) == int(7.2 * SAMPLE_RATE_HZ)
    assert len(cut_segments(track[:100])) == 1


def test_its_embeddings_are_unit_vectors_that_do_not_depend_on_the_batch() -> None:
    segments = np.random.default_rng(0).normal(size=(3, 10 * SAMPLE_RATE_HZ)).astype(np.float32)

    vectors = embed(segments)

    assert vectors.shape == (3, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(embed(segments[1:2]), vectors[1:2], atol=1e-5)


def test_its_contours_forget_the_key_and_hold_through_rests() -> None:
    sung = np.array([np.nan, 60, 62, np.nan, 64], dtype=np.float32)

    assert centre(sung).tolist() == [-2, -2, 0, 0, 2]
    assert np.array_equal(centre(sung + 7), centre(sung))
    assert len(centre(np.full(5, np.nan, dtype=np.float32))) == 0


def test_its_contours_are_as_many_as_its_embeddings_and_of_one_length() -> None:
    features = TrackFeatures(np.zeros((3, DIMENSIONS), np.float32), np.full(172, 60, np.float32))

    assert [len(contour) for contour in cut_contours(features)] == [100, 100, 100]


def test_its_alignment_costs_nothing_within_the_same_melody_and_all_where_nothing_is_voiced() -> None:
    segment = np.repeat(np.array([0, 2, 4, 5, 7, 5, 4, 2, 0, -1], dtype=np.float32), 10)

    assert alignment_cost(segment[10:90], segment) == 0
    assert alignment_cost(segment[10:90] * -1, segment) > 1
    assert alignment_cost(segment[:0], segment) == float("inf")
