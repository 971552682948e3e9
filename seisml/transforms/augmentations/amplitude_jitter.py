"""Amplitudes of views."""

from __future__ import annotations

from seisml.errors import UserError
from seisml.transforms.augmentations.base import ViewAugmentation
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import View


class RandomAmplitudeJitter(ViewAugmentation):
    """Multiply each view of each sample by another factor from U(low, high).

    Args:
        low: Smallest factor.
        high: Largest factor.

    Raises:
        UserError: Unless 0 < low <= high.
    """

    def __init__(self, low: float = 0.7, high: float = 1.3):
        super().__init__()
        if not 0 < low <= high:
            raise UserError(f"RandomAmplitudeJitter: low={low}, high={high} must satisfy 0 < low <= high")
        self.low, self.high = float(low), float(high)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the views multiplied by their factors."""
        factors = random.uniform("factor", len(views), self.low, self.high)  # (B, views)
        return tuple(view.scale(factors[:, k]) for k, view in enumerate(views))
