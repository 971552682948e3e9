"""What to add to a power before its logarithm."""

from __future__ import annotations

import torch
from torch import Tensor

from seisml.errors import UserError

_LOW, _HIGH, _PER_DECADE = -60, 60, 100


class LogHistogram:
    """Histogram of log10(power) that takes in a data set batch by batch, in memory that does not grow."""

    def __init__(self):
        self.counts = torch.zeros((_HIGH - _LOW) * _PER_DECADE, dtype=torch.int64)

    def add(self, power: Tensor) -> None:
        """Count the powers above 0 of a batch, of any shape; non-finite ones are left out."""
        power = power[torch.isfinite(power) & (power > 0)].double()
        bins = ((power.log10() - _LOW) * _PER_DECADE).to(torch.int64).clamp_(0, len(self.counts) - 1)
        self.counts += torch.bincount(bins, minlength=len(self.counts)).cpu()

    def quantile(self, q: float) -> float:
        """Return the power below which a fraction ``q`` of all powers lies."""
        total = int(self.counts.sum())
        if not total:
            raise UserError(
                "front_end.floor: 'auto' found no live trace in the training data; set front_end.floor to a number"
            )
        cumulative = self.counts.cumsum(0)
        k = int(torch.searchsorted(cumulative, torch.tensor(q * total)))
        return 10.0 ** (min(k, len(self.counts) - 1) / _PER_DECADE + _LOW + 0.5 / _PER_DECADE)

    def floor(self) -> float:
        """Return the floor that just resolves the noise: a low quantile of the power."""
        return self.quantile(0.1)
