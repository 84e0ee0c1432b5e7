"""Windows -> vectors whose inner product says how much of two windows agrees.

Nothing is learned here. A window's points lie on a circle of two octaves; the first harmonics of that circle,
weighted as a Gaussian's, are a feature map whose inner product is (nearly) the share of points that lie within about
a semitone of each other, an octave apart counting in part (Rahimi and Recht, "Random features for large-scale kernel
machines", 2007, with chosen instead of drawn frequencies). A point that is far off costs no more than one that is a
little off: that is what makes it sturdier than the distance of the contours themselves (docs/decisions/0003).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from melody.config import EmbeddingConfig
from melody.types import Windows

_BATCH = 4096


class AgreementMap(torch.nn.Module):
    """Centred contours (n, p) in semitones -> vectors (n, 2 * harmonics * p), each of length 1."""

    weights: torch.Tensor
    speeds: torch.Tensor

    def __init__(self, config: EmbeddingConfig) -> None:
        super().__init__()
        orders = torch.arange(1, config.harmonics + 1, dtype=torch.float32)
        speeds = 2 * math.pi * orders / config.period_semitones
        weights = torch.exp(-((speeds * config.width_semitones) ** 2) / 2)
        # Odd harmonics of two octaves tell one octave from the next; halved, they leave an octave's error half its
        # worth.
        weights = weights * torch.where(orders % 2 == 0, 1.0, config.octave_weight)
        self.register_buffer("speeds", speeds)
        self.register_buffer("weights", torch.sqrt(weights / weights.sum()))

    def forward(self, semitones: torch.Tensor) -> torch.Tensor:
        angles = semitones[:, :, None] * self.speeds
        both = torch.cat([torch.cos(angles) * self.weights, torch.sin(angles) * self.weights], dim=2)
        return both.flatten(1) / math.sqrt(semitones.shape[1])


def embed(windows: Windows, config: EmbeddingConfig) -> npt.NDArray[np.float32]:
    """Vectors (n, d) of windows (n, p), in batches so that a long track needs no more memory than a short one."""
    points = torch.from_numpy(np.ascontiguousarray(windows.semitones))
    with torch.inference_mode():
        starts = range(0, max(len(points), 1), _BATCH)
        return np.concatenate([_module(config)(points[start : start + _BATCH]).numpy() for start in starts])


def dimension(points: int, config: EmbeddingConfig) -> int:
    """The length d of a vector for windows of `points` points."""
    return 2 * config.harmonics * points


@cache
def _module(config: EmbeddingConfig) -> AgreementMap:
    return AgreementMap(config).eval()
