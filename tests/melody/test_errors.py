"""Errors: whose problem it is, in words for people and codes for programs."""

from __future__ import annotations

import pickle

import pytest

from melody import errors
from melody.errors import BadClip, EngineNotReady, IndexMissing, MelodyError, NoMelody, NotAudio, TooShort

# Clients read these: a change here is a change of the API.
CODES = {
    BadClip: {"not_audio", "too_short", "no_melody"},
    EngineNotReady: {"index_missing", "index_mismatch", "ffmpeg_missing", "build_running", "library_missing"},
}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MelodyError)]


def test_it_works() -> None:
    error = NoMelody("Only 0.3 s of a tune can be heard.")
    assert str(error) == error.message == "Only 0.3 s of a tune can be heard."
    assert error.as_json() == {"code": "no_melody", "message": error.message, "hint": NoMelody.hint}


@pytest.mark.parametrize("family", CODES, ids=lambda family: family.__name__)
def test_each_error_is_the_persons_problem_or_the_operators(family: type[MelodyError]) -> None:
    assert {kind.code for kind in family.__subclasses__()} == CODES[family]
    assert all(kind.hint for kind in family.__subclasses__())


def test_codes_are_unique() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_a_hint_of_its_own_replaces_the_usual_one() -> None:
    assert TooShort("2 s.", hint="Hold on.").as_json()["hint"] == "Hold on."
    assert TooShort("2 s.").hint == TooShort.hint


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_survives_the_way_back_from_another_process(kind: type[MelodyError]) -> None:
    back = pickle.loads(pickle.dumps(kind("What happened.", hint="What to do.")))
    assert type(back) is kind
    assert back.as_json() == {"code": kind.code, "message": "What happened.", "hint": "What to do."}


def test_a_bad_clip_is_not_the_operators_problem() -> None:
    assert not issubclass(NotAudio, EngineNotReady)
    assert not issubclass(IndexMissing, BadClip)
