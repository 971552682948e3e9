"""Amplitudes: bringing them to one scale, and changing them at random."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn, where
from torch.linalg import vector_norm

from seisml.errors import UserError, nearest
from seisml.transforms.picture import Picture, WaveformPicture
from seisml.transforms.randomness import SampleRandom

View = Tensor | Picture | WaveformPicture
NORMALIZATIONS = ("std", "peak")


def check_normalize(normalize: str | None) -> None:
    """Raise a UserError unless ``normalize`` is one that :func:`normalized` knows, or None."""
    if normalize is not None and normalize not in NORMALIZATIONS:
        raise UserError(
            f"front_end.normalize: {normalize!r} is unknown; {nearest(normalize, (*NORMALIZATIONS, 'null'))}"
        )


def normalized(x: Tensor, how: Literal["std", "peak"] | None) -> Tensor:
    """Remove each trace's mean and divide by its size.

    Args:
        x: Waveforms, (..., T).
        how: By the standard deviation (``"std"``), the largest absolute value (``"peak"``), or not at all (None).

    Returns:
        (..., T); exactly zero for a constant trace.
    """
    x = x - x[..., :1]  # exact for a constant trace, where the mean alone would leave rounding errors to be blown up
    x = x - x.mean(dim=-1, keepdim=True)
    if how is None:
        return x
    if how == "std":  # a norm takes a tenth of the time of Tensor.std
        size = vector_norm(x, dim=-1, keepdim=True) / max(x.shape[-1] - 1, 1) ** 0.5
    else:
        size = x.abs().amax(dim=-1, keepdim=True)
    return x / where(size > 0, size, 1.0)


class RandomAmplitudeJitter(nn.Module):
    """Multiply each view of each sample by a factor of its own from U(low, high).

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
        """Return the views, tensors (B, C, ...) or pictures, multiplied by their factors."""
        factors = random.uniform("factor", len(views), self.low, self.high)  # (B, views)
        return tuple(view * _per_sample(factors[:, k], view) for k, view in enumerate(views))


def _per_sample(factor: Tensor, view: View) -> Tensor:
    """Shape a factor per sample (B,) so that it broadcasts to the view."""
    if isinstance(view, Tensor):
        return factor.to(view.dtype).reshape(-1, *[1] * (view.ndim - 1))
    return factor


class ToTensor(nn.Module):
    """Do nothing: views are tensors already. Published configurations name it."""

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the views as they are."""
        return views
