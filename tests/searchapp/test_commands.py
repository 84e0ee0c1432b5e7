"""manage.py: build_index, search and create_api_key, with the real engine on a tiny library."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from searchapp import engine
from searchapp.library.models import IndexBuild, Segment, Track
from searchapp.library.services import find_api_key
from searchapp.management.commands import work
from tests.searchapp.makers import silence

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(settings: Settings, tunes: Path) -> Path:
    """The tiny library; its index is built once and shared, since both stay as they are."""
    settings.LIBRARY_DIR = tunes / "library"
    settings.INDEX_DIR = tunes / "index"
    settings.FEATURES_DIR = tunes / "features"
    settings.BUILD_PROCESSES = 2
    return tunes


def told(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_library_is_built_and_searched(library: Path) -> None:
    summary = json.loads(told("build_index"))
    assert summary["tracks"] == 3
    assert summary["failures"] == []
    assert set(Track.objects.values_list("id", flat=True)) == {"tune_0", "tune_1", "tune_2"}
    facts = engine.current_index()
    assert facts is not None
    assert facts.segments == Segment.objects.count()
    assert IndexBuild.objects.get().version == facts.version

    work.warm_up()
    answer = json.loads(told("search", str(library / "hum.wav"), "--mode", "hum", "--top-k", "2"))
    assert answer["results"][0]["trackId"] == "tune_1"
    assert len(answer["results"]) <= 2
    assert answer["query"]["durationSec"] == pytest.approx(8.0, abs=0.2)


def test_an_index_elsewhere_leaves_the_server_s_rows_alone(tmp_path: Path) -> None:
    told("build_index", "--out", str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "CURRENT").exists()
    assert not IndexBuild.objects.exists()


def test_what_the_engine_refuses_is_said_in_words(tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(silence())
    with pytest.raises(CommandError, match="Library index not built"):
        told("search", str(clip))
    with pytest.raises(CommandError, match="no file"):
        told("search", str(tmp_path / "none.wav"))
    with pytest.raises(CommandError, match="no folder"):
        told("build_index", "--library", str(tmp_path / "none"))


def test_warming_up_without_an_index_stops_no_worker() -> None:
    work.warm_up()


def test_a_new_key_opens_the_door() -> None:
    assert find_api_key(told("create_api_key", "a program").strip()) is not None


def test_the_contract_is_written_as_it_stands_in_the_repository(tmp_path: Path) -> None:
    call_command("export_openapi", "--out", str(tmp_path / "openapi.json"))
    assert (tmp_path / "openapi.json").read_text() == (Path(__file__).parents[2] / "docs" / "openapi.json").read_text()
