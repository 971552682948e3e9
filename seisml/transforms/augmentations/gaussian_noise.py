"""Noise of a generator."""

from __future__ import annotations

from torch import Tensor, where

from seisml.transforms.augmentations.base import WaveformAugmentation, chosen
from seisml.transforms.randomness import SampleRandom


class GaussianNoise(WaveformAugmentation):
    """Add white Gaussian noise to a share of the waveforms, in proportion to each channel's standard deviation.

    ConvNetQuake's augmentation (Perol, Gharbi and Denolle 2018). Noise windows get it as often as event windows, so
    that its presence tells nothing.

    Args:
        low: Least standard deviation of the noise, in those of the channel.
        high: Largest.
        share: Share of the waveforms that get noise; the others stay as they are.
        keep_std: Bring each channel back to the standard deviation it had.

    Raises:
        UserError: Unless 0 <= low <= high and 0 <= share <= 1.
    """

    def __init__(self, low: float = 1.0, high: float = 1.2, share: float = 0.5, keep_std: bool = True) -> None:
        super().__init__()
        self.low, self.high = self.check_range(low, high, 0)
        self.share, self.keep_std = self.check_share(share), bool(keep_std)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}, share={self.share:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), some of them with noise."""
        channels, n_samples = waveform.shape[1:]
        size = random.uniform("size", channels, self.low, self.high).to(waveform.dtype)[..., None]  # (B, C, 1)
        white = random.normal("noise", channels * n_samples).reshape(waveform.shape).to(waveform.dtype)
        mean = waveform.mean(-1, keepdim=True)
        noisy = waveform - mean + size * waveform.std(-1, keepdim=True) * white
        if self.keep_std:
            noisy = noisy / (1 + size.square()).sqrt()
        return where(chosen(random, self.share), mean + noisy, waveform)
