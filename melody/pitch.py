"""Waveform -> PitchTrack: one voice, a whistle, or the melody line of a mix.

One voice: SwiftF0 (Nieradzik 2025, MIT; a small convolutional network over a spectrogram, 47-2094 Hz, 16 ms a frame) or
`librosa.pyin` (Mauch and Dixon, ICASSP 2014), the reference. Whistles reach above both and are close to a sine, so the
highest spectral peak tells their pitch. Of a mix, SwiftF0 limited to the band where tunes lie follows the melody.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from melody.config import PitchConfig
from melody.types import Floats, PitchTrack, Waveform

if TYPE_CHECKING:
    from swift_f0 import SwiftF0

HOP_SAMPLES = 256
_WHISTLE_FRAME = 1024
_SILENCE_RMS = 1e-3  # -60 dB, below which nothing is called a pitch
_SOUNDING_RMS = 1e-2


def track_voice(waveform: Waveform, config: PitchConfig) -> PitchTrack:
    """The pitch of one voice that hums, sings or whistles; frame i lies i * 16 ms after the start.

    The whistle's tracker is believed where it hears clearly more than the voice's, or where the voice's lies so high
    that only a whistle can.
    """
    voice = _pyin(waveform, config) if config.tracker == "pyin" else _swift(waveform, config.min_hz, config)
    whistle = track_whistle(waveform, config)
    pitched = voice.hz[voice.hz > 0]
    is_high = pitched.size > 0 and float(np.median(pitched)) > config.whistle_above_hz
    hears_more = whistle.voiced_s > config.whistle_gain * voice.voiced_s
    return whistle if whistle.voiced_s >= config.whistle_min_s and (is_high or hears_more) else voice


def track_melody(waveform: Waveform, config: PitchConfig) -> PitchTrack:
    """The melody line of a track or of a clip from one.

    A solo is followed over the whole range. Of a mix only the band where tunes lie counts, at a lower confidence.
    """
    line = _swift(waveform, config.min_hz, config)
    return line if _is_solo(line, waveform, config) else _swift(waveform, config.mix_min_hz, config)


def track_whistle(waveform: Waveform, config: PitchConfig) -> PitchTrack:
    """The pitch of a whistle: the highest spectral peak of each frame, where one narrow peak holds most of the
    energy."""
    samples = np.pad(waveform.samples, (_WHISTLE_FRAME // 2, _WHISTLE_FRAME))
    count = max(1, len(waveform.samples) // HOP_SAMPLES)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WHISTLE_FRAME)[::HOP_SAMPLES][:count]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WHISTLE_FRAME).astype(np.float32), axis=1)) ** 2
    bin_hz = waveform.rate_hz / _WHISTLE_FRAME
    low, high = round(config.whistle_band_hz[0] / bin_hz), round(config.whistle_band_hz[1] / bin_hz)
    peak = power[:, low:high].argmax(axis=1) + low
    rows = np.arange(len(power))
    around = np.clip(peak[:, None] + np.arange(-3, 4), 0, power.shape[1] - 1)
    total = power[:, round(60 / bin_hz) :].sum(axis=1) + 1e-12
    tonal = np.asarray(np.take_along_axis(power, around, axis=1).sum(axis=1) / total, dtype=np.float32)
    left, top, right = (np.log(power[rows, peak + step] + 1e-12) for step in (-1, 0, 1))
    curve = left - 2 * top + right
    shift = np.where(np.abs(curve) > 1e-9, 0.5 * (left - right) / np.where(curve == 0, 1, curve), 0.0)
    loud = _frame_rms(waveform.samples, len(power)) > _SILENCE_RMS
    voiced = (tonal >= config.whistle_tonality) & loud
    hz = np.where(voiced, (peak + np.clip(shift, -0.5, 0.5)) * bin_hz, 0.0)
    return PitchTrack(hz.astype(np.float32), tonal * loud, HOP_SAMPLES / waveform.rate_hz)


def _is_solo(line: PitchTrack, waveform: Waveform, config: PitchConfig) -> bool:
    """A tracker that hears one voice is sure of it, or at least does not leap from frame to frame as between two."""
    sounding = _frame_rms(waveform.samples, len(line.hz)) > _SOUNDING_RMS
    pitched = line.hz > 0
    both = pitched[1:] & pitched[:-1]
    if not sounding.any() or not both.any():
        return True
    steps = np.abs(12 * np.log2(line.hz[1:][both] / line.hz[:-1][both]))
    sure = float((line.confidence[sounding] >= config.solo_confidence).mean())
    return sure >= config.solo_share or float(steps.mean()) <= config.solo_step_semitones


def _swift(waveform: Waveform, min_hz: float, config: PitchConfig) -> PitchTrack:
    threshold = config.voice_confidence if min_hz <= config.min_hz else config.mix_confidence
    heard = _swift_detector().detect(waveform.samples, waveform.rate_hz, fmin=min_hz)
    confidence = heard.confidence.astype(np.float32)
    hz = np.where(confidence >= threshold, heard.pitch_hz, 0.0).astype(np.float32)
    return PitchTrack(hz, confidence, HOP_SAMPLES / waveform.rate_hz)


def _pyin(waveform: Waveform, config: PitchConfig) -> PitchTrack:
    import librosa

    hz, voiced, probability = librosa.pyin(
        waveform.samples, fmin=65.0, fmax=2093.0, sr=waveform.rate_hz, frame_length=2048, hop_length=HOP_SAMPLES
    )
    hz = np.where(voiced, np.nan_to_num(hz), 0.0).astype(np.float32)
    return PitchTrack(hz, probability.astype(np.float32), HOP_SAMPLES / waveform.rate_hz)


@cache
def _swift_detector() -> SwiftF0:
    # Late and once: a process that forks later must not have started onnxruntime's threads.
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)


def _frame_rms(samples: Floats, frames: int) -> Floats:
    padded = np.pad(samples, (0, max(0, frames * HOP_SAMPLES - len(samples))))[: frames * HOP_SAMPLES]
    return np.asarray(np.sqrt(np.square(padded.reshape(frames, HOP_SAMPLES)).mean(axis=1)), dtype=np.float32)
