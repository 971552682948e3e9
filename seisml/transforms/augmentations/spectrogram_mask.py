"""Parts of a spectrogram that are hidden (SpecAugment; Park et al. 2019, arXiv 1904.08779)."""

from __future__ import annotations

import torch
from torch import Tensor, where

from seisml.errors import UserError
from seisml.transforms.augmentations.base import ViewAugmentation
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import Crop, View


class SpectrogramMask(ViewAugmentation):
    """Hide bands of frequencies and stretches of time of each view, at other places and of other widths each time.

    Args:
        frequency: Widest band, as a fraction of the frequencies; widths are uniform up to it.
        time: Longest stretch, as a fraction of the length; likewise.
        bands: How many of both.

    Raises:
        UserError: Unless both fractions lie in [0, 1) and bands >= 1.
    """

    def __init__(self, frequency: float = 0.2, time: float = 0.2, bands: int = 1) -> None:
        super().__init__()
        if not 0 <= frequency < 1 or not 0 <= time < 1 or bands < 1:
            raise UserError(
                f"SpectrogramMask: frequency={frequency} and time={time} lie in [0, 1), and bands={bands} is 1 or more"
            )
        self.frequency, self.time, self.bands = float(frequency), float(time), int(bands)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"frequency={self.frequency:g}, time={self.time:g}, bands={self.bands}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the views with 0, what the floor is, in place of what is hidden."""
        shape = (len(views), 2, self.bands, 2)  # of each axis the widths and the places
        drawn = random.uniform("bands", len(views) * 4 * self.bands).unflatten(1, shape)
        return tuple(Crop(self._hidden(view.full(), drawn[:, k])) for k, view in enumerate(views))

    def _hidden(self, picture: Tensor, drawn: Tensor) -> Tensor:
        if picture.ndim < 4:
            raise UserError("augmentations: SpectrogramMask hides parts of spectrograms, not of waveforms")
        frequencies = inside_bands(drawn[:, 0], self.frequency, picture.shape[-2])  # (B, F)
        times = inside_bands(drawn[:, 1], self.time, picture.shape[-1])  # (B, W)
        return where(frequencies[:, None, :, None] | times[:, None, None, :], 0.0, picture)


def inside_bands(drawn: Tensor, widest: float, size: int) -> Tensor:
    """Tell which places of an axis lie in one of some bands.

    Args:
        drawn: Width, as a share of the widest, and place of each band, (B, bands, 2) in [0, 1).
        widest: Widest band, as a fraction of the axis.
        size: Length of the axis.

    Returns:
        (B, size) bool.
    """
    width = drawn[..., :1] * widest * size  # (B, bands, 1)
    begin = drawn[..., 1:] * (size - width)
    place = torch.arange(size, device=drawn.device) + 0.5
    return ((place >= begin) & (place < begin + width)).any(1)
