"""Amplitudes of waveforms."""

from __future__ import annotations

import math

from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import WaveformAugmentation
from seisml.transforms.randomness import SampleRandom


class AmplitudeScale(WaveformAugmentation):
    """Multiply each sample by a factor whose logarithm is uniform, all channels alike.

    A front end that normalises each trace (``normalize: std``) takes it back.

    Args:
        low: Smallest factor.
        high: Largest factor.

    Raises:
        UserError: Unless 0 < low <= high.
    """

    def __init__(self, low: float = 0.5, high: float = 2.0) -> None:
        super().__init__()
        if not 0 < low <= high:
            raise UserError(f"AmplitudeScale: low={low}, high={high} must satisfy 0 < low <= high")
        self.low, self.high = float(low), float(high)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms multiplied by their factors, (B, C, T)."""
        factor = random.uniform("factor", 1, math.log(self.low), math.log(self.high)).exp()
        return waveform * factor[..., None].to(waveform.dtype)
