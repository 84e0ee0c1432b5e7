"""JSON of the search routes, keys exactly as the clients know them."""

from __future__ import annotations

import uuid
from typing import Literal

from ninja import Field, Schema

from searchapp.library.schemas import ErrorOut
from searchapp.search import queries
from searchapp.search.models import SearchJob


class SearchIn(Schema):
    """The form beside the file."""

    mode: Literal["song_clip", "hum"] = "song_clip"
    top_k: int = Field(10, ge=1, le=50)
    wait: float = Field(0, ge=0, le=20, description="seconds to wait for the answer", allow_inf_nan=False)
    include_maybe: bool = False


class ReadIn(Schema):
    wait: float = Field(0, ge=0, le=20, description="seconds to wait for the answer", allow_inf_nan=False)
    include_maybe: bool = False


class CurvesOut(Schema):
    """Aligned, in semitones about the clip's median, null where silent; of equal length."""

    hopSec: float
    query: list[float | None]
    match: list[float | None]


class DebugOut(Schema):
    faissScore: float
    melodyDistance: float


class ResultOut(Schema):
    trackId: str
    title: str
    artist: str
    confidence: int = Field(ge=0, le=100)
    matchType: Literal["very_close", "similar", "loose", "maybe"]
    segmentStartSec: float
    segmentEndSec: float
    transposeSemitones: float
    tempoRatio: float
    audioUrl: str | None
    contour: CurvesOut
    debug: DebugOut


class HeardCurveOut(Schema):
    hopSec: float
    semitones: list[float | None]


class QueryOut(Schema):
    """What was heard in the clip."""

    durationSec: float
    voicedSec: float
    truncated: bool
    contour: HeardCurveOut


class JobStarted(Schema):
    job_id: uuid.UUID


class AnswerOut(Schema):
    job_id: uuid.UUID
    results: list[ResultOut]
    query: QueryOut | None

    @classmethod
    def of(cls, job: SearchJob, *, include_maybe: bool, with_audio: bool) -> AnswerOut:
        results = queries.results_of(job, include_maybe=include_maybe, with_audio=with_audio)
        return cls.model_validate({"job_id": job.pk, "results": results, "query": job.query})


class JobOut(Schema):
    status: Literal["queued", "processing", "done", "error"]
    results: list[ResultOut]
    error: ErrorOut | None
    query: QueryOut | None

    @classmethod
    def of(cls, job: SearchJob, *, include_maybe: bool, with_audio: bool) -> JobOut:
        results = queries.results_of(job, include_maybe=include_maybe, with_audio=with_audio)
        return cls.model_validate({"status": job.status, "results": results, "error": job.error, "query": job.query})
