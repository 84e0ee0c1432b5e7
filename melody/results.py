"""An answer in the API's words: keys and units exactly as the clients know them."""

from __future__ import annotations

from typing import Any

import numpy as np

from melody.contour import resampled
from melody.index import TrackEntry
from melody.search import Answer, Library
from melody.types import Bools, Contour, Floats, Match, Query

CURVE_HOP_S = 0.1


def results_json(answer: Answer, library: Library) -> list[dict[str, Any]]:
    """The matches as the API lists them; `audioUrl` is the server's to fill."""
    return [match_json(match, answer.query, library) for match in answer.matches]


def match_json(match: Match, query: Query, library: Library) -> dict[str, Any]:
    """One result of the API's contract.

    `transposeSemitones` is how far the clip lies above the track, `tempoRatio` how much faster it is. The curves of
    `contour` are aligned, about the clip's median, the track's moved into the clip's key; null where silent.
    """
    track: TrackEntry = library.index.tracks[match.track]
    alignment = match.alignment
    return {
        "trackId": track.id,
        "title": track.title,
        "artist": track.artist,
        "confidence": round(100 * match.confidence),
        "matchType": str(match.match_type),
        "segmentStartSec": round(alignment.start_s, 2),
        "segmentEndSec": round(alignment.end_s, 2),
        "transposeSemitones": round(alignment.transpose_semitones, 1),
        "tempoRatio": round(alignment.tempo_ratio, 2),
        "audioUrl": None,
        "contour": _aligned_curves(match, query.contour, library.index.contour(match.track)),
        "debug": {"faissScore": round(match.vote, 4), "melodyDistance": round(alignment.distance, 4)},
    }


def query_json(query: Query) -> dict[str, Any]:
    """What was heard in the clip, so that a person sees it even when nothing matched."""
    curve = resampled(query.contour, CURVE_HOP_S)
    return {
        "durationSec": round(query.duration_s, 2),
        "voicedSec": round(query.voiced_s, 2),
        "truncated": query.truncated,
        "contour": {
            "hopSec": CURVE_HOP_S,
            "semitones": _drawable(curve.semitones - np.median(curve.semitones), curve.voiced),
        },
    }


def _aligned_curves(match: Match, clip: Contour, track: Contour) -> dict[str, Any]:
    """Both curves at the clip's time: for each frame of it the track's frame that the path pairs with it."""
    path = match.alignment
    at = np.arange(0, len(clip.semitones), round(CURVE_HOP_S / clip.hop_s))
    pair = np.clip(np.searchsorted(path.clip_frames, at), 0, len(path.clip_frames) - 1)
    track_at = path.track_frames[pair]
    median = float(np.median(clip.semitones))
    moved = track.semitones[track_at] + match.alignment.transpose_semitones
    return {
        "hopSec": CURVE_HOP_S,
        "query": _drawable(clip.semitones[at] - median, clip.voiced[at]),
        "match": _drawable(moved - median, track.voiced[track_at]),
    }


def _drawable(semitones: Floats, voiced: Bools) -> list[float | None]:
    return [round(float(s), 2) if v else None for s, v in zip(semitones, voiced, strict=True)]
