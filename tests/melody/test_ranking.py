"""Ranking: windows that vote along one line of tempo, a budget for the scan, and how sure an answer is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from melody.config import RankingConfig
from melody.ranking import SIGNALS, match_type, pair_signals, probability, rank, shortlist, vote
from melody.types import Alignment, Contour, Floats, MatchType, Mode, Neighbours, Windows

CONFIG = RankingConfig()
STARTS = (0.0, 1.0, 2.0, 3.0)


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


def windows(starts: tuple[float, ...] = STARTS, tempo: float = 1.0) -> Windows:
    count = len(starts)
    return Windows(np.zeros((count, 20), np.float32), floats(*starts), np.full(count, tempo, np.float32))


def neighbours(rows: list[list[tuple[float, int, float]]]) -> Neighbours:
    """For each window its neighbours as (score, track, start)."""
    table = np.array(rows, dtype=np.float32).reshape(len(rows), -1, 3)
    return Neighbours(table[:, :, 0], table[:, :, 1].astype(np.int32), table[:, :, 2])


def an_alignment(track: int, distance: float, tempo_ratio: float = 1.0) -> Alignment:
    frames = np.arange(10, dtype=np.int32)
    return Alignment(track, 0.0, 10.0, 0.0, tempo_ratio, distance, frames, frames)


def a_clip(seconds: float = 10.0, spread: float = 3.0) -> Contour:
    count = round(seconds / 0.05)
    semitones = np.where(np.arange(count) % 2, 60 - spread, 60 + spread).astype(np.float32)
    return Contour(semitones, np.ones(count, np.bool_), 0.05)


def signals_of(distances: list[float], config: RankingConfig = CONFIG) -> Floats:
    return pair_signals(a_clip(), [an_alignment(number, each) for number, each in enumerate(distances)], config)


def test_it_works() -> None:
    # Track 1 goes along with the clip from its fifth second; tracks 0 and 2 are near here and there.
    rows = [[(0.9, 1, 5.0 + at), (0.9, 0, 11.0 * at), (0.9, 2, 30 - 7 * at), (0.4, 3, 0.0)] for at in STARTS]
    votes = vote(windows(), neighbours(rows), 4, CONFIG)
    assert votes.argmax() == 1
    assert votes[1] > 2 * max(votes[0], votes[2])
    assert votes[3] == 0
    matches = rank(a_clip(), [an_alignment(0, 1.4), an_alignment(1, 0.2)], votes, Mode.HUM, CONFIG)
    assert [match.track for match in matches] == [1, 0]
    assert matches[0].vote == pytest.approx(votes[1])


@pytest.mark.parametrize("tempo", [0.7, 1.4])
def test_votes_meet_on_the_line_of_the_clips_own_tempo(tempo: float) -> None:
    along = [[(0.9, 0, 8.0 + tempo * at), (0.9, 1, 8.0 + at), (0.5, 2, 0.0)] for at in STARTS]
    votes = vote(windows(tempo=tempo), neighbours(along), 3, CONFIG)
    assert votes[0] > 1.3 * votes[1] > 0


def test_a_vote_is_the_score_above_the_faintest_neighbour() -> None:
    votes = vote(windows((0.0,)), neighbours([[(0.9, 0, 3.0), (0.7, 1, 3.0), (0.6, 2, 3.0)]]), 3, CONFIG)
    assert votes == pytest.approx([0.3, 0.1, 0.0], abs=1e-6)


def test_votes_for_the_bin_beside_count_half() -> None:
    rows = [[(0.9, 0, at + 0.5 * (at > 1)), (0.5, 1, 9.0)] for at in STARTS]
    votes = vote(windows(), neighbours(rows), 2, CONFIG)
    assert votes[0] == pytest.approx((2 * 0.4 + 0.5 * 2 * 0.4) / 4, abs=1e-6)


def test_twins_count_once() -> None:
    # The same window with its centre moved, and its neighbours a few hundredths apart in one bin.
    once = vote(windows((0.0,)), neighbours([[(0.9, 0, 3.0), (0.5, 1, 1.0)]]), 2, CONFIG)
    twins = windows((0.0, 0.0, 0.0))
    rows = [[(score, 0, 3.0), (0.8, 0, 3.1), (0.5, 1, 1.0)] for score in (0.7, 0.9, 0.8)]
    assert vote(twins, neighbours(rows), 2, CONFIG)[0] == pytest.approx(once[0])


def test_no_neighbours_give_no_votes() -> None:
    nobody = Neighbours(
        np.full((4, 5), -np.inf, np.float32), np.full((4, 5), -1, np.int32), np.zeros((4, 5), np.float32)
    )
    assert vote(windows(), nobody, 3, CONFIG).tolist() == [0, 0, 0]
    assert vote(windows(), nobody, 0, CONFIG).tolist() == []


def test_fewer_neighbours_than_asked_for_are_enough() -> None:
    few = neighbours([[(0.9, 0, at), (0.5, 1, 9.0), (-np.inf, -1, 0.0)] for at in STARTS])
    votes = vote(windows(), few, 2, CONFIG)
    assert np.isfinite(votes).all()
    assert votes[0] == pytest.approx(0.4, abs=1e-6)


def test_the_shortlist_takes_the_most_voted_that_fit_into_the_budget() -> None:
    config = replace(CONFIG, scan_budget_s=250.0, align_tracks=1)
    votes = floats(0.1, 0.9, 0.0, 0.5)
    assert shortlist(votes, np.full(4, 100, np.float32), config).tolist() == [1, 3]
    assert shortlist(votes, np.full(4, 10, np.float32), config).tolist() == [1, 3, 0, 2]


def test_the_shortlist_is_never_shorter_than_what_is_aligned() -> None:
    config = replace(CONFIG, scan_budget_s=10.0, align_tracks=2)
    assert shortlist(floats(0, 1, 2), np.full(3, 1000, np.float32), config).tolist() == [2, 1]
    assert shortlist(np.zeros(0, np.float32), np.zeros(0, np.float32), config).tolist() == []


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (1.0, MatchType.VERY_CLOSE),
        (0.85, MatchType.VERY_CLOSE),
        (0.8451, MatchType.VERY_CLOSE),
        (0.8449, MatchType.SIMILAR),
        (0.84, MatchType.SIMILAR),
        (0.70, MatchType.SIMILAR),
        (0.6951, MatchType.SIMILAR),
        (0.6949, MatchType.LOOSE),
        (0.55, MatchType.LOOSE),
        (0.5451, MatchType.LOOSE),
        (0.5449, MatchType.MAYBE),
        (0.0, MatchType.MAYBE),
    ],
)
def test_the_word_is_that_of_the_rounded_per_cent_beside_it(confidence: float, expected: MatchType) -> None:
    assert match_type(confidence, CONFIG) is expected


def test_probability_is_a_logistic_of_the_signals() -> None:
    weights = floats(2, 1, 0, -1, 0.5)
    assert probability(np.zeros((1, 4), np.float32), weights) == pytest.approx([1 / (1 + np.exp(-0.5))])
    nearer = np.zeros((9, 4), np.float32)
    nearer[:, 0] = np.linspace(-2, 2, 9)
    rising = probability(nearer, weights)
    assert (np.diff(rising) > 0).all()
    assert ((rising > 0) & (rising < 1)).all()


def test_the_signals_of_a_pair_are_what_their_names_say() -> None:
    clip = replace(a_clip(10.0), voiced=np.arange(200) < 100)
    found = pair_signals(clip, [an_alignment(0, 0.5), an_alignment(1, 0.9, tempo_ratio=0.5)], CONFIG)
    assert found.shape == (2, len(SIGNALS))
    by_name = dict(zip(SIGNALS, found.T, strict=True))
    assert by_name["below_crowd"] == pytest.approx(np.log(CONFIG.crowd_prior / np.array([0.5, 0.9])), abs=1e-6)
    assert by_name["voiced"] == pytest.approx(np.log([5.0, 5.0]))
    assert by_name["spread"] == pytest.approx([3.0, 3.0])
    assert by_name["stretch"] == pytest.approx([0.0, 1.0])


def test_nothing_aligned_is_no_trouble() -> None:
    assert pair_signals(a_clip(), [], CONFIG).shape == (0, len(SIGNALS))
    assert rank(a_clip(), [], np.zeros(0, np.float32), Mode.HUM, CONFIG) == []


def crowd_of(distances: list[float]) -> float:
    """The crowd that the first of these distances was measured against."""
    return float(np.exp(signals_of(distances)[0, 0]) * distances[0])


def test_the_crowd_is_the_tracks_past_the_first_few() -> None:
    near = [0.1] * CONFIG.crowd_skip
    low, high = (crowd_of([*near, *[crowd] * 90]) for crowd in (0.8, 1.6))
    assert high - low == pytest.approx(0.8 * 90 / (90 + CONFIG.crowd_prior_tracks), abs=1e-5)
    # Ten versions of the tune are not its crowd.
    assert crowd_of([0.1, *[1.4] * 99]) == pytest.approx(crowd_of([*near, *[1.4] * 90]))


def test_the_crowd_of_a_small_library_leans_on_what_is_usual() -> None:
    assert crowd_of([0.3, 2.5]) == pytest.approx(CONFIG.crowd_prior)
    share = 1 / (1 + CONFIG.crowd_prior_tracks)
    one_more = crowd_of([0.3, *[2.0] * CONFIG.crowd_skip])
    assert one_more == pytest.approx((1 - share) * CONFIG.crowd_prior + share * 2.0, abs=1e-5)


def test_an_identical_track_is_not_endlessly_nearer_than_the_crowd() -> None:
    assert signals_of([0.0])[0, 0] == signals_of([0.01])[0, 0]


@pytest.mark.parametrize("mode", list(Mode))
def test_the_surest_comes_first_and_confidence_falls_with_distance(mode: Mode) -> None:
    distances = [0.9, 0.2, 1.3, 0.5, *[1.4] * 40]
    alignments = [an_alignment(number, each) for number, each in enumerate(distances)]
    matches = rank(a_clip(), alignments, np.zeros(len(distances), np.float32), mode, CONFIG)
    assert [match.track for match in matches[:4]] == [1, 3, 0, 2]
    confidences = [match.confidence for match in matches]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] > confidences[2]
    assert all(match.match_type is match_type(match.confidence, CONFIG) for match in matches)
