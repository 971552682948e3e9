"""How alike moments of a record look: what tells before training which views a data set has something to learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from seisml.errors import UserError

AUTO = "auto"  # a setting that is left to the training data


class ToldApart(NamedTuple):
    """How often a crop resembles its partner more than another crop.

    Attributes:
        share: Share of the samples; 0.5 where both look alike.
        samples: Their number.
    """

    share: float
    samples: int

    @property
    def error(self) -> float:
        """Standard error of the share where both look alike: 0.5 / sqrt(samples)."""
        return 0.5 / math.sqrt(self.samples)

    @property
    def excess(self) -> float:
        """What the share is above chance, from 0 to 1; 0 within two standard errors of chance."""
        above = self.share - 0.5
        return 2 * above if above > 2 * self.error else 0.0


def mean_spectra(crop: Tensor, setting: str) -> Tensor:
    """Means of pictures (B, C, F, w) over their columns, (B, C * F).

    Args:
        crop: The pictures.
        setting: What is left to the data, for messages.

    Raises:
        UserError: The crops are waveforms.
    """
    if crop.ndim < 4:
        raise UserError(f"{setting}: auto compares spectra of crops, and these are waveforms; give a number")
    return crop.mean(dim=-1).flatten(1)


def told_apart(reference: Tensor, near: Tensor, far: Tensor) -> ToldApart:
    """Count how often ``near`` lies nearer to ``reference`` than ``far`` does.

    Distances are Euclidean, each feature divided by its standard deviation over all three; of equal distances each
    counts half. Nothing is trained: a network may tell more, but where spectra differ it has something to begin with.

    Args:
        reference: Features, (N, D).
        near: Of what should resemble it, (N, D).
        far: Of what should not, (N, D).
    """
    spread = torch.cat([reference, near, far]).std(dim=0, correction=0)
    scale = torch.where(spread > 0, spread, torch.ones_like(spread))
    to_near, to_far = (((reference - other) / scale).norm(dim=1) for other in (near, far))
    wins = (to_near < to_far).double() + 0.5 * (to_near == to_far).double()
    return ToldApart(float(wins.mean()), len(wins))


class Likeness:
    """Counts over the batches of training data how far crops are told apart; only their mean spectra are kept.

    Args:
        setting: What is left to the data, for messages (``exp_params.rho``).
    """

    def __init__(self, setting: str) -> None:
        self.setting = setting
        self._spectra: list[tuple[Tensor, ...]] = []

    def add(self, reference: Tensor, near: Tensor, far: Tensor) -> None:
        """Take up a batch of crops, each (B, C, F, w)."""
        self._spectra.append(tuple(mean_spectra(crop, self.setting) for crop in (reference, near, far)))

    def told_apart(self) -> ToldApart:
        """How far ``near`` and ``far`` are told apart."""
        return told_apart(*(torch.cat(parts) for parts in zip(*self._spectra, strict=True)))


def no_worse_than_best(told: Mapping[float, ToldApart]) -> dict[float, ToldApart]:
    """Keep what tells most, and what tells no less by more than a standard error."""
    most = max((one.share for one in told.values()), default=0.0)
    return {width: one for width, one in told.items() if one.share >= most - one.error}
