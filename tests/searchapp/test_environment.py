"""Settings are read once from the environment, and a bad value stops the start."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from searchapp.environment import Environment, database, read_file

SETTINGS = Path(__file__).parents[2] / "searchapp" / "settings.py"
SECRET = "x7" * 30


def started(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


def test_it_works_without_any_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    found = started(monkeypatch)
    assert found["APP_PORT"] == 8000
    assert not found["DEBUG"]
    assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DEBUG": "true", "SECRET_KEY": SECRET, "ALLOWED_HOSTS": "a.example"}, "DEBUG"),
        ({"ALLOWED_HOSTS": "a.example"}, "SECRET_KEY"),
        ({"SECRET_KEY": "short", "ALLOWED_HOSTS": "a.example"}, "SECRET_KEY"),
        ({"SECRET_KEY": SECRET}, "ALLOWED_HOSTS"),
        ({"SECRET_KEY": SECRET, "ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"SECRET_KEY": SECRET, "ALLOWED_HOSTS": "a.example", "CORS_ORIGINS": "*"}, "CORS_ORIGINS"),
    ],
)
def test_production_refuses(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        started(monkeypatch, APP_ENV="production", **variables)


def test_production_starts_with_a_secret_and_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = started(monkeypatch, APP_ENV="production", SECRET_KEY=SECRET, ALLOWED_HOSTS="a.example, b.example")
    assert found["ALLOWED_HOSTS"] == ["a.example", "b.example"]
    assert found["SESSION_COOKIE_SECURE"]
    assert not found["LIBRARY_AUDIO_PUBLIC"]


@pytest.mark.parametrize(
    "variables",
    [
        {"APP_ENV": "staging"},
        {"APP_PORT": "eighty"},
        {"APP_PORT": "99999"},
        {"DEBUG": "perhaps"},
        {"DATABASE_URL": "x"},
    ],
)
def test_a_bad_value_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    with pytest.raises(ImproperlyConfigured, match=next(iter(variables))):
        started(monkeypatch, **variables)


def test_redis_replaces_the_database_as_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = started(monkeypatch, REDIS_URL="redis://localhost:6379/0")["Q_CLUSTER"]
    assert queue["redis"] == "redis://localhost:6379/0"
    assert "orm" not in queue


def test_a_lock_outlasts_whatever_may_be_worked_on_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for workers in ("1", "2", "7"):
        queue = started(monkeypatch, SEARCH_WORKERS=workers)["Q_CLUSTER"]["ALT_CLUSTERS"]["searches"]
        turns = 1 + -(-(queue["queue_limit"] + 1) // queue["workers"])
        assert queue["queue_limit"] == int(workers)
        assert queue["retry"] > (queue["timeout"] + 3) * turns


def test_postgresql_is_named_by_one_url() -> None:
    found = database("postgresql://me:p%40ss@db.example:5433/melodies?sslmode=require")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("me", "p@ss", "db.example", "5433")
    assert (found["NAME"], found["OPTIONS"]) == ("melodies", {"sslmode": "require"})


def test_a_file_gives_what_the_environment_does_not(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('# a comment\n\nAPP_PORT=9000\nAPP_HOST="0.0.0.0"\nEMPTY=\n')
    found = Environment({"APP_PORT": "9001"}, read_file(file))
    assert (found.number("APP_PORT", 1), found.text("APP_HOST"), found.text("EMPTY", "no")) == (9001, "0.0.0.0", "no")
    assert read_file(tmp_path / "none") == {}


def test_every_variable_is_documented() -> None:
    example = (SETTINGS.parents[1] / ".env.example").read_text()
    names = set(re.findall(r"_env\.\w+\(\s*\"([A-Z_]+)\"", SETTINGS.read_text()))
    assert {name for name in names if f"{name}=" not in example} == set()
