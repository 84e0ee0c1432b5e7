"""Folders and indexes for the tests of the service."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from searchapp import engine
from searchapp.library.services import lead_rows
from tests.melody.makers import put, put_played, random_tune, sing
from tests.searchapp.makers import publish, track_entry


@pytest.fixture(autouse=True)
def folders(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a data folder of its own."""
    settings.DATA_DIR = tmp_path
    for name in ("library", "index", "features", "clips"):
        setattr(settings, f"{name.upper()}_DIR", tmp_path / name)
    settings.LIBRARY_DIR.mkdir()
    monkeypatch.setattr(engine, "_opened", None)
    return tmp_path


@pytest.fixture
def index(folders: Path) -> str:
    """Two tracks, as far as the web process looks at an index."""
    return publish([track_entry(1), track_entry(2)])


@pytest.fixture
def tracks(index: str, db: None) -> None:
    """The rows of that index."""
    lead_rows(index)


@pytest.fixture(scope="session")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a library of three tunes and a hum of the second."""
    folder = tmp_path_factory.mktemp("tunes")
    (folder / "library").mkdir()
    for seed in range(3):
        put_played(folder / "library" / f"tune {seed}.wav", random_tune(seed, 14), 0)
    put(folder / "hum.wav", sing(random_tune(1, 14), start_s=2, seconds=8))
    return folder
