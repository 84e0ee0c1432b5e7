"""The library that the end-to-end tests search: thirty random tunes, each played by another instrument. Simulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from melody.build import build
from melody.config import Config
from melody.search import Library, open_library
from melody.training.rendering import LEADS
from tests.melody.makers import put_played, random_tune

TUNES = 30


@pytest.fixture(scope="session")
def thirty_tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `library` and its `index`, made once; tests only read it. Track n is `random_tune(n)` at first."""
    home = tmp_path_factory.mktemp("thirty_tunes")
    (home / "library").mkdir()
    for number in range(TUNES):
        path = home / "library" / f"tune_{number:02d}.wav"
        put_played(path, random_tune(number, 15 + number % 10), LEADS[number % len(LEADS)])
    report = build(home / "library", home / "index", Config(), workers=2)
    assert (report.tracks, report.failures) == (TUNES, ())
    return home


@pytest.fixture(scope="session")
def thirty_library(thirty_tunes: Path) -> Library:
    return open_library(thirty_tunes / "index", Config())
