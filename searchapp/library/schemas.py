"""JSON of the library's routes, keys exactly as the clients know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from ninja import Schema

from searchapp.engine import IndexFacts
from searchapp.library.models import IndexBuild


class ErrorOut(Schema):
    code: str
    message: str
    hint: str


class EmbeddingOut(Schema):
    name: str
    dimension: int


class StatsOut(Schema):
    count: int
    tracks: int
    durationSec: float
    updatedAt: datetime
    indexVersion: str
    embedding: EmbeddingOut

    @classmethod
    def of(cls, facts: IndexFacts) -> StatsOut:
        return cls(
            count=facts.segments,
            tracks=facts.tracks,
            durationSec=facts.duration_s,
            updatedAt=facts.created_at,
            indexVersion=facts.version,
            embedding=EmbeddingOut(name=facts.embedding, dimension=facts.dimension),
        )


class BuildStarted(Schema):
    build_id: uuid.UUID


class FailureOut(Schema):
    path: str
    reason: str


class BuildOut(Schema):
    status: Literal["queued", "processing", "done", "error"]
    tracksDone: int
    tracksTotal: int
    failures: list[FailureOut]
    error: ErrorOut | None

    @classmethod
    def of(cls, build: IndexBuild) -> BuildOut:
        return cls.model_validate(
            {
                "status": build.status,
                "tracksDone": build.tracks_done,
                "tracksTotal": build.tracks_total,
                "failures": build.failures,
                "error": build.error,
            }
        )
