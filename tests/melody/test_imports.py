"""What may import what, and what stays unloaded until it is needed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "faiss", "librosa", "numba", "scipy", "onnxruntime", "swift_f0")
LOADED = f"import sys; loaded = sorted(set({HEAVY!r}) & set(sys.modules)); print(*loaded)"


def loaded_after(statement: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; {LOADED}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_contracts_between_modules_hold() -> None:
    if "importlinter" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]:
        pytest.skip("pyproject.toml has no contracts yet")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "import melody.types, melody.errors, melody.config",
        "from melody.index import current_version, read_manifest, read_tracks, load_index",
        "from melody.build import build",
        "import melody.__main__",
    ],
)
def test_heavy_libraries_are_not_loaded_by(statement: str) -> None:
    assert loaded_after(statement) == []


def test_a_search_does_not_load_the_reference_tracker() -> None:
    loaded = loaded_after("import melody.search, melody.results, melody.warmup")
    assert "librosa" not in loaded
    assert "torch" in loaded
