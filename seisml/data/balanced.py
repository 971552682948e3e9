"""Batches in which every class, or every group of classes, has the same number of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.data.sampling import EpochSampler, Key
from seisml.data.windows import Windows
from seisml.errors import UserError


class BalancedSampler(EpochSampler):
    """Takes windows from several groups by turns: each run of as many as there are groups holds one of each.

    An epoch goes once through the largest group; the others are gone through, shuffled anew each time, as often as that
    takes. The order depends on (seed, epoch) alone. The epoch in a key counts how often its group has been gone
    through, so that a window met again within one epoch is drawn and augmented otherwise.

    Args:
        groups: Windows of each group, not empty.
        seed: Seed of the order.
        rank: This process among ``world_size``; each takes every ``world_size``-th window.
        world_size: Number of training processes.
        random_starts: See :class:`EpochSampler`.
    """

    def __init__(
        self, groups: Sequence[Windows], seed: int, rank: int = 0, world_size: int = 1, random_starts: bool = False
    ) -> None:
        super().__init__(max(groups, key=len), seed, True, rank, world_size, random_starts)
        self.groups = groups

    @property
    def total(self) -> int:
        """Samples of an epoch, of all processes: one of each group for each window of the largest."""
        return len(self.windows) * len(self.groups)

    def keys(self) -> Iterator[Key]:
        """The epoch's keys, of all processes."""
        columns = [self._passes(number) for number in range(len(self.groups))]
        for turn in zip(*columns, strict=True):
            yield from turn

    def _passes(self, number: int) -> Iterator[Key]:
        """Keys of the group over the turns of the epoch."""
        group, longest = self.groups[number], len(self.windows)
        passes = -(-longest // len(group))
        order = np.concatenate([
            np.random.default_rng([self.seed, self.epoch, number, repeat]).permutation(len(group))
            for repeat in range(passes)
        ])  # fmt: skip
        epochs = self.epoch * passes + np.repeat(np.arange(passes), len(group))
        return self._keys(group, order[:longest], epochs[:longest])


class BalancedDataModule(StoreDataModule):
    """A data module whose training batches take the same number of records from each group.

    Args:
        root: See :class:`StoreDataModule`.
        balanced: Whether training batches are balanced.
        **kwargs: See :class:`StoreDataModule`.
    """

    def __init__(self, root: str, balanced: bool = True, **kwargs: object) -> None:
        super().__init__(root, **kwargs)
        self.balanced = balanced

    def groups(self) -> list[np.ndarray]:
        """Rows of the training part by group: the classes, here."""
        rows = self.labelled(self.split.train)
        return [rows[self.labels[rows] == label] for label in range(len(self.facts.classes))]

    def training_labels(self) -> torch.Tensor:
        """The labels that an epoch of training meets: those of smaller groups again and again."""
        groups = [windows for windows in map(self.windows, self.groups()) if len(windows)]
        if not self.balanced or self.is_ssl or not groups:
            return super().training_labels()
        longest = max(len(windows) for windows in groups)
        each = [self.labels_of(windows, np.resize(np.arange(len(windows)), longest)) for windows in groups]
        return torch.cat(each)

    def train_sampler(self) -> EpochSampler:
        """The order of training: as many windows of each group in every batch."""
        sampler = super().train_sampler()
        if not self.balanced or self.is_ssl:
            return sampler
        groups = [windows for windows in map(self.windows, self.groups()) if len(windows)]
        if len(groups) < 2:
            raise UserError(
                f"{self.root}: the training part has records of one group only, which gives no balanced batches; "
                "set dataset.balanced=false, or another dataset.train_test_split_rand_seed"
            )
        if self.batch_size % len(groups):
            raise UserError(
                f"dataset.batch_size: {self.batch_size} is not a multiple of {len(groups)}, the number of groups in a "
                f"balanced batch; set {max(1, self.batch_size // len(groups)) * len(groups)}"
            )
        return BalancedSampler(groups, self.seed, sampler.rank, sampler.world_size, self.random_starts)
