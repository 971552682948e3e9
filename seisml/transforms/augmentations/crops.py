"""Crops along time: views for self-supervised learning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import ViewAugmentation
from seisml.transforms.crop_width import CropOfWidth, two_views
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


class NeighboringCrop(CropOfWidth):
    """Reference crop from the first view; neighbouring and non-neighbouring crops from the second.

    The centres are those of :func:`neighboring_centers`.

    Args:
        width: Crop width as a fraction of the length. ``auto`` takes it from the training data: the widest that tells
            neighbours from others, by their mean spectra, as well as any. (Tonekaboni et al. 2021 let a test of
            stationarity say how far a neighbourhood reaches; here what is asked is what the loss will ask.)
        shift: Largest shift of the neighbour, in crop widths.
    """

    WIDTHS = (0.05, 0.075, 0.1, 0.125, 0.15, 0.175)

    def __init__(self, width: float | Literal["auto"] = 0.1, shift: float = 0.25):
        super().__init__(width)
        check_neighboring(self.width, shift)
        self.shift = float(shift)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"{self.said()}, shift={self.shift:g}"

    def has_room(self, width: float) -> bool:
        """Whether every reference leaves room for a non-neighbour."""
        return width * (1 + self.shift) < 0.25

    def to_compare(self, views: tuple[View, View], random: SampleRandom, width: float) -> tuple[Tensor, Tensor, Tensor]:
        """Reference, neighbour and non-neighbour."""
        reference, neighbor, non_neighbor = (crop.full() for crop in self._crops(views, random, width))
        return reference, neighbor, non_neighbor

    def choose(self, widths: Iterable[float]) -> float:
        """The widest: it shows most."""
        return max(widths)

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return reference, neighbour and non-neighbour."""
        return self._crops(two_views(views, "NeighboringCrop"), random, self.settled())

    def _crops(self, views: tuple[View, View], random: SampleRandom, width: float) -> tuple[View, View, View]:
        first, second = views
        t, t_l, t_k = neighboring_centers(random, width, self.shift)
        return first.crop(t, width), second.crop(t_l, width), second.crop(t_k, width)


class RandomCrop(CropOfWidth):
    """One crop from each of two views, independently, centres uniform between ``margin`` crop widths from either end.

    Args:
        width: Crop width as a fraction of the length. ``auto`` takes it from the training data: the narrowest whose
            pairs are told from crops of other samples, by their mean spectra, as well as any. (Views should share what
            says of which record they are, and little else: Tian et al. 2020, arXiv 2005.10243.)
        margin: Least distance of a centre from the ends, in crop widths: 1 as published, so that the ends are seen
            less often; 0.5 lets crops lie anywhere.
    """

    WIDTHS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75)

    def __init__(self, width: float | Literal["auto"] = 0.1, margin: float = 1.0):
        super().__init__(width)
        if not 0 < self.width <= 1:
            raise UserError(f"RandomCrop: width ({self.width}) must be above 0 and at most 1")
        if not 0.5 <= margin <= 0.5 / self.width:
            raise UserError(
                f"RandomCrop: margin ({margin}) lies between 0.5 and {0.5 / self.width:.3g} for crops of width "
                f"{self.width:g}; set margin=0.5"
            )
        self.margin = float(margin)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"{self.said()}, margin={self.margin:g}"

    def has_room(self, width: float) -> bool:
        """Whether the margins leave room for a centre."""
        return self.margin * width <= 0.5

    def to_compare(self, views: tuple[View, View], random: SampleRandom, width: float) -> tuple[Tensor, Tensor, Tensor]:
        """A crop, its partner, and the partner of the sample before."""
        reference, near = (crop.full() for crop in self._crops(views, random, width))
        return reference, near, near.roll(1, 0)

    def choose(self, widths: Iterable[float]) -> float:
        """The narrowest: it shares least beside."""
        return min(widths)

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return one crop per view."""
        return self._crops(two_views(views, "RandomCrop"), random, self.settled())

    def _crops(self, views: tuple[View, View], random: SampleRandom, width: float) -> tuple[View, View]:
        first, second = views
        centers = random.uniform("center", 2, self.margin * width, 1 - self.margin * width)
        return first.crop(centers[:, 0], width), second.crop(centers[:, 1], width)


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
