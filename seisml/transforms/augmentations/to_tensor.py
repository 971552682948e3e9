"""A name that published configurations have."""

from __future__ import annotations

from seisml.transforms.augmentations.base import ViewAugmentation
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import View


class ToTensor(ViewAugmentation):
    """Do nothing: samples are tensors already. Published configurations name it."""

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the views as they are."""
        return views
