"""Several prepared stores in one training run, mixed within each batch: pretraining on all recordings at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seisml.data.datamodule import StoreDataModule
from seisml.data.joined import JoinedStores
from seisml.data.sampling import BLOCK, EpochSampler, Key
from seisml.data.splits import Split, join_splits
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.store.folder import recover_interrupted
from seisml.store.store import Store
from seisml.values.ranges import Rate


class MixtureSampler(EpochSampler):
    """Windows of several stores, mixed: an epoch takes a share from each.

    An epoch is as long as there are windows. A store whose share is larger than its number of windows is gone through
    several times, shuffled anew (and drawn and augmented otherwise) each time; one whose share is smaller gives other
    windows in every epoch. Memory: about 40 bytes a window, while an epoch begins.

    Args:
        windows: Of all stores, one store after the other.
        sizes: How many of them are each store's, (S,).
        shares: Share of the epoch that each store has, (S,), of sum 1; 0 where it has no window.
        seed: Seed of the order.
        rank: This process among ``world_size``; each takes every ``world_size``-th window.
        world_size: Number of training processes.
        random_starts: See :class:`EpochSampler`.
    """

    def __init__(
        self,
        windows: Windows,
        sizes: np.ndarray,
        shares: np.ndarray,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        random_starts: bool = False,
    ) -> None:
        super().__init__(windows, seed, True, rank, world_size, random_starts)
        self.sizes = sizes
        self.counts = np.diff(np.rint(np.cumsum([0, *shares]) * len(windows)).astype(np.int64))  # sum: len(windows)

    def keys(self) -> Iterator[Key]:
        """The epoch's keys, of all processes."""
        taken = [self._of_store(number) for number in range(len(self.sizes))]
        numbers, epochs = (np.concatenate(column) for column in zip(*taken, strict=True))
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(numbers))
        for begin in range(0, len(order), BLOCK):
            some = order[begin : begin + BLOCK]
            yield from self._keys(self.windows, numbers[some], epochs[some])

    def _of_store(self, store: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the windows that an epoch takes from a store, and how often each was gone through before."""
        size, count = int(self.sizes[store]), int(self.counts[store])
        if not count:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        passes = -(-count // size)
        order = [
            np.random.default_rng([self.seed, self.epoch, store, repeat]).permutation(size) for repeat in range(passes)
        ]
        epochs = self.epoch * passes + np.repeat(np.arange(passes), size)
        return np.concatenate(order)[:count] + int(self.sizes[:store].sum()), epochs[:count]


class MixtureDataModule(StoreDataModule):
    """Several prepared stores of one sampling rate together, each split by the same procedure.

    Records of an event that tests in one store train in none. Batches mix the stores.

    Args:
        stores: Their folders.
        weights: Weight of each store in an epoch; by default the square root of its number of windows, each trace
            counted by itself, so that a large store does not drown a small one.
        **kwargs: See :class:`StoreDataModule`.
    """

    def __init__(self, stores: Sequence[str], weights: Sequence[Rate] | None = None, **kwargs: Any) -> None:
        if "root" in kwargs:
            raise UserError("dataset.root: a mixture has several folders; name them in dataset.stores=[STORE,STORE]")
        if kwargs.get("split_file") is not None:
            raise UserError("dataset.split_file: the file is that of one store, a mixture has several; leave it out")
        if not stores:
            raise UserError("dataset.stores: there is none; name the folders of prepared stores")
        if len(set(stores)) < len(stores):
            raise UserError("dataset.stores: a store is named twice; give it more weight with dataset.weights")
        if weights is not None and len(weights) != len(stores):
            raise UserError(f"dataset.weights: {len(weights)} weights for {len(stores)} stores; give one for each")
        super().__init__(" + ".join(stores), **kwargs)
        self.stores, self.weights = tuple(stores), weights

    def open_store(self) -> JoinedStores:
        """Open the stores.

        Raises:
            UserError: One is missing, or they do not fit together.
        """
        for root in self.stores:
            if not recover_interrupted(Path(root)).is_dir():
                raise UserError(
                    f"dataset.stores: there is no store at {root}; make it with `seisml prepare folder SRC --out "
                    f"{root}`, or as an experiment says at the top of its file"
                )
        return JoinedStores([Store(root) for root in self.stores])

    def draw_split(self, store: JoinedStores, strata: np.ndarray) -> Split:
        """Split each store by itself.

        Raises:
            UserError: One cannot be split; names it.
        """
        splits = []
        for part, first, end in zip(store.stores, store.first, store.first[1:], strict=False):
            try:
                splits.append(self.make_split(part.metadata, strata[first:end]))
            except UserError as error:
                raise UserError(f"{part.root}: {error}") from error
        return join_splits(splits, store.first, store.metadata)

    def homes(self, rows: np.ndarray) -> np.ndarray:
        """Name the store of each row (N,): (N,) names of folders."""
        names = np.array([Path(root).name for root in self.stores])
        return names[np.searchsorted(self.ready_store.first, rows, side="right") - 1]

    def train_sampler(self) -> EpochSampler:
        """The order of training: a share of each store in every epoch."""
        plain = super().train_sampler()
        ends = np.searchsorted(plain.windows.row, self.ready_store.first)  # rows ascend: a store's lie together
        counts = plain.windows.counts
        sizes, traces = (
            np.diff(np.concatenate([[0], np.cumsum(number)])[ends])
            for number in (counts, counts * self.ready_store.n_traces[plain.windows.row])
        )
        weights = np.sqrt(traces) if self.weights is None else np.asarray(self.weights, float) * (sizes > 0)
        if not weights.sum():
            raise UserError(f"{self.root}: no store has a training window; set a shorter dataset.window_length")
        shares = weights / weights.sum()
        return MixtureSampler(
            plain.windows, sizes, shares, self.seed, plain.rank, plain.world_size, self.random_starts
        )
