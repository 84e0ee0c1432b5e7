"""Dynamic time warping of a whole clip inside a track (subsequence DTW: Mueller, "Fundamentals of Music Processing",
7.2).

A frame costs the semitones between clip and track after a transposition. An octave slip, every tracker's commonest
error, costs `octave_cost`; a wrong note costs at most `limit`, however far off. Each step advances the clip by one or
two frames and the track by one or two, so that the local tempo lies within 1/2 and 2; a step off the diagonal costs
`penalty` more. A row of the table depends only on the two rows before it, never on itself, so the inner loops run in
SIMD lanes.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from melody.config import AlignmentConfig
from melody.types import Alignment, Contour, Floats, Place

Ints = npt.NDArray[np.int32]
_FAR = np.float32(1e9)
_DIAGONAL, _FASTER, _SLOWER = 0, 1, 2  # how the path reached a cell: track +1, track +2, clip +2


def pooled(semitones: Floats, frames: int) -> Floats:
    """The curve at one value per `frames` frames, their median: (t,) -> (t // frames,), at least one value."""
    count = len(semitones) // frames
    if count == 0:
        return np.asarray([np.median(semitones)], dtype=np.float32)
    return np.asarray(np.median(semitones[: count * frames].reshape(count, frames), axis=1), dtype=np.float32)


def stretched(semitones: Floats, factor: float, frames: int) -> Floats:
    """The curve played `factor` times as long, then pooled to one value per `frames` frames."""
    count = max(2, round(len(semitones) * factor))
    at = np.clip(((np.arange(count) + 0.5) / factor).astype(np.int64), 0, len(semitones) - 1)
    return pooled(semitones[at], frames)


def scan(
    clip: Contour, library: Floats, offsets: npt.NDArray[np.int64], tracks: Ints, config: AlignmentConfig
) -> list[Place]:
    """The clip's best place in each of `tracks`, best first, in every key: coarse in time and pitch, octaves folded.

    Tracks shorter than half the clip are left out: no path of the whole clip fits into them.
    `library` holds the tracks' contours end to end at `config.scan_hop_s`, track i at `offsets[i]:offsets[i + 1]`.
    """
    curve = pooled(clip.semitones, round(config.scan_hop_s / clip.hop_s))
    keys = np.arange(0, 12, config.scan_key_step, dtype=np.float32)
    found = np.empty((len(tracks), 3), dtype=np.float32)
    limit, penalty = np.float32(config.limit), np.float32(config.scan_penalty)
    _scan(curve, library, offsets, tracks, keys, limit, penalty, found)
    order = np.argsort(found[:, 0], kind="stable")
    return [
        Place(
            int(tracks[i]),
            float(found[i, 0]),
            float(found[i, 2] + 1) * config.scan_hop_s,
            float(keys[int(found[i, 1])]),
        )
        for i in order
        if found[i, 0] <= config.limit + config.scan_penalty
    ]


def align(clip: Contour, track: Contour, place: Place, config: AlignmentConfig) -> Alignment:
    """The best path of the whole clip through the track near a place that the scan found.

    Tries a few tempos of the clip as a whole (the penalty then only meets what is left), a few keys about the place's,
    and the octaves that bring both curves together.
    """
    pool = round(config.hop_s / clip.hop_s)
    first, last = _reach(clip, track, place, config)
    curve = pooled(track.semitones[first:last], pool)
    keys = _keys(clip.semitones, curve, place, config)
    limit, octave = np.float32(config.limit), np.float32(config.octave_cost)
    best: tuple[float, Floats, int, float] | None = None
    for tempo in config.tempos:
        query = stretched(clip.semitones, tempo, pool)
        cost, key, _ = _cheapest(query, curve, keys, limit, octave, np.float32(config.penalty))
        cost += config.tempo_cost * abs(float(np.log2(tempo)))
        if best is None or cost < best[0]:
            best = (cost, query, key, tempo)
    assert best is not None
    distance, query, key, tempo = best
    path = _trace(query - keys[key], curve, limit, octave, np.float32(config.penalty))
    clip_frames = np.minimum((path[:, 0] + 0.5) * pool / tempo, len(clip.semitones) - 1).astype(np.int32)
    track_frames = np.minimum(first + path[:, 1] * pool + pool // 2, len(track.semitones) - 1).astype(np.int32)
    start_s = (first + int(path[0, 1]) * pool) * track.hop_s
    end_s = min((first + (int(path[-1, 1]) + 1) * pool) * track.hop_s, track.duration_s)
    return Alignment(
        track=place.track,
        start_s=start_s,
        end_s=end_s,
        transpose_semitones=float(np.median(clip.semitones[clip_frames] - track.semitones[track_frames])),
        tempo_ratio=(end_s - start_s) / clip.duration_s,
        distance=distance,
        clip_frames=clip_frames,
        track_frames=track_frames,
    )


def _reach(clip: Contour, track: Contour, place: Place, config: AlignmentConfig) -> tuple[int, int]:
    """First and last frame of the track that a path to the place could need."""
    end = place.end_s + config.margin_s
    start = place.end_s - 2 * clip.duration_s - config.margin_s
    last = min(len(track.semitones), int(end / track.hop_s))
    return max(0, min(int(start / track.hop_s), last - 2)), last


def _keys(clip: Floats, track: Floats, place: Place, config: AlignmentConfig) -> Floats:
    apart = float(np.median(clip) - np.median(track))
    nearest = place.transpose_semitones + 12 * round((apart - place.transpose_semitones) / 12)
    octaves = nearest + 12 * np.arange(-1, 2, dtype=np.float32)
    return np.asarray((octaves[:, None] + np.asarray(config.key_shifts, dtype=np.float32)).ravel(), dtype=np.float32)


# The kernels have no annotations: numba infers the types, and compiles one of each for what it is given.
@numba.njit(cache=True, fastmath=True, nogil=True)
def _frame_costs(pitch, track, limit, octave, cost):  # type: ignore[no-untyped-def]
    for j in range(len(track)):
        d = pitch - track[j]
        folded = abs(d - np.float32(12) * np.floor(d * np.float32(1 / 12) + np.float32(0.5)))
        cost[j + 2] = min(min(abs(d), folded + octave), limit)


@numba.njit(cache=True, fastmath=True, nogil=True)
def _cheapest(clip, track, keys, limit, octave, penalty):  # type: ignore[no-untyped-def]
    """(lowest mean cost, its key's number, the track frame it ends at); rows are kept two frames wide on the left."""
    n, m = len(clip), len(track)
    now = np.empty(m + 2, np.float32)
    before = np.empty(m + 2, np.float32)
    before2 = np.empty(m + 2, np.float32)
    cost = np.empty(m + 2, np.float32)
    cost_before = np.empty(m + 2, np.float32)
    best, best_key, best_end = _FAR, 0, 0
    for k in range(len(keys)):
        before2[:] = _FAR
        _frame_costs(clip[0] - keys[k], track, limit, octave, cost_before)
        before[:] = cost_before
        before[:2] = _FAR
        for i in range(1, n):
            _frame_costs(clip[i] - keys[k], track, limit, octave, cost)
            now[:2] = _FAR
            for j in range(2, m + 2):
                slower = before2[j - 1] + cost_before[j] + penalty
                now[j] = min(min(before[j - 1], before[j - 2] + penalty), slower) + cost[j]
            before2, before, now = before, now, before2
            cost_before, cost = cost, cost_before
        for j in range(2, m + 2):
            if before[j] < best:
                best, best_key, best_end = before[j], k, j - 2
    return best / n, best_key, best_end


@numba.njit(cache=True, fastmath=True, nogil=True)
def _scan(  # type: ignore[no-untyped-def]  # noqa: PLR0913 - a kernel takes plain arrays and numbers
    clip, library, offsets, tracks, keys, limit, penalty, found
):
    for row in range(len(tracks)):
        track = library[offsets[tracks[row]] : offsets[tracks[row] + 1]]
        cost, key, end = _cheapest(clip, track, keys, limit, np.float32(0), penalty)
        found[row, 0] = cost
        found[row, 1] = key
        found[row, 2] = end


@numba.njit(cache=True, nogil=True)
def _trace(clip, track, limit, octave, penalty):  # type: ignore[no-untyped-def]
    """The cheapest path (m, 2) of (clip frame, track frame), in order, of a clip that is already in the track's key."""
    n, m = len(clip), len(track)
    total = np.full((n, m + 2), _FAR, np.float32)
    costs = np.zeros((n, m + 2), np.float32)
    came = np.zeros((n, m + 2), np.int8)
    for i in range(n):
        _frame_costs(clip[i], track, limit, octave, costs[i])
        for j in range(2, m + 2):
            if i == 0:
                total[i, j] = costs[i, j]
                continue
            best, step = total[i - 1, j - 1], _DIAGONAL
            if total[i - 1, j - 2] + penalty < best:
                best, step = total[i - 1, j - 2] + penalty, _FASTER
            if i > 1 and total[i - 2, j - 1] + costs[i - 1, j] + penalty < best:
                best, step = total[i - 2, j - 1] + costs[i - 1, j] + penalty, _SLOWER
            total[i, j] = best + costs[i, j]
            came[i, j] = step
    return _walk_back(came, int(np.argmin(total[n - 1])))


@numba.njit(cache=True, nogil=True)
def _walk_back(came, j):  # type: ignore[no-untyped-def]
    """The path that ends in column j of the last row, first cell first."""
    i = len(came) - 1
    path = np.empty((i + 1, 2), np.int32)
    length = 0
    while i >= 0:
        step = came[i, j]
        path[length, 0], path[length, 1] = i, j - 2
        length += 1
        if step == _SLOWER:
            path[length, 0], path[length, 1] = i - 1, j - 2
            length += 1
        i, j = i - (2 if step == _SLOWER else 1), j - (2 if step == _FASTER else 1)
    return path[:length][::-1]
