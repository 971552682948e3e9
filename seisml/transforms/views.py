"""Views: what augmentations change and networks look at, whole or cropped."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from seisml.errors import UserError


class View(ABC):
    """One look at the samples of a batch, between the front end and the network."""

    @abstractmethod
    def full(self) -> Tensor:
        """Return it as the network takes it: (B, C, F, W), or (B, C, T) where the network sees waveforms."""

    @abstractmethod
    def scale(self, factor: Tensor) -> View:
        """Return the view multiplied by a factor per sample, (B,)."""

    @abstractmethod
    def crop(self, center: Tensor, width: float) -> View:
        """Cut along time.

        Args:
            center: Of each sample's crop, as a fraction of the length, (B,) in [0, 1]. A crop that would stick out is
                moved inside.
            width: Of the crops, as a fraction of the length.

        Raises:
            UserError: The crop would cover fewer than 2 columns, or the view has been cropped already.
        """


class WholeView(View):
    """A view of whole records, of which any columns can be had."""

    recipe: str  # how the columns came about, for messages

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of columns."""

    @property
    @abstractmethod
    def source_width(self) -> int:
        """Number of columns that tell something new: those before any resizing."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of traces per sample."""

    @abstractmethod
    def columns(self, start: Tensor, width: int) -> Tensor:
        """Return ``full()[..., start : start + width]``, with a start for each sample, (B,) int64."""

    @abstractmethod
    def select(self, channel: int | Tensor) -> WholeView:
        """Return one trace per sample: the same of all samples, or one for each, (B,). The channel axis stays."""

    def crop(self, center: Tensor, width: float) -> Crop:
        """Return columns floor(center * W) - half up to + half, with ``half`` of :meth:`half_width`."""
        half = self.half_width(width)
        start = (center * self.width).floor().to(torch.int64) - half
        return Crop(self.columns(start.clamp(0, self.width - 2 * half), 2 * half))

    def half_width(self, width: float) -> int:
        """Return how many columns a crop reaches to either side of its centre: floor(width * W) // 2.

        Raises:
            UserError: The crop would cover fewer than 2 columns of the spectrogram.
        """
        resolved, half = self._columns_of(width)
        if not self.has_room(width):
            raise UserError(
                f"a crop of {width:g} of the length is {min(resolved, 2 * half)} of {self.source_width} columns wide "
                f"({self.recipe}), and 2 is the least; raise the crop's width, or lower front_end.nperseg, or raise "
                "front_end.noverlap"
            )
        return half

    def has_room(self, width: float) -> bool:
        """Whether a crop of this width, as a fraction of the length, covers the 2 columns that it must."""
        resolved, half = self._columns_of(width)
        return resolved >= 2 and half >= 1

    def _columns_of(self, width: float) -> tuple[int, int]:
        """Columns of the spectrogram in a crop, and columns of the view to either side of its centre."""
        return math.floor(width * self.source_width + 1e-9), math.floor(width * self.width + 1e-9) // 2


class Crop(View):
    """A part of a view, cut and computed.

    Args:
        values: (B, C, F, w), or (B, C, w) of waveforms.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"Crop({' x '.join(map(str, self.values.shape))})"

    def full(self) -> Tensor:
        """Return the crop as it is."""
        return self.values

    def scale(self, factor: Tensor) -> Crop:
        """Return the crop multiplied by a factor per sample, (B,)."""
        return Crop(self.values * factor.to(self.values.dtype).reshape(-1, *[1] * (self.values.ndim - 1)))

    def crop(self, center: Tensor, width: float) -> Crop:
        """Refuse: a crop of a crop has no published meaning."""
        raise UserError("augmentations: crops are cut from whole pictures, not from crops; name one crop only")
