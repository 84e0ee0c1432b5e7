"""PitchTrack -> Contour -> Windows: the tune as a curve, without octave slips of a frame, and pieces of it.

Rests are held (the note before goes on) because an alignment compares tunes, not breathing; the voicing channel
remembers where. Windows are moved to their own median, so that a tune is the same in every key.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from melody.config import ContourConfig, WindowConfig
from melody.errors import NoMelody
from melody.types import Bools, Contour, Floats, PitchTrack, Windows

A4_HZ = 440.0
A4_MIDI = 69.0


def to_contour(pitch: PitchTrack, config: ContourConfig) -> Contour:
    """The contour (t,) of a whole pitch track at `config.hop_s`, starting where the pitch track starts.

    Raises NoMelody where less than `config.min_voiced_s` is voiced.
    """
    voiced = pitch.hz > 0
    if pitch.voiced_s < config.min_voiced_s:
        raise NoMelody(f"Only {pitch.voiced_s:.1f} s of a tune can be heard.")
    semitones = np.zeros(len(pitch.hz), dtype=np.float32)
    pitched = A4_MIDI + 12 * np.log2(pitch.hz[voiced] / A4_HZ)
    semitones[voiced] = median_filter(pitched, size=config.median_frames, mode="nearest")
    return _at_hop(_hold(semitones, voiced), voiced, pitch.hop_s, config.hop_s)


def trim(contour: Contour) -> tuple[Contour, float]:
    """The contour without the rests at both ends, and the seconds cut off before it.

    Raises NoMelody where no frame is voiced, as when a tracker hears only scattered moments.
    """
    voiced = np.flatnonzero(contour.voiced)
    if not len(voiced):
        raise NoMelody("Only scattered moments of a tune can be heard.")
    first, last = int(voiced[0]), int(voiced[-1]) + 1
    kept = Contour(contour.semitones[first:last], contour.voiced[first:last], contour.hop_s)
    return kept, first * contour.hop_s


def resampled(contour: Contour, hop_s: float) -> Contour:
    """The same curve at another hop, by taking the frame nearest to each new one's middle."""
    count = max(1, round(contour.duration_s / hop_s))
    at = ((np.arange(count) + 0.5) * hop_s / contour.hop_s).astype(np.int64)
    at = np.minimum(at, len(contour.semitones) - 1)
    return Contour(contour.semitones[at], contour.voiced[at], hop_s)


def track_windows(contour: Contour, config: WindowConfig) -> Windows:
    """Windows (n, p) over the whole track, one each `config.track_hop_s`, those left out that are mostly rest."""
    last = max(contour.duration_s - config.length_s * config.min_filled, 0.0)
    starts = np.arange(0.0, last + 1e-6, config.track_hop_s, dtype=np.float32)
    points, voiced = _cut(contour, starts, config.length_s, config.points)
    keep = voiced >= config.min_voiced
    return Windows(_centred(points[keep]), starts[keep], np.ones(int(keep.sum()), dtype=np.float32))


def clip_windows(contour: Contour, config: WindowConfig) -> Windows:
    """Windows (n, p) of a clip at each tempo, and each again with its centre moved, since a median may sit a note off.

    A window at tempo r is `length_s / r` long, so that it covers as much of the tune as a track's window does.
    """
    points: list[Floats] = []
    starts: list[Floats] = []
    tempos: list[Floats] = []
    for tempo in config.tempos:
        length_s = config.length_s / tempo
        if length_s > contour.duration_s / config.min_filled:
            continue
        last = max(contour.duration_s - length_s, 0.0)
        at = np.arange(0.0, last + 0.3 * config.clip_hop_s, config.clip_hop_s, dtype=np.float32)
        centred = _centred(_cut(contour, at, length_s, config.points)[0])
        for moved in config.centre_shifts:
            points.append(centred + np.float32(moved))
            starts.append(at)
            tempos.append(np.full(len(at), tempo, dtype=np.float32))
    if not points:
        raise NoMelody("The tune that can be heard is too short to search for.")
    return Windows(np.concatenate(points), np.concatenate(starts), np.concatenate(tempos))


def _hold(semitones: Floats, voiced: Bools) -> Floats:
    last = np.maximum.accumulate(np.where(voiced, np.arange(len(voiced)), -1))
    last[last < 0] = int(np.argmax(voiced))
    return semitones[last]


def _at_hop(held: Floats, voiced: Bools, hop_s: float, new_hop_s: float) -> Contour:
    """Each new frame is the median of the voiced frames that fall into it, or of the held ones where none is."""
    count = max(1, int(len(held) * hop_s / new_hop_s))
    width = int(np.ceil(new_hop_s / hop_s))
    first = np.round(np.arange(count) * new_hop_s / hop_s).astype(np.int64)
    frames = np.minimum(first[:, None] + np.arange(width), len(held) - 1)
    inside = voiced[frames]
    some = inside.any(axis=1)
    # Where a frame has voiced parts, the unvoiced ones take no part in its median.
    values = np.where(inside | ~some[:, None], held[frames], np.nan)
    semitones = np.nanmedian(values, axis=1).astype(np.float32)
    return Contour(semitones, np.asarray(inside.mean(axis=1) >= 0.5), new_hop_s)


def _cut(contour: Contour, starts: Floats, length_s: float, points: int) -> tuple[Floats, Floats]:
    times = starts[:, None] + (np.arange(points) + 0.5) / points * length_s
    frames = np.clip((times / contour.hop_s).astype(np.int64), 0, len(contour.semitones) - 1)
    return contour.semitones[frames], np.asarray(contour.voiced[frames].mean(axis=1), dtype=np.float32)


def _centred(points: Floats) -> Floats:
    return np.asarray(points - np.median(points, axis=1, keepdims=True), dtype=np.float32)
