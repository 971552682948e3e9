"""Samples that are missing."""

from __future__ import annotations

import torch
from torch import Tensor, where

from seisml.errors import UserError
from seisml.transforms.augmentations.base import WaveformAugmentation, chosen
from seisml.transforms.randomness import SampleRandom


class Gaps(WaveformAugmentation):
    """Cut a gap into a share of the samples, in all channels at once; it is filled with each channel's mean.

    Args:
        longest: Longest gap, as a fraction of the length; lengths are uniform up to it.
        share: Share of the samples that get one.

    Raises:
        UserError: Unless 0 <= longest < 1 and 0 <= share <= 1.
    """

    def __init__(self, longest: float = 0.1, share: float = 0.5) -> None:
        super().__init__()
        if not 0 <= longest < 1:
            raise UserError(f"Gaps: longest={longest} must be 0 or more, and less than 1")
        self.longest, self.share = float(longest), self.check_share(share)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"longest={self.longest:g}, share={self.share:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), some of them with a gap."""
        length = random.uniform("length", 1, 0.0, self.longest)  # (B, 1), as fractions
        begin = random.uniform("begin", 1) * (1 - length)
        n_samples = waveform.shape[-1]
        time = torch.arange(n_samples, device=waveform.device) / n_samples  # (T,)
        missing = (time >= begin) & (time < begin + length)  # (B, T)
        return where(chosen(random, self.share) & missing[:, None], waveform.mean(-1, keepdim=True), waveform)
