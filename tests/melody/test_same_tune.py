"""Which tunes are one: a shared run of intervals, in any key and rhythm."""

from __future__ import annotations

from melody.training.same_tune import INCIPIT_INTERVALS, LEAK_INTERVALS, leaks, variants
from melody.training.score import Note
from tests.melody.makers import faster, moved, random_tune

TUNE = random_tune(1)
OTHER = random_tune(2)


def joined(*parts: list[Note]) -> list[Note]:
    """One after another; only the order counts here."""
    return [note for part in parts for note in part]


def test_it_works() -> None:
    others = {"itself": TUNE, "higher": moved(TUNE, 5), "faster": faster(TUNE, 1.3), "another": OTHER}
    assert variants({"tune": TUNE}, others) == {"tune": ["faster", "higher", "itself"]}


def test_a_variant_may_hold_the_incipit_anywhere() -> None:
    late = joined(OTHER[:10], moved(TUNE[: INCIPIT_INTERVALS + 1], -3), OTHER[10:])
    assert variants({"tune": TUNE}, {"late": late}) == {"tune": ["late"]}


def test_less_than_the_incipit_is_no_variant_but_may_leak() -> None:
    most = joined(TUNE[:INCIPIT_INTERVALS], OTHER)
    assert variants({"tune": TUNE}, {"most": most}) == {"tune": []}
    assert leaks({"most": most, "another": OTHER[5:]}, {"tune": TUNE}) == {"most": ["tune"]}


def test_a_shorter_run_than_ten_notes_does_not_leak() -> None:
    assert leaks({"few": joined(TUNE[:LEAK_INTERVALS], random_tune(3))}, {"tune": TUNE}) == {}


def test_a_trill_says_nothing() -> None:
    trill = [Note(0.2 * n, 0.2 * n + 0.2, 60 + n % 2) for n in range(20)]
    assert leaks({"trill": trill}, {"measured": trill}) == {}
    assert variants({"trill": trill}, {"other": trill}) == {"trill": []}


def test_a_tune_shorter_than_a_run_has_none() -> None:
    assert variants({"tiny": TUNE[:3]}, {"tune": TUNE}) == {"tiny": []}
    assert leaks({"tiny": TUNE[:3]}, {"tune": TUNE}) == {}
