"""Channels that fail."""

from __future__ import annotations

from torch import Tensor, where

from seisml.transforms.augmentations.base import WaveformAugmentation
from seisml.transforms.randomness import SampleRandom


class ChannelDrop(WaveformAugmentation):
    """Silence channels at random, as if a component had failed; one channel at least stays.

    Each channel fails by itself; where all would, the one that was farthest from it stays. A single channel stays.

    Args:
        share: How often a channel fails.
    """

    def __init__(self, share: float = 0.1) -> None:
        super().__init__()
        self.share = self.check_share(share)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"share={self.share:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), zero in dropped channels."""
        luck = random.uniform("luck", waveform.shape[1])  # (B, C)
        kept = (luck >= self.share) | (luck == luck.amax(dim=1, keepdim=True))
        return where(kept[..., None], waveform, 0.0)
