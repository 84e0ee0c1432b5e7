"""FLOW: a folder of audio -> an index version. `flow.py` is the straight line; start there."""

from __future__ import annotations

from melody.build.flow import build
from melody.build.report import BuildReport, Progress

__all__ = ["BuildReport", "Progress", "build"]
