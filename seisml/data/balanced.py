"""Batches in which every class, or every group of classes, has the same number of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader

from seisml.data.datamodule import StoreDataModule
from seisml.data.sampling import EpochSampler, Key
from seisml.errors import UserError

REPEAT = 1 << 32  # a row met again within an epoch counts as another epoch, so that its augmentation is another one


class BalancedSampler(EpochSampler):
    """Takes rows from several groups by turns: each run of as many rows as there are groups holds one of each.

    An epoch goes once through the largest group; the others are gone through, shuffled anew each time, as often as that
    takes. The order depends on (seed, epoch) alone.

    Args:
        groups: Rows of each group, not empty.
        seed: Seed of the order.
        rank: This process among ``world_size``; each takes every ``world_size``-th turn.
        world_size: Number of training processes.
    """

    def __init__(self, groups: Sequence[np.ndarray], seed: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(np.concatenate(groups), seed, True, rank, world_size)
        self.groups = groups
        self.turns = len(range(rank, max(len(group) for group in groups), world_size))

    def __len__(self) -> int:
        return self.turns * len(self.groups)

    def __iter__(self) -> Iterator[Key]:
        longest = max(len(group) for group in self.groups)
        columns = [self._rounds(number, longest) for number in range(len(self.groups))]
        for turn in range(self.rank, longest, self.world_size):
            for repeat, rows in columns:
                yield self.epoch + REPEAT * int(repeat[turn]), int(rows[turn])

    def _rounds(self, number: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """The group's rows over the whole epoch, and how often each has come before."""
        rows = self.groups[number]
        rounds = -(-longest // len(rows))
        shuffled = [
            np.random.default_rng([self.seed, self.epoch, number, repeat]).permutation(rows) for repeat in range(rounds)
        ]
        return np.repeat(np.arange(rounds), len(rows)), np.concatenate(shuffled)


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

    def train_dataloader(self) -> DataLoader:
        """Training batches, half of each of two groups."""
        loader = super().train_dataloader()
        if not self.balanced or self.is_ssl:
            return loader
        groups = [group for group in self.groups() if len(group)]
        if len(groups) < 2:
            raise UserError(
                f"{self.root}: the training part has records of one group only, which gives no balanced batches; "
                "set dataset.balanced=false, or another dataset.train_test_split_rand_seed"
            )
        if self.batch_size % len(groups):
            raise UserError(
                f"dataset.batch_size: {self.batch_size} is no multiple of {len(groups)}, the number of groups in a "
                f"balanced batch; set {max(1, self.batch_size // len(groups)) * len(groups)}"
            )
        sampler = loader.sampler
        return DataLoader(
            loader.dataset,
            batch_size=self.batch_size,
            sampler=BalancedSampler(groups, self.seed, sampler.rank, sampler.world_size),
            num_workers=loader.num_workers,
            drop_last=loader.drop_last,
            collate_fn=loader.collate_fn,
            persistent_workers=loader.persistent_workers,
            pin_memory=torch.cuda.is_available(),
        )
