"""What the web process reads of an index, with the standard library alone."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from melody.errors import IndexMismatch
from searchapp import engine
from tests.searchapp.makers import publish, track_entry


def test_without_an_index_there_are_no_facts() -> None:
    assert engine.current_version() is None
    assert engine.current_index() is None


def test_facts_and_tracks_are_those_of_the_current_version(index: str) -> None:
    facts = engine.current_index()
    assert facts is not None
    assert (facts.version, facts.tracks, facts.segments, facts.dimension) == (index, 2, 8, 320)
    assert [track.id for track in engine.indexed_tracks(index)] == ["track_1", "track_2"]


def test_a_replaced_version_is_seen_at_the_next_look(index: str) -> None:
    newer = publish([track_entry(5)], "20270101T000000000000Z-abcdef")
    facts = engine.current_index()
    assert facts is not None
    assert facts.version == newer


@pytest.mark.parametrize("content", ["", "[]", '{"version": "x"}', None])
def test_a_damaged_version_is_said(index: str, settings: Settings, content: str | None) -> None:
    manifest = settings.INDEX_DIR / index / "manifest.json"
    manifest.unlink() if content is None else manifest.write_text(content)
    with pytest.raises(IndexMismatch):
        engine.current_index()


def test_damaged_tracks_are_said(index: str, settings: Settings) -> None:
    (settings.INDEX_DIR / index / "tracks.json").write_text('{"tracks": [{"id": 1}]}')
    with pytest.raises(IndexMismatch):
        engine.indexed_tracks(index)
