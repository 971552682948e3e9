"""ConvNetQuake's data: windows of noise and of earthquakes, which are labelled by their geographic cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from seisml.data.balanced import BalancedDataModule
from seisml.data.splits import Grouping, Procedure
from seisml.errors import UserError, nearest
from seisml.store.store import Store
from seisml.values.class_names import NOISE


class ConvNetQuakeDataModule(BalancedDataModule):
    """A store of noise and event windows; half of every training batch is noise.

    Args:
        root: Folder of the store.
        noise_class: Class that means "no event"; it comes first, as class 0.
        in_channels: Components that the network sees at once.
        split_procedure: See :class:`StoreDataModule`.
        split_by: ``event`` keeps the windows of an earthquake together, ``time`` tests on the last ones.
        balanced: False takes windows as they come.
        **kwargs: See :class:`StoreDataModule`.
    """

    def __init__(
        self,
        root: str,
        noise_class: str = NOISE,
        in_channels: int = 3,
        split_procedure: Procedure = "fixed_test",
        split_by: Grouping = "event",
        balanced: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            root,
            balanced,
            in_channels=in_channels,
            split_procedure=split_procedure,
            split_by=split_by,
            **kwargs,
        )
        self.noise_class = noise_class

    def open_store(self) -> Store:
        """Open the store, noise being class 0.

        Raises:
            UserError: Where there is no store, or no noise in it.
        """
        store = super().open_store()
        if self.classes is None and self.label_column in store.metadata:
            found = set(store.metadata[self.label_column].dropna().astype(str)) - {self.unlabeled}
            self.classes = ordered_classes(found, self.noise_class)
        if self.noise_class not in (self.classes or ()):
            cure = nearest(self.noise_class, self.classes or ())
            raise UserError(f"dataset.noise_class: {self.root} has no class {self.noise_class!r}; {cure}")
        return store

    def how_to_make(self) -> str:
        """Say how the store is made."""
        return f"make one with `seisml prepare convnetquake ... --out {self.root}` or point dataset.root=... at yours"

    def groups(self) -> list[np.ndarray]:
        """Rows of the training part: noise, and events of all clusters."""
        rows = self.labelled(self.split.train)
        is_noise = self.labels[rows] == self.facts.classes.index(self.noise_class)
        return [rows[is_noise], rows[~is_noise]]


def ordered_classes(names: Iterable[str], noise_class: str = NOISE) -> tuple[str, ...]:
    """Noise first, then the others with their numbers in order (cluster_2 before cluster_10)."""

    def key(name: str) -> tuple[bool, list[tuple[int, int, str]]]:
        parts = re.findall(r"\d+|\D+", name)
        return name != noise_class, [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]

    return tuple(sorted(names, key=key))
