"""Which records make a batch, and which of their traces are read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from seisml.errors import UserError
from seisml.store.store import Store
from seisml.transforms.randomness import uniform

Key = tuple[int, int]  # (epoch, row of the store)
Batch = dict[str, torch.Tensor]


class EpochSampler(Sampler[Key]):
    """Rows of a store, shuffled anew each epoch, each beside the epoch's number.

    The order depends on (seed, epoch) alone, and the epoch travels with the row, so that what a worker draws does not
    depend on how many workers there are, on how long they live, or on a resume. Lightning calls :meth:`set_epoch`.

    Args:
        rows: Row numbers, shape (N,).
        seed: Seed of the order.
        shuffle: Keep the given order where false.
        rank: This process among ``world_size``; each takes every ``world_size``-th row.
        world_size: Number of training processes.
    """

    def __init__(self, rows: np.ndarray, seed: int, shuffle: bool, rank: int = 0, world_size: int = 1) -> None:
        self.rows = np.asarray(rows)
        self.seed, self.shuffle, self.rank, self.world_size = seed, shuffle, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next pass belongs to."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, len(self.rows), self.world_size))

    def __iter__(self) -> Iterator[Key]:
        rows = self.rows
        if self.shuffle:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        yield from ((self.epoch, int(row)) for row in rows[self.rank :: self.world_size])


class StoreDataset(Dataset[Batch]):
    """Batches of waveforms read from a store, whole batches at a time.

    Args:
        store: Where the waveforms are.
        labels: Integer label per row of the store, -1 where there is none, shape (N,).
        n_samples: Length of the waveforms handed out; shorter records are padded with zeros, longer ones cut.
        seed: Seed of the drawn traces.
        n_draws: Draws of one view from each event; ``None`` hands out all its traces.
        in_channels: Traces in one view: 1 draws single traces; 3 draws geophones of three successive components.
    """

    def __init__(
        self, store: Store, labels: np.ndarray, n_samples: int, seed: int, n_draws: int | None, in_channels: int = 1
    ) -> None:
        self.store, self.labels, self.n_samples = store, labels, n_samples
        self.seed, self.n_draws, self.in_channels = seed, n_draws, in_channels

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, key: Key) -> Batch:
        """Return a batch of one; see :meth:`__getitems__`."""
        return self.__getitems__([key])

    def __getitems__(self, keys: list[Key]) -> Batch:
        """Read one batch.

        Args:
            keys: (epoch, row) of each of the B events.

        Returns:
            ``waveform`` (B, K, T) float32, ``trace`` (B, K) int64, the number of each trace in its record, ``label``,
            ``index`` and ``epoch`` (B,) int64, and, where all traces are handed out, ``trace_mask`` (B, K), false on
            padding.

        Raises:
            UserError: Where a waveform holds a sample that is not a number.
        """
        epoch, rows = (np.array(column, dtype=np.int64) for column in zip(*keys, strict=True))
        batch = {"index": torch.from_numpy(rows), "epoch": torch.from_numpy(epoch)}
        batch["label"] = torch.from_numpy(self.labels[rows])
        if self.n_draws is None:
            waveform, mask = self.store.read_records(rows, self.n_samples)
            batch["trace_mask"] = torch.from_numpy(mask)
            batch["trace"] = torch.arange(mask.shape[1]).expand(mask.shape).contiguous()
        else:
            traces = self._draw(batch["epoch"], batch["index"], self.n_draws)
            waveform = self.store.read_traces(rows, traces, n_samples=self.n_samples)
            batch["trace"] = torch.from_numpy(traces)
        # one pass over the batch: the sum is finite only where every sample is (or, for huge values, overflows: look)
        if not np.isfinite(waveform.sum()) and not np.isfinite(waveform).all():
            bad = rows[~np.isfinite(waveform).all(axis=(1, 2))][0]
            name = self.store.metadata["trace_name"].iloc[bad]
            raise UserError(
                f"{self.store.root}: record {name} (row {bad}) holds samples that are not numbers; "
                "drop that row from metadata.csv or prepare the data again (`seisml prepare` skips such files)"
            )
        batch["waveform"] = torch.from_numpy(waveform)
        return batch

    def _draw(self, epoch: torch.Tensor, index: torch.Tensor, n_draws: int) -> np.ndarray:
        """Draw traces with replacement; returns trace numbers of shape (B, n_draws * in_channels)."""
        n_units = torch.from_numpy(self.store.n_traces[index.numpy()] // self.in_channels)
        position = uniform(self.seed, epoch, index, "trace", n_draws).double()  # (B, n_draws)
        unit = (position * n_units[:, None]).long().clamp_max(n_units[:, None] - 1)
        traces = unit[..., None] * self.in_channels + torch.arange(self.in_channels)
        return traces.flatten(1).numpy()


def keep_batch(batch: Batch) -> Batch:
    """Collate function: the data set has already made the batch."""
    return batch
