"""Changes of amplitude."""

from __future__ import annotations

from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.picture import Picture, WaveformPicture
from seisml.transforms.randomness import SampleRandom

View = Tensor | Picture | WaveformPicture


class RandomAmplitudeJitter(nn.Module):
    """Multiply each view of each sample by a factor of its own from U(low, high).

    Args:
        low: Smallest factor.
        high: Largest factor.
    """

    def __init__(self, low: float = 0.7, high: float = 1.3):
        super().__init__()
        if not 0 < low <= high:
            raise UserError(f"RandomAmplitudeJitter: need 0 < low <= high, not low={low}, high={high}")
        self.low, self.high = float(low), float(high)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the views multiplied by their factors."""
        factors = random.uniform("factor", len(views), self.low, self.high)  # (B, views)
        return tuple(view * _column(factors[:, k], view) for k, view in enumerate(views))


def _column(factor: Tensor, view: View) -> Tensor:
    """Shape a factor per sample so that it broadcasts to the view."""
    if isinstance(view, Tensor):
        return factor.to(view.dtype).reshape(-1, *[1] * (view.ndim - 1))
    return factor.reshape(-1, 1, 1, 1)


class ToTensor(nn.Module):
    """Do nothing: views are tensors already. Named by published configurations."""

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the views as they are."""
        return views
