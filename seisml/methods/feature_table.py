"""Features of a frozen encoder as one table, a row for each trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.processes.collectives import gather_values, this_process

Part = tuple[Tensor, Callable[[], Tensor]]  # places (n, 3) int64, and what gives their features (n, D)


class FeatureTable:
    """Features of traces by their place: record, first sample and trace.

    Args:
        places: (N, 3) int64, each once.
        features: (N, D).
    """

    def __init__(self, places: Tensor, features: Tensor) -> None:
        self.places, self.features = places, features
        self._values = [column.unique() for column in places.unbind(1)]  # sorted
        self._sorted, self._order = self._numbers(places).sort()

    @classmethod
    def filled(cls, parts: Iterable[Part], most: int) -> FeatureTable:
        """Make a table of parts, up to the one with which it would have more than ``most`` rows."""
        taken: list[tuple[Tensor, Tensor]] = []
        left = most
        for places, look in parts:
            left -= len(places)
            if left < 0:
                break
            taken.append((places, look()))
        if not taken:
            return cls(torch.empty(0, 3, dtype=torch.int64), torch.empty(0, 0))
        places, features = (torch.cat(columns) for columns in zip(*taken, strict=True))
        return cls(places, features)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it."""
        return {"places": self.places, "features": self.features}

    @classmethod
    def restored(cls, state: Mapping[str, Tensor], width: int, device: torch.device) -> FeatureTable:
        """Make a table of what a file says is the :meth:`state` of one.

        Args:
            state: Tensors that are whole.
            width: Features of the encoder.
            device: Where the table is to be.

        Raises:
            UserError: It is not, or one of another encoder.
        """
        if set(state) != {"places", "features"}:
            raise UserError("its table of features has not places and features")
        places, features = state["places"], state["features"]
        if places.dtype != torch.int64 or places.ndim != 2 or places.shape[1] != 3:
            raise UserError("places of its table of features are not three whole numbers each")
        expected = (len(places), width if len(places) else 0)
        if tuple(features.shape) != expected:
            raise UserError(f"its table of features has shape {tuple(features.shape)}, not {expected}")
        if not features.is_floating_point() or not torch.isfinite(features).all():
            raise UserError("its table of features holds what is not a finite number")
        return cls(places.to(device), features.to(device))

    def of_all_processes(self) -> FeatureTable:
        """The tables of all processes as one, the same in each."""
        if this_process()[1] == 1:
            return self
        device = self.places.device
        parts = [part for part in gather_values((self.places.cpu(), self.features.cpu())) if len(part[0])]
        if not parts:
            return self
        places, features = (torch.cat(columns).to(device) for columns in zip(*parts, strict=True))
        return FeatureTable(places, features)

    def recall(self, places: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the features of ``places`` (n, 3), (n, D).

        Args:
            places: Record, first sample and trace of each.
            look: Gives the features of those at some positions of ``places``; called where some are not in the table.
        """
        row = self._find(places)
        new = (row < 0).nonzero()[:, 0]
        if not len(new):
            return self.features[row]
        fresh = look(new)
        if len(new) == len(row):
            return fresh
        features = self.features.to(fresh.dtype)[row.clamp_min(0)]
        features[new] = fresh
        return features

    def holds(self, places: Tensor) -> bool:
        """Whether it has the features of all ``places`` (n, 3)."""
        return bool((self._find(places) >= 0).all())

    def _find(self, places: Tensor) -> Tensor:
        """Row of each place, (n,); -1 where it is not in the table."""
        if not len(self.places):
            return places.new_full((len(places),), -1)
        number = self._numbers(places)
        at = torch.searchsorted(self._sorted, number).clamp_max(len(self._sorted) - 1)
        return torch.where(self._sorted[at] == number, self._order[at], -1)

    def _numbers(self, places: Tensor) -> Tensor:
        """One number for each place, which orders them as a table of a few columns is ordered; -1 for an unknown one.

        It counts values that are there, and so stays below N cubed however long the records are.
        """
        number = torch.zeros_like(places[:, 0])
        known = torch.ones_like(number, dtype=torch.bool)
        for values, column in zip(self._values, places.unbind(1), strict=True):
            if not len(values):
                break
            at = torch.searchsorted(values, column.contiguous()).clamp_max(len(values) - 1)
            known &= values[at] == column
            number = number * len(values) + at
        return torch.where(known, number, -1)
