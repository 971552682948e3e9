"""Crops whose width the training data may choose."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Literal

from torch import Tensor

from seisml.errors import UserError
from seisml.transforms.augmentations.base import ViewAugmentation
from seisml.transforms.likeness import AUTO, Likeness, no_worse_than_best
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import View, WholeView


class CropOfWidth(ViewAugmentation):
    """Crops of one width from two whole views, whose width may be left to the training data (``auto``).

    Args:
        width: Crop width as a fraction of the length; ``auto``: one of :attr:`WIDTHS`.
    """

    WIDTHS: tuple[float, ...]

    def __init__(self, width: float | Literal["auto"]) -> None:
        super().__init__()
        self.fitted = width != AUTO
        try:
            self.width = float(width) if self.fitted else min(self.WIDTHS)
        except (TypeError, ValueError):
            name = type(self).__name__
            raise UserError(f"augmentations: {name}.width: {width!r} is neither a number nor {AUTO}") from None

    @abstractmethod
    def has_room(self, width: float) -> bool:
        """Whether crops may have this width."""

    @abstractmethod
    def to_compare(self, views: tuple[View, View], random: SampleRandom, width: float) -> tuple[Tensor, Tensor, Tensor]:
        """A reference, what should resemble it, and what should not; each (B, C, F, w)."""

    @abstractmethod
    def choose(self, widths: Iterable[float]) -> float:
        """Take one of the widths that tell equally much."""

    def fit(self, batches: Iterable[tuple[tuple[View, ...], SampleRandom]]) -> dict[str, float]:
        """Choose the width by what tells most of the crops that should resemble each other; see the class."""
        name = type(self).__name__
        likeness: dict[float, Likeness] = {}
        for views, random in batches:
            first, second = two_views(views, name)
            if not isinstance(first, WholeView):
                raise UserError(f"augmentations: {name}.width: auto looks at whole pictures; name {name} first")
            for width in self.WIDTHS:
                if self.has_room(width) and first.has_room(width):
                    crops = likeness.setdefault(width, Likeness(f"augmentations: {name}.width"))
                    crops.add(*self.to_compare((first, second), random, width))
        best = no_worse_than_best({width: crops.told_apart() for width, crops in likeness.items()})
        if not best:
            raise UserError(f"augmentations: {name}.width: auto finds no width for pictures of so few columns")
        self.width, self.fitted = self.choose(best), True
        return {"width": self.width, "told_apart": best[self.width].share}

    def settled(self) -> float:
        """The width.

        Raises:
            UserError: It is ``auto``, and nothing has fitted it.
        """
        if not self.fitted:
            name = type(self).__name__
            raise UserError(f"augmentations: {name}.width: auto has not been fitted to training data; give a number")
        return self.width

    def said(self) -> str:
        """The width, for ``print``."""
        return f"width={self.width:g}" if self.fitted else f"width={AUTO} (not fitted)"


def two_views(views: tuple[View, ...], name: str) -> tuple[View, View]:
    """Take two whole pictures apart; refuse any other number."""
    if len(views) != 2:
        cure = "set dataset.n_views=2, which pretraining has" if len(views) == 1 else "name one crop only"
        raise UserError(f"augmentations: {name} takes two whole pictures, not {len(views)}; {cure}")
    return views[0], views[1]
