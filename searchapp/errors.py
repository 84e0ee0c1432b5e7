"""What a request can be told, and with which status.

RequestError
  BadRequest            400  a parameter is missing or wrong
    NoFile
  NotAllowed            401
  Forbidden             403
  NotFound              404
  TooLarge              413
  NotAudio              415
  RangeNotSatisfiable   416
  TooManyRequests       429
  IndexMissing          503

What the engine finds wrong (melody/errors.py) reaches a request through the job that found it: `status_of` its code.
"""

from __future__ import annotations

from typing import TypedDict


class ErrorJson(TypedDict):
    code: str
    message: str
    hint: str


class RequestError(Exception):
    """Base of all refusals: an HTTP status, a stable code, a message for people and a hint what to do."""

    status = 400
    code = "bad_request"
    message = "The request cannot be answered."
    hint = ""

    def __init__(self, message: str = "", *, hint: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message
        self.hint = hint or self.hint
        self.retry_after_s = retry_after_s

    def as_json(self) -> ErrorJson:
        return {"code": self.code, "message": self.message, "hint": self.hint}


class BadRequest(RequestError):
    code = "bad_parameter"


class NoFile(BadRequest):
    code = "no_file"
    message = "There is no file in the request."
    hint = "Send the clip as the multipart field `file`."


class NotAllowed(RequestError):
    status = 401
    code = "not_allowed"
    message = "This is for the keeper of the library."
    hint = "Sign in as staff, or send an API key as X-API-Key."


class Forbidden(RequestError):
    status = 403
    code = "forbidden"
    message = "This may not be given out."


class NotFound(RequestError):
    status = 404
    code = "not_found"
    message = "There is nothing here."


class TooLarge(RequestError):
    status = 413
    code = "too_large"
    message = "The file is too large."
    hint = "Send 5 to 20 seconds of audio."


class NotAudio(RequestError):
    status = 415
    code = "not_audio"
    message = "This is not an audio file of a kind that can be searched for."
    hint = "Use a wav, mp3, m4a, webm, ogg, flac or aac file."


class RangeNotSatisfiable(RequestError):
    status = 416
    code = "range_not_satisfiable"
    message = "The file does not have these bytes."


class TooManyRequests(RequestError):
    status = 429
    code = "too_many_requests"
    message = "Too many searches in a short time."
    hint = "Wait a little, then try again."


class IndexMissing(RequestError):
    status = 503
    code = "index_missing"
    message = "Library index not built. Add audio to data/library and run build_index."
    hint = "Add audio to data/library and run build_index."


FAILED: ErrorJson = {
    "code": "failed",
    "message": "The server could not finish this.",
    "hint": "Try again; if it happens again, tell the keeper of the server.",
}

_STATUS = {
    "not_audio": 415,
    "bad_clip": 422,
    "too_short": 422,
    "no_melody": 422,
    "index_missing": 503,
    "index_mismatch": 503,
    "ffmpeg_missing": 503,
    "library_missing": 503,
    "engine_not_ready": 503,
}


def status_of(code: str) -> int:
    """The HTTP status of a job's error; 500 for whatever is nobody's fault but ours."""
    return _STATUS.get(code, 500)
