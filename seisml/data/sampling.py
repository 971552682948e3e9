"""Which windows make a batch, in which order, and which of their traces are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.store.store import Store
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

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next pass belongs to."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, len(self.windows), self.world_size))

    def __iter__(self) -> Iterator[Key]:
        n = len(self.windows)
        order = np.random.default_rng([self.seed, self.epoch]).permutation(n) if self.shuffle else range(n)
        mine = order[self.rank :: self.world_size]
        for begin in range(0, len(mine), BLOCK):
            yield from self._keys(self.windows, np.asarray(mine[begin : begin + BLOCK]), self.epoch)

    def _keys(self, windows: Windows, numbers: np.ndarray, epoch: int | np.ndarray) -> Iterator[Key]:
        """Keys of the windows with these numbers (n,), in an epoch, one for all or (n,)."""
        rows, starts = windows.keys(numbers)
        epochs = np.broadcast_to(np.asarray(epoch, np.int64), rows.shape)
        if self.random_starts:  # drawn for the window's regular place, whatever else the part holds
            e, r, s = (torch.tensor(column) for column in (epochs, rows, starts))
            position = uniform(self.seed, e, r, "start", 1, s)[:, 0].double().numpy()
            rows, starts = windows.shifted(numbers, position)
        return map(Key._make, zip(epochs.tolist(), rows.tolist(), starts.tolist(), strict=True))


class StoreDataset(Dataset[Batch]):
    """Batches of waveforms read from a store, whole batches at a time, and of each record only the window asked for.

    Args:
        store: Where the waveforms are.
        labels: Integer label per row of the store, -1 where there is none, shape (N,).
        n_samples: Length of the waveforms handed out; a record that ends before is padded with zeros.
        seed: Seed of the drawn traces.
        n_draws: Draws of one view from each event; ``None`` hands out all its traces.
        in_channels: Traces in one view: 1 draws single traces; 3 draws geophones of three successive components.

    Attributes:
        noise: Windows of noise; where there are some, each batch carries a drawn one beside every view.
    """

    def __init__(
        self, store: Store, labels: np.ndarray, n_samples: int, seed: int, n_draws: int | None, in_channels: int = 1
    ) -> None:
        self.store, self.labels, self.n_samples = store, labels, n_samples
        self.seed, self.n_draws, self.in_channels = seed, n_draws, in_channels
        self.noise: Windows | None = None

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, key: Key) -> Batch:
        """Return a batch of one; see :meth:`__getitems__`."""
        return self.__getitems__([key])

    def __getitems__(self, keys: list[Key]) -> Batch:
        """Read one batch.

        Args:
            keys: Of each of the B samples.

        Returns:
            ``waveform`` (B, K, T) float32, ``trace`` (B, K) int64, the number of each trace in its record, ``label``,
            and the keys, ``index`` (the row), ``start`` and ``epoch``, (B,) int64; where all traces are handed out,
            ``trace_mask`` (B, K), false on padding; with :attr:`noise`, ``noise`` (B, K, T).

        Raises:
            UserError: Where a waveform holds a sample that is not a number.
        """
        epoch, rows, starts = (np.array(column, dtype=np.int64) for column in zip(*keys, strict=True))
        batch = {"index": torch.from_numpy(rows), "start": torch.from_numpy(starts), "epoch": torch.from_numpy(epoch)}
        batch["label"] = torch.from_numpy(self.target(rows, starts))
        if self.n_draws is None:
            waveform, mask = self.store.read_records(rows, self.n_samples, starts)
            batch["trace_mask"] = torch.from_numpy(mask)
            batch["trace"] = torch.arange(mask.shape[1]).expand(mask.shape).contiguous()
        else:
            traces = self._draw(batch, self.n_draws)
            waveform = self.store.read_traces(rows, traces, starts, self.n_samples)
            batch["trace"] = torch.from_numpy(traces)
        self._check_finite(waveform, rows)
        batch["waveform"] = torch.from_numpy(waveform)
        if self.noise is not None:
            batch["noise"] = self._read_noise(batch, self.noise)
        return batch

    def target(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """What the network is to say of each window, (B,): its record's label.

        A data set whose target changes along a record (time to failure at the window's last sample) says otherwise in
        a class of its own; see :meth:`seisml.data.datamodule.StoreDataModule.dataset`.

        Args:
            rows: Rows of the store, (B,).
            starts: First sample of each window, (B,).
        """
        return self.labels[rows]

    def _check_finite(self, waveform: np.ndarray, rows: np.ndarray) -> None:
        # one pass over the batch: the sum is finite only where every sample is (or, for huge values, overflows: look)
        if not np.isfinite(waveform.sum()) and not np.isfinite(waveform).all():
            bad = rows[~np.isfinite(waveform).all(axis=(1, 2))][0]
            name = self.store.metadata["trace_name"].iloc[bad]
            raise UserError(
                f"{self.store.root}: record {name} (row {bad}) holds samples that are not numbers; "
                "drop that row from metadata.csv or prepare the data again (`seisml prepare` skips such files)"
            )

    def _read_noise(self, batch: Batch, noise: Windows) -> torch.Tensor:
        """Read a drawn window of noise, of drawn traces, for each view: (B, K, T), zeros beside traces of no view."""
        n_events, n_traces, n_samples = batch["waveform"].shape
        n_units = n_traces // self.in_channels
        drawn = uniform(self.seed, batch["epoch"], batch["index"], "noise", 2 * n_units, batch["start"])
        number, position = drawn.double().numpy().reshape(n_events, 2, n_units).swapaxes(0, 1)
        rows, starts = noise.keys((number.flatten() * len(noise)).astype(np.int64))
        unit = (position.flatten() * (self.store.n_traces[rows] // self.in_channels)).astype(np.int64)
        traces = unit[:, None] * self.in_channels + np.arange(self.in_channels)
        found = self.store.read_traces(rows, traces, starts, n_samples)
        self._check_finite(found, rows)
        out = torch.zeros_like(batch["waveform"])
        out[:, : n_units * self.in_channels] = torch.from_numpy(found.reshape(n_events, -1, n_samples))
        return out

    def _draw(self, batch: Batch, n_draws: int) -> np.ndarray:
        """Draw traces with replacement; returns trace numbers of shape (B, n_draws * in_channels)."""
        n_units = torch.from_numpy(self.store.n_traces[batch["index"].numpy()] // self.in_channels)
        position = uniform(self.seed, batch["epoch"], batch["index"], "trace", n_draws, batch["start"]).double()
        unit = (position * n_units[:, None]).long().clamp_max(n_units[:, None] - 1)  # (B, n_draws)
        traces = unit[..., None] * self.in_channels + torch.arange(self.in_channels)
        return traces.flatten(1).numpy()


def keep_batch(batch: Batch) -> Batch:
    """Collate function: the data set has already made the batch."""
    return batch


def make_loader(
    dataset: StoreDataset, sampler: EpochSampler, batch_size: int, num_workers: int, drop_last: bool = False
) -> DataLoader:
    """Return batches of a data set in a sampler's order.

    Args:
        dataset: What reads them.
        sampler: Their order; workers live as long as the loader where it shuffles.
        batch_size: Samples of a batch.
        num_workers: Worker processes that read batches; 0 reads in this one.
        drop_last: Leave out an incomplete last batch.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        drop_last=drop_last,
        collate_fn=keep_batch,
        persistent_workers=num_workers > 0 and sampler.shuffle,
        pin_memory=torch.cuda.is_available(),
    )
