"""Noise that was recorded."""

from __future__ import annotations

from torch import Tensor, where

from seisml.errors import UserError
from seisml.transforms.augmentations.base import WaveformAugmentation, chosen
from seisml.transforms.randomness import SampleRandom


class RecordedNoise(WaveformAugmentation):
    """Add recorded noise to a share of the waveforms, at a signal-to-noise ratio drawn for each sample.

    The noise is another record of the training part, of the class that ``dataset.recorded_noise`` names. The ratio is
    that of the standard deviations over the whole waveform, channel by channel: a dead channel stays dead, and dead
    noise adds nothing.

    Args:
        low: Smallest signal-to-noise ratio, in dB (20 log10 of the ratio of standard deviations).
        high: Largest.
        share: Share of the samples that get noise.

    Raises:
        UserError: Unless low <= high and 0 <= share <= 1, or where batches carry no noise.
    """

    def __init__(self, low: float = 0.0, high: float = 20.0, share: float = 0.5) -> None:
        super().__init__()
        self.low, self.high = self.check_range(low, high, float("-inf"))
        self.share = self.check_share(share)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}, share={self.share:g}"

    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Return the waveforms (B, C, T), some of them with noise."""
        if noise is None:
            raise UserError(
                "augmentations: RecordedNoise needs recorded noise, and batches carry none; name the class that means "
                "noise (dataset.recorded_noise=Noise), or leave it out"
            )
        noise = noise - noise.mean(-1, keepdim=True)
        ratio = 10 ** (random.uniform("snr", 1, self.low, self.high) / 20)  # (B, 1)
        size, loudness = waveform.std(-1, keepdim=True), noise.std(-1, keepdim=True)  # (B, C, 1)
        gain = size / (ratio[..., None] * loudness).clamp_min(1e-30)
        gain = where(loudness > 0, gain, 0.0)
        return where(chosen(random, self.share), waveform + gain * noise, waveform)
