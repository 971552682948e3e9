"""Filters as instruments, paths and sites have them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import WaveformAugmentation, chosen
from seisml.transforms.randomness import SampleRandom


class SpectralGain(WaveformAugmentation):
    """Filter a share of the samples by a smooth random gain over frequency, all channels alike, without phase.

    The gain, in dB, is normal at ``points`` frequencies from 0 to half the sampling rate and linear in between. Another
    station sees the same event through another path, site and instrument: spectral colour does not mark an event.

    Args:
        std: Standard deviation of the gain, in dB.
        points: Frequencies at which it is drawn, 2 or more.
        share: Share of the samples.

    Raises:
        UserError: Unless std >= 0, points >= 2 and 0 <= share <= 1.
    """

    def __init__(self, std: float = 6.0, points: int = 8, share: float = 1.0) -> None:
        super().__init__()
        if not 0 <= std < float("inf") or points < 2:
            raise UserError(f"SpectralGain: std={std}, points={points} must be 0 or more, and 2 or more")
        self.std, self.points, self.share = float(std), int(points), self.check_share(share)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"std={self.std:g}, points={self.points}, share={self.share:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), some of them filtered; their means stay."""
        n_samples = waveform.shape[-1]
        mean = waveform.mean(-1, keepdim=True)
        spectrum = torch.fft.rfft(waveform.float() - mean.float())  # (B, C, T // 2 + 1)
        decibel = self.std * random.normal("gain", self.points)[:, None]  # (B, 1, points)
        decibel = F.interpolate(decibel, spectrum.shape[-1], mode="linear", align_corners=True)
        filtered = torch.fft.irfft(spectrum * 10 ** (decibel / 20), n_samples)
        return torch.where(chosen(random, self.share), filtered.to(waveform.dtype) + mean, waveform)
