"""The sign of the motion."""

from __future__ import annotations

from torch import Tensor, where

from seisml.transforms.augmentations.base import WaveformAugmentation, chosen
from seisml.transforms.randomness import SampleRandom


class PolarityFlip(WaveformAugmentation):
    """Turn a share of the samples upside down, all channels alike. Spectrograms do not see it.

    Args:
        share: Share of the samples.
    """

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        self.share = self.check_share(share)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"share={self.share:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), some of them with the other sign."""
        return where(chosen(random, self.share), -waveform, waveform)
