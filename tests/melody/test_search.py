"""Search from end to end: audio in, the right tune first, where it was sung, and how.

Every tune, singer and noise here is simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from melody.build import build
from melody.config import Config
from melody.errors import IndexMissing, NoMelody
from melody.results import query_json, results_json
from melody.search import Answer, Library, open_library, search
from melody.training.rendering import SAMPLE_RATE_HZ, render_notes
from melody.training.score import Note
from melody.training.singer import Singer, telephone
from melody.types import Floats, Match, MatchType, Mode
from melody.warmup import warm_up
from tests.melody.makers import (
    GOOD_SINGER,
    RATE_HZ,
    drums,
    faster,
    moved,
    put,
    put_played,
    random_tune,
    sing,
    whistler,
)

CONFIG = Config()
SURE = {MatchType.VERY_CLOSE, MatchType.SIMILAR}
SUNG_TUNES = (2, 11, 28)


def tune_of(number: int) -> list[Note]:
    """The notes of track `number` of `thirty_library`."""
    return random_tune(number, 15 + number % 10)


@pytest.fixture
def ask(thirty_library: Library, tmp_path: Path) -> Asker:
    return Asker(thirty_library, tmp_path / "clip.wav")


class Asker:
    """Puts samples into a file and searches with it."""

    def __init__(self, library: Library, path: Path) -> None:
        self._library, self._path = library, path

    def __call__(self, samples: Floats, mode: Mode = Mode.HUM, *, rate_hz: int = RATE_HZ) -> Answer:
        return search(put(self._path, samples, rate_hz), self._library, CONFIG, mode=mode)

    def words(self, samples: Floats, mode: Mode) -> set[MatchType]:
        """What is said of the matches; nothing where there is no melody."""
        try:
            return {match.match_type for match in self(samples, mode).matches}
        except NoMelody:
            return set()


def first(answer: Answer, library: Library) -> tuple[str, Match]:
    return library.index.tracks[answer.matches[0].track].id, answer.matches[0]


def octave_free(semitones: float) -> float:
    return (semitones + 6) % 12 - 6


def test_it_works(ask: Asker, thirty_library: Library) -> None:
    answer = ask(sing(tune_of(7)))
    track, match = first(answer, thirty_library)
    assert track == "tune_07"
    assert match.alignment.start_s == pytest.approx(0, abs=1)
    assert match.alignment.end_s == pytest.approx(10, abs=1)
    assert match.confidence == max(each.confidence for each in answer.matches)
    assert len(answer.matches) == len({each.track for each in answer.matches}) == 30
    assert match.alignment.distance < answer.matches[1].alignment.distance
    assert answer.query.duration_s == pytest.approx(10, abs=0.05)
    assert 7 < answer.query.voiced_s <= 10
    assert not answer.query.truncated
    assert answer.votes.argmax() == match.track
    assert answer.places[0].track == match.track


SINGERS = {
    "as it is": GOOD_SINGER,
    "an octave lower": replace(GOOD_SINGER, transpose_semitones=-12),
    "five semitones higher": replace(GOOD_SINGER, transpose_semitones=5),
    "between two keys": replace(GOOD_SINGER, transpose_semitones=-3.5),
    "slowly": replace(GOOD_SINGER, tempo=0.7),
    "fast": replace(GOOD_SINGER, tempo=1.4),
    "note by note": replace(GOOD_SINGER, sounding_fraction=0.6),
    "all of that": replace(GOOD_SINGER, transpose_semitones=-8, tempo=1.25, sounding_fraction=0.7),
}


@pytest.mark.parametrize("manner", SINGERS)
@pytest.mark.parametrize("number", SUNG_TUNES)
def test_a_tune_is_found_however_it_is_hummed(manner: str, number: int, ask: Asker, thirty_library: Library) -> None:
    singer = SINGERS[manner]
    track, match = first(ask(sing(tune_of(number), singer, seed=number)), thirty_library)
    assert track == f"tune_{number:02d}"
    assert match.alignment.start_s == pytest.approx(0, abs=1)
    assert match.alignment.transpose_semitones == pytest.approx(singer.transpose_semitones, abs=0.5)
    assert match.alignment.tempo_ratio == pytest.approx(singer.tempo, rel=0.1)


@pytest.mark.parametrize("number", SUNG_TUNES)
def test_a_tune_is_found_whistled_in_any_octave(number: int, ask: Asker, thirty_library: Library) -> None:
    singer = replace(whistler(), transpose_semitones=3)
    track, match = first(ask(sing(tune_of(number), singer, seed=number)), thirty_library)
    assert track == f"tune_{number:02d}"
    assert match.alignment.start_s == pytest.approx(0, abs=1)
    assert octave_free(match.alignment.transpose_semitones - 3) == pytest.approx(0, abs=0.5)
    assert match.alignment.transpose_semitones > 3


@pytest.mark.parametrize("number", SUNG_TUNES)
def test_a_tune_is_found_from_its_middle(number: int, ask: Asker, thirty_library: Library) -> None:
    start_s = tune_of(number)[12].start_s
    track, match = first(ask(sing(tune_of(number), start_s=start_s, seconds=9, seed=number)), thirty_library)
    assert track == f"tune_{number:02d}"
    assert match.alignment.start_s == pytest.approx(start_s, abs=1)
    assert match.alignment.end_s == pytest.approx(start_s + 9, abs=1)


def test_a_tune_is_found_through_a_noisy_telephone(ask: Asker, thirty_library: Library) -> None:
    heard = telephone(sing(tune_of(5)), RATE_HZ, np.random.default_rng(0), snr_db=15, band_hz=(150, 3400))
    assert first(ask(heard), thirty_library)[0] == "tune_05"


@pytest.mark.parametrize("program", [40, 73, 24])
def test_a_piece_of_a_recording_is_found_on_another_instrument(
    program: int, ask: Asker, thirty_library: Library
) -> None:
    start_s = tune_of(18)[8].start_s
    part = [replace(n, start_s=n.start_s - start_s, end_s=n.end_s - start_s) for n in tune_of(18)[8:]]
    played = [note for note in faster(moved(part, 4), 1.15) if note.end_s < 9]
    answer = ask(render_notes(played, program), Mode.SONG_CLIP, rate_hz=SAMPLE_RATE_HZ)
    track, match = first(answer, thirty_library)
    assert track == "tune_18"
    assert match.alignment.start_s == pytest.approx(start_s, abs=1)
    assert octave_free(match.alignment.transpose_semitones - 4) == pytest.approx(0, abs=0.5)
    assert match.alignment.tempo_ratio == pytest.approx(1.15, rel=0.1)


def test_only_twenty_seconds_of_a_long_clip_are_heard_and_it_says_so(ask: Asker, thirty_library: Library) -> None:
    answer = ask(sing(tune_of(9), replace(GOOD_SINGER, tempo=0.8), seconds=26))
    assert answer.query.truncated
    assert answer.query.duration_s == pytest.approx(20, abs=0.01)
    assert first(answer, thirty_library)[0] == "tune_09"


def test_a_late_start_in_the_clip_is_told(ask: Asker) -> None:
    silence = np.zeros(2 * RATE_HZ, dtype=np.float32)
    answer = ask(np.concatenate([silence, sing(tune_of(3), seconds=8)]))
    assert answer.query.starts_at_s == pytest.approx(2, abs=0.2)
    assert answer.query.contour.voiced[0]
    assert answer.matches[0].alignment.start_s == pytest.approx(0, abs=1)


@pytest.mark.parametrize("mode", list(Mode))
def test_silence_holds_no_melody(mode: Mode, ask: Asker) -> None:
    with pytest.raises(NoMelody):
        ask(np.zeros(8 * RATE_HZ, dtype=np.float32), mode)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("seed", range(3))
def test_noise_and_drums_resemble_nothing(mode: Mode, seed: int, ask: Asker) -> None:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(8 * RATE_HZ).astype(np.float32)
    assert not ask.words(noise, mode) & SURE
    assert not ask.words(drums(8, seed), mode) & SURE


@pytest.mark.parametrize("mode", list(Mode))
def test_tunes_that_are_not_there_are_hardly_ever_called_close(mode: Mode, ask: Asker) -> None:
    sure = 0
    for seed in range(200, 210):
        singer = replace(GOOD_SINGER, transpose_semitones=seed % 5)
        sure += bool(ask.words(sing(random_tune(seed, 15), singer, seed=seed), mode) & SURE)
    assert sure <= 1


def test_at_most_as_many_as_asked_for_come_back(thirty_library: Library, tmp_path: Path) -> None:
    clip = put(tmp_path / "clip.wav", sing(tune_of(1)))
    matches = search(clip, thirty_library, CONFIG, mode=Mode.HUM, top_k=3).matches
    assert len(matches) == 3
    assert thirty_library.index.tracks[matches[0].track].id == "tune_01"


def test_the_time_of_each_stage_is_told(ask: Asker) -> None:
    samples = sing(tune_of(4))
    began = perf_counter()
    timings = ask(samples).timings_ms
    assert list(timings) == ["decode", "pitch", "embed", "nearest", "align", "rank", "total"]
    assert timings["total"] == pytest.approx(sum(timings.values()) - timings["total"])
    assert 0 < timings["total"] <= (perf_counter() - began) * 1000


def test_the_same_clip_gets_the_same_answer(ask: Asker) -> None:
    samples = sing(tune_of(6))
    once, again = (ask(samples).matches for _ in range(2))
    assert [(each.track, each.confidence) for each in once] == [(each.track, each.confidence) for each in again]


def test_the_answer_in_the_apis_words(ask: Asker, thirty_library: Library) -> None:
    answer = ask(sing(tune_of(12), Singer(transpose_semitones=-5)))
    best = results_json(answer, thirty_library)[0]
    assert best["trackId"] == "tune_12"
    assert best["title"] == "Tune 12"
    assert best["matchType"] in {"very_close", "similar"}
    assert 0 <= best["confidence"] <= 100
    assert isinstance(best["confidence"], int)
    assert best["transposeSemitones"] == pytest.approx(-5, abs=0.3)
    query = query_json(answer.query)
    curve = [value for value in query["contour"]["semitones"] if value is not None]
    assert len(query["contour"]["semitones"]) == pytest.approx(100, abs=3)
    # About the median of all frames; rests take their part in it.
    assert np.median(curve) == pytest.approx(0, abs=1)


def small_library(home: Path, tunes: Sequence[tuple[str, list[Note]]]) -> Library:
    (home / "library").mkdir(parents=True, exist_ok=True)
    for name, notes in tunes:
        put_played(home / "library" / f"{name}.wav", notes, 73)
    build(home / "library", home / "index", CONFIG, workers=1)
    return open_library(home / "index", CONFIG)


def test_an_empty_library_answers_nothing(tmp_path: Path) -> None:
    library = small_library(tmp_path, [])
    warm_up(library, CONFIG)
    answer = search(put(tmp_path / "clip.wav", sing(tune_of(1))), library, CONFIG, mode=Mode.HUM)
    assert answer.matches == []
    assert results_json(answer, library) == []
    assert query_json(answer.query)["voicedSec"] > 5


def test_no_index_is_the_operators_problem(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        open_library(tmp_path / "index", CONFIG)


def test_a_track_much_shorter_than_the_clip_is_passed_over(tmp_path: Path) -> None:
    library = small_library(tmp_path, [("jingle", random_tune(50, 3.5)), ("song", random_tune(51, 15))])
    clip = put(tmp_path / "clip.wav", sing(random_tune(51, 15)))
    matches = search(clip, library, CONFIG, mode=Mode.HUM).matches
    assert [library.index.tracks[match.track].id for match in matches] == ["song"]
    # Nor does it make strangers look close, as a distance beyond all others would.
    stranger = put(tmp_path / "stranger.wav", sing(random_tune(52, 15)))
    assert {match.match_type for match in search(stranger, library, CONFIG, mode=Mode.HUM).matches}.isdisjoint(SURE)


def test_an_open_library_still_answers_when_a_new_index_replaces_it(tmp_path: Path) -> None:
    old = small_library(tmp_path, [("stays", random_tune(60, 12)), ("goes", random_tune(61, 12))])
    (tmp_path / "library" / "goes.wav").unlink()
    build(tmp_path / "library", tmp_path / "index", CONFIG, workers=1)
    new = open_library(tmp_path / "index", CONFIG)
    assert new.index.version != old.index.version
    clip = put(tmp_path / "clip.wav", sing(random_tune(61, 12)))
    found = {library: search(clip, library, CONFIG, mode=Mode.HUM).matches for library in (old, new)}
    assert old.index.tracks[found[old][0].track].id == "goes"
    assert [new.index.tracks[match.track].id for match in found[new]] == ["stays"]
    assert found[new][0].match_type not in SURE
