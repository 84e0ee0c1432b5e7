"""Whose problem is it?

MelodyError
  BadClip             the person can fix it: another file, a longer or louder recording
    NotAudio
    TooShort
    NoMelody
  EngineNotReady      an operator must act
    IndexMissing
    IndexMismatch
    FfmpegMissing
    BuildRunning
    LibraryMissing
"""

from __future__ import annotations


class MelodyError(Exception):
    """Base of everything the engine raises on purpose: a stable `code`, a `message` for people and a `hint`."""

    code = "melody_error"
    hint = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint

    def as_json(self) -> dict[str, str]:
        """The error as the API and the shell show it: `{"code", "message", "hint"}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive Exception's own pickling on the way back from a worker process.
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[MelodyError], message: str, hint: str) -> MelodyError:
    return kind(message, hint=hint)


class BadClip(MelodyError):
    """The file itself is the problem, and whoever chose it can choose another."""

    code = "bad_clip"


class NotAudio(BadClip):
    code = "not_audio"
    hint = "Use a wav, mp3, m4a, webm, ogg, flac or aac file."


class TooShort(BadClip):
    code = "too_short"
    hint = "Record 5 to 20 seconds."


class NoMelody(BadClip):
    code = "no_melody"
    hint = "Hum or whistle the tune clearly, close to the microphone, without music in the background."


class EngineNotReady(MelodyError):
    """Nothing is wrong with the clip: whoever runs the engine must act."""

    code = "engine_not_ready"


class IndexMissing(EngineNotReady):
    code = "index_missing"
    hint = "Add audio to data/library and run build_index."


class IndexMismatch(EngineNotReady):
    code = "index_mismatch"
    hint = "Run build_index: the index was made by another version of the engine or is damaged."


class FfmpegMissing(EngineNotReady):
    code = "ffmpeg_missing"
    hint = "Install ffmpeg, or the Python package imageio-ffmpeg, which brings one."


class BuildRunning(EngineNotReady):
    code = "build_running"
    hint = "Wait until the other build of this index has ended."


class LibraryMissing(EngineNotReady):
    code = "library_missing"
    hint = "Create the folder, or name the one that holds the library."
