"""Shifts along time."""

from __future__ import annotations

import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import WaveformAugmentation
from seisml.transforms.randomness import SampleRandom


class TimeShift(WaveformAugmentation):
    """Shift each sample along time, all its channels alike; what leaves at one end comes in at the other.

    So the length and the level of the noise stay, at the price of one seam.

    Args:
        largest: Largest shift to either side, as a fraction of the length.

    Raises:
        UserError: Unless 0 <= largest <= 0.5.
    """

    def __init__(self, largest: float = 0.1) -> None:
        super().__init__()
        if not 0 <= largest <= 0.5:
            raise UserError(f"TimeShift: largest={largest} must lie between 0 and 0.5")
        self.largest = float(largest)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"largest={self.largest:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the shifted waveforms, (B, C, T)."""
        n_samples = waveform.shape[-1]
        shift = (random.uniform("shift", 1, -self.largest, self.largest) * n_samples).round().long()  # (B, 1)
        source = (torch.arange(n_samples, device=waveform.device) - shift) % n_samples  # (B, T)
        return waveform.gather(-1, source[:, None].expand_as(waveform))
