"""Crops along time: views for self-supervised learning."""

from __future__ import annotations

import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import ViewAugmentation
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import Crop, View


def neighboring_centers(random: SampleRandom, width: float = 0.1, shift: float = 0.25) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the centres of a reference crop, a neighbouring and a non-neighbouring one.

    With r = ``width`` and s = ``shift`` * r:

    - reference: t ~ U(s + r, 1 - s - r);
    - neighbour: t_l ~ N(t, (s / 2)^2) truncated to (t - s, t + s);
    - non-neighbour: t_k ~ U(s + r, 1 - s - r) conditioned on |t_k - t| > s + r, by inverting its distribution function.

    Args:
        random: Random numbers of the batch.
        width: Crop width as a fraction of the length.
        shift: Largest shift of the neighbour, in crop widths.

    Returns:
        t, t_l, t_k: each (B,) float32, as fractions of the length.

    Raises:
        UserError: ``width`` and ``shift`` that would leave no room for a non-neighbour.
    """
    check_neighboring(width, shift)
    s = shift * width
    distance = s + width
    low, high = distance, 1.0 - distance
    t = random.uniform("reference", 1, low, high)[:, 0]
    t_l = random.truncated_normal("neighbor", t, s / 2, t - s, t + s)[:, 0]
    left = (t - distance - low).clamp_min(0.0)  # room to the left of the reference, (B,)
    right = (high - t - distance).clamp_min(0.0)
    u = random.uniform("non_neighbor", 1)[:, 0] * (left + right)
    t_k = torch.where(u < left, low + u, t + distance + (u - left))
    return t, t_l, t_k


def check_neighboring(width: float, shift: float) -> None:
    """Raise a UserError unless every reference leaves room for a non-neighbour.

    Centres lie in [d, 1 - d] with d = (1 + shift) * width. A reference in the middle must have more than d on some side
    of it: (1 - 2 d) / 2 > d.
    """
    if not width > 0 or not shift > 0:
        raise UserError(f"NeighboringCrop: width ({width}) and shift ({shift}) must be above 0")
    distance = width * (1 + shift)
    if distance >= 0.25:
        raise UserError(
            f"NeighboringCrop: width * (1 + shift) is {distance:.3g}, but a reference in the middle has a "
            f"non-neighbour only where it is below 0.25; set width below {0.25 / (1 + shift):.3g}"
        )


class NeighboringCrop(ViewAugmentation):
    """Reference crop from the first view; neighbouring and non-neighbouring crops from the second.

    The centres are those of :func:`neighboring_centers`.

    Args:
        width: Crop width as a fraction of the length.
        shift: Largest shift of the neighbour, in crop widths.
    """

    def __init__(self, width: float = 0.1, shift: float = 0.25):
        super().__init__()
        check_neighboring(width, shift)
        self.width, self.shift = float(width), float(shift)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"width={self.width:g}, shift={self.shift:g}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return reference, neighbour and non-neighbour."""
        first, second = _two_views(views, "NeighboringCrop")
        t, t_l, t_k = neighboring_centers(random, self.width, self.shift)
        return first.crop(t, self.width), second.crop(t_l, self.width), second.crop(t_k, self.width)


class RandomCrop(ViewAugmentation):
    """One crop from each of two views, independently, centres uniform between ``margin`` crop widths from either end.

    Args:
        width: Crop width as a fraction of the length.
        margin: Least distance of a centre from the ends, in crop widths: 1 as published, so that the ends are seen
            less often; 0.5 lets crops lie anywhere.
    """

    def __init__(self, width: float = 0.1, margin: float = 1.0):
        super().__init__()
        if not 0 < width <= 1:
            raise UserError(f"RandomCrop: width ({width}) must be above 0 and at most 1")
        if not 0.5 <= margin <= 0.5 / width:
            raise UserError(
                f"RandomCrop: margin ({margin}) lies between 0.5 and {0.5 / width:.3g} for crops of width {width:g}; "
                "set margin=0.5"
            )
        self.width, self.margin = float(width), float(margin)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"width={self.width:g}, margin={self.margin:g}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return one crop per view."""
        first, second = _two_views(views, "RandomCrop")
        least = self.margin * self.width
        centers = random.uniform("center", 2, least, 1 - least)
        return first.crop(centers[:, 0], self.width), second.crop(centers[:, 1], self.width)


class ResizedCrop(ViewAugmentation):
    """One crop from each view, of any width, drawn out to the length of the whole.

    Large and small crops together: a network learns what lasts as well as what is short, at one picture size.

    Args:
        low: Least width, as a fraction of the length.
        high: Largest width.

    Raises:
        UserError: Unless 0 < low <= high <= 1.
    """

    def __init__(self, low: float = 0.2, high: float = 1.0):
        super().__init__()
        if not 0 < low <= high <= 1:
            raise UserError(f"ResizedCrop: low={low}, high={high} must satisfy 0 < low <= high <= 1")
        self.low, self.high = float(low), float(high)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"low={self.low:g}, high={self.high:g}"

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return one crop per view, (B, C, F, W) like the whole."""
        widths = random.uniform("width", len(views), self.low, self.high)
        begins = random.uniform("begin", len(views)) * (1 - widths)  # (B, views)
        return tuple(Crop(_stretched(view.full(), begins[:, k], widths[:, k])) for k, view in enumerate(views))


def _stretched(picture: Tensor, begin: Tensor, width: Tensor) -> Tensor:
    """Columns of pictures (B, C, F, W) from a fraction ``begin`` on, over ``width`` of the length, W again.

    Linear between the middles of columns; those at the ends are repeated.
    """
    if picture.ndim < 4:
        raise UserError("augmentations: ResizedCrop draws out spectrograms; that of a waveform would change its pitch")
    size = picture.shape[-1]
    place = (torch.arange(size, device=picture.device) + 0.5) / size  # middles of columns, in [0, 1]
    source = ((begin[:, None] + width[:, None] * place) * size - 0.5).clamp(0, size - 1)  # (B, W)
    left = source.floor().long().clamp(max=max(0, size - 2))
    weight = (source - left)[:, None, None].to(picture.dtype)
    left, right = (
        picture.gather(-1, column.clamp(max=size - 1)[:, None, None].expand_as(picture)) for column in (left, left + 1)
    )
    return left + weight * (right - left)


def _two_views(views: tuple[View, ...], name: str) -> tuple[View, View]:
    if len(views) != 2:
        raise UserError(f"augmentations: {name} takes two whole pictures, not {len(views)}; name one crop only")
    return views[0], views[1]
