"""Which windows make an epoch, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler

from seisml.data.windows import Windows
from seisml.transforms.randomness import uniform

Batch = dict[str, torch.Tensor]
BLOCK = 2**16  # keys worked out at a time


class Key(NamedTuple):
    """What a sample is: everything drawn for it depends on the key (and the run's seed) alone.

    Attributes:
        epoch: How many times this sample's part of the data has been gone through before.
        record: Row of the store.
        start: First sample of the window in its record.
    """

    epoch: int
    record: int
    start: int = 0


class BareKey(Key):
    """A sample whose waveform nobody needs: its label and numbers alone are handed out."""

    __slots__ = ()


class EpochSampler(Sampler[Key]):
    """Windows of a store, shuffled anew each epoch.

    The order depends on (seed, epoch) alone, and the epoch travels in the key, so that what a worker draws does not
    depend on how many workers there are, on how long they live, or on a resume. Lightning calls :meth:`set_epoch`.
    Memory: 8 bytes a window where they are shuffled.

    Args:
        windows: What to go through.
        seed: Seed of the order.
        shuffle: Keep the given order where false.
        rank: This process among ``world_size``; each takes every ``world_size``-th window.
        world_size: Number of training processes.
        random_starts: Move each window at random within its share of the record, anew each epoch.

    Attributes:
        done: Samples of all processes that were gone through before the first pass begins, and the epoch that it
            belongs to; a resumed run goes on from there.
        most: Samples of all processes that an epoch has at most; None for all there are.
        waveforms: Whether waveforms are needed; may change at any time, and workers hear of it by the keys.
    """

    def __init__(
        self,
        windows: Windows,
        seed: int,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
        random_starts: bool = False,
    ) -> None:
        self.windows, self.seed, self.shuffle = windows, seed, shuffle
        self.rank, self.world_size, self.random_starts = rank, world_size, random_starts
        self.epoch = 0
        self.done: tuple[int, int] = (0, 0)  # epoch, samples
        self.most: int | None = None
        self.waveforms = True

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next pass belongs to: no earlier one than that which a resumed run begins with.

        Lightning asks for the first batches of a resumed run before it knows the epoch.
        """
        self.epoch = max(epoch, self.done[0])

    @property
    def total(self) -> int:
        """Samples that there are for an epoch, of all processes."""
        return len(self.windows)

    def __len__(self) -> int:
        return len(range(self.rank, self._end, self.world_size))

    def __iter__(self) -> Iterator[Key]:
        epoch, samples = self.done
        first = (samples if epoch == self.epoch else 0) + self.rank
        for key in islice(self.keys(), first, self._end, self.world_size):
            yield key if self.waveforms else BareKey._make(key)

    @property
    def _end(self) -> int:
        return self.total if self.most is None else min(self.most, self.total)

    def keys(self) -> Iterator[Key]:
        """The epoch's keys, of all processes."""
        n = len(self.windows)
        order = np.random.default_rng([self.seed, self.epoch]).permutation(n) if self.shuffle else range(n)
        for begin in range(0, n, BLOCK):
            yield from self._keys(self.windows, np.asarray(order[begin : begin + BLOCK]), self.epoch)

    def _keys(self, windows: Windows, numbers: np.ndarray, epoch: int | np.ndarray) -> Iterator[Key]:
        """Keys of the windows with these numbers (n,), in an epoch, one for all or (n,)."""
        rows, starts = windows.keys(numbers)
        epochs = np.broadcast_to(np.asarray(epoch, np.int64), rows.shape)
        if self.random_starts:  # drawn for the window's regular place, whatever else the part holds
            e, r, s = (torch.tensor(column) for column in (epochs, rows, starts))
            position = uniform(self.seed, e, r, "start", 1, s)[:, 0].double().numpy()
            rows, starts = windows.shifted(numbers, position)
        return map(Key._make, zip(epochs.tolist(), rows.tolist(), starts.tolist(), strict=True))
