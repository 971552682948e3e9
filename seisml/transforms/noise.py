"""Noise added to waveforms while training."""

from __future__ import annotations

from torch import Tensor, nn, where

from seisml.errors import UserError
from seisml.transforms.amplitude import View
from seisml.transforms.picture import WaveformPicture
from seisml.transforms.randomness import SampleRandom


class GaussianNoise(nn.Module):
    """Add white Gaussian noise to a share of the waveforms, in proportion to each channel's own standard deviation.

    ConvNetQuake's augmentation (Perol, Gharbi and Denolle 2018). Noise windows get it as often as event windows, so
    that its presence tells nothing.

    Args:
        low: Least standard deviation of the noise, in those of the channel.
        high: Largest.
        share: Share of the waveforms that get noise; the others stay as they are.
        keep_std: Bring each channel back to the standard deviation it had, as if the noise had been in the ground
            before the waveforms were normalised.

    Shapes:
        Waveforms (B, C, T), as tensors or :class:`WaveformPicture`; tensors come out.

    Raises:
        UserError: Unless 0 <= low <= high and 0 <= share <= 1, or where the views are not waveforms.
    """

    def __init__(self, low: float = 1.0, high: float = 1.2, share: float = 0.5, keep_std: bool = True) -> None:
        super().__init__()
        if not 0 <= low <= high:
            raise UserError(f"GaussianNoise: low={low}, high={high} must satisfy 0 <= low <= high")
        if not 0 <= share <= 1:
            raise UserError(f"GaussianNoise: share={share} must lie between 0 and 1")
        self.low, self.high, self.share, self.keep_std = float(low), float(high), float(share), bool(keep_std)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}, share={self.share:g}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[Tensor, ...]:
        """Return the waveforms, some of them with noise."""
        return tuple(self._noisy(view, random.fork(str(k))) for k, view in enumerate(views))

    def _noisy(self, view: View, random: SampleRandom) -> Tensor:
        x = view.full() if isinstance(view, WaveformPicture) else view
        if not isinstance(x, Tensor) or x.ndim != 3:
            raise UserError("augmentations: GaussianNoise takes waveforms; choose front_end=waveform, or leave it out")
        channels, n_samples = x.shape[1:]
        size = random.uniform("size", channels, self.low, self.high).to(x.dtype)[..., None]  # (B, C, 1)
        noise = random.normal("noise", channels * n_samples).reshape(x.shape).to(x.dtype)
        noisy = x + size * x.std(-1, keepdim=True) * noise
        if self.keep_std:
            noisy = noisy / (1 + size.square()).sqrt()
        return where(random.uniform("whether", 1)[..., None] < self.share, noisy, x)
