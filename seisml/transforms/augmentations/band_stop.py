"""Bands of frequencies that are missing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import WaveformAugmentation, chosen
from seisml.transforms.randomness import SampleRandom


class BandStop(WaveformAugmentation):
    """Take a band of frequencies out of a share of the samples, all channels alike, without phase.

    Bands are as wide as drawn, in octaves, and lie evenly over the logarithm of frequency from ``lowest`` to half the
    sampling rate. Nothing passes in the band; outside of it the gain rises along a cosine over ``edge`` octaves.

    Args:
        low: Least width of the band, in octaves.
        high: Largest width.
        lowest: Where the lowest bands begin, as a share of half the sampling rate.
        edge: Width of each edge, in octaves.
        share: Share of the samples.

    Raises:
        UserError: Unless 0 < low <= high, 0 < lowest < 1, edge > 0, 0 <= share <= 1, and the widest band fits in.
    """

    def __init__(
        self, low: float = 0.5, high: float = 1.5, lowest: float = 0.02, edge: float = 0.25, share: float = 0.5
    ) -> None:
        super().__init__()
        if not (0 < low <= high and 0 < lowest < 1 and 0 < edge < float("inf")):
            raise UserError(
                f"BandStop: low={low}, high={high}, lowest={lowest}, edge={edge} must satisfy 0 < low <= high, "
                "0 < lowest < 1 and 0 < edge"
            )
        if high > -math.log2(lowest):
            raise UserError(
                f"BandStop: a band of high={high} octaves does not fit between lowest={lowest} and 1, which is half "
                "the sampling rate; lower one of them"
            )
        self.low, self.high, self.lowest = float(low), float(high), float(lowest)
        self.edge, self.share = float(edge), self.check_share(share)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return (
            f"low={self.low:g}, high={self.high:g}, lowest={self.lowest:g}, edge={self.edge:g}, share={self.share:g}"
        )

    def bands(self, random: SampleRandom) -> tuple[Tensor, Tensor]:
        """Draw the first and the last frequency of each sample's band, (B, 1), as shares of half the sampling rate."""
        width = random.uniform("width", 1, self.low, self.high)  # octaves
        begin = self.lowest * (2**-width / self.lowest) ** random.uniform("begin", 1)
        return begin, begin * 2**width

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), some of them without a band; their means stay."""
        n_samples = waveform.shape[-1]
        mean = waveform.float().mean(-1, keepdim=True)
        spectrum = torch.fft.rfft(waveform.float() - mean)  # (B, C, T // 2 + 1)
        frequency = torch.arange(spectrum.shape[-1], device=waveform.device) * 2 / n_samples  # 1 = half the rate
        octave = frequency.clamp_min(1 / n_samples).log2()
        first, last = (edge.log2() for edge in self.bands(random))
        distance = torch.maximum(first - octave, octave - last)  # octaves from the band, (B, T // 2 + 1)
        gain = 0.5 - 0.5 * torch.cos(torch.pi * (distance / self.edge).clamp(0, 1))
        filtered = torch.fft.irfft(spectrum * gain[:, None], n_samples) + mean
        return torch.where(chosen(random, self.share), filtered.to(waveform.dtype), waveform)
