"""README's commands exist: each `make` target, and each call of the engine with its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from melody.__main__ import _parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "bench" / "README.md")


def commands() -> list[str]:
    """The lines of all shell blocks, without comments and prompts."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_there_are_commands_to_look_at() -> None:
    assert any(line.startswith("make test") for line in commands())


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_exists(line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":
        assert arguments[0] in targets()
    elif line.startswith("python -m melody"):
        assert _parser().parse_args(arguments[2:]).run
    else:
        assert line == ". .venv/bin/activate"


def test_every_target_that_people_call_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony
    for target in phony.group(1).split():
        assert re.search(rf"^{target}:.*## ", makefile, flags=re.MULTILINE), target
