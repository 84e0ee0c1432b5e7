"""What a build says while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Failures = list[tuple[str, str]]  # path below the library, and the reason for people


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the analysis is. Said once before it starts and then after every file."""

    done: int  # files
    total: int  # files to analyse; what is known already is not counted
    audio_s: float  # analysed so far
    elapsed_s: float
    remaining_s: float | None  # None until it can be guessed
    path: str  # the file just finished, "" at the start


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build found and did."""

    version: str  # the current one now: an old one where nothing was to be done
    tracks: int
    added: int
    changed: int  # other content under the same path
    renamed: int
    removed: int
    analysed: int
    failures: tuple[tuple[str, str], ...]  # path below the library and reason, by path
    audio_s: float  # analysed in this build
    seconds: float  # that this build took

    @property
    def times_real_time(self) -> float:
        """Seconds of audio analysed in a second; 0 where there was nothing to analyse."""
        return self.audio_s / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """The report as the shell prints it and the API gives it."""
        return {
            "version": self.version,
            "tracks": self.tracks,
            "added": self.added,
            "changed": self.changed,
            "renamed": self.renamed,
            "removed": self.removed,
            "analysed": self.analysed,
            "failures": [{"file": path, "reason": reason} for path, reason in self.failures],
            "audioSeconds": round(self.audio_s, 3),
            "seconds": round(self.seconds, 3),
            "timesRealTime": round(self.times_real_time, 1),
        }
