"""Batches of waveforms read from a store, and which of the traces are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from seisml.data.dead_traces import live_units
from seisml.data.sampling import Batch, EpochSampler, Key
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.transforms.randomness import uniform


class StoreDataset(Dataset[Batch]):
    """Batches of waveforms read from a store, whole batches at a time, and of each record only the window asked for.

    Args:
        store: Where the waveforms are.
        labels: Integer label per row of the store, -1 where there is none, shape (N,).
        n_samples: Length of the waveforms handed out; a record that ends before is padded with zeros.
        seed: Seed of the drawn traces.
        n_draws: Draws of one view from each event; ``None`` hands out all its traces.
        in_channels: Traces in one view: 1 draws single traces; 3 draws geophones of three successive components.
        dead_traces: ``skip`` neither draws a dead trace (constant over the window) nor counts it among all traces, and
            leaves out samples that have no other; ``keep`` takes them as they are. See
            :func:`seisml.data.dead_traces.live_units` for several components.

    Attributes:
        noise: Windows of noise; where there are some, each batch carries a drawn one beside every view.
    """

    def __init__(
        self,
        store: Store,
        labels: np.ndarray,
        n_samples: int,
        seed: int,
        n_draws: int | None,
        in_channels: int = 1,
        dead_traces: Literal["skip", "keep"] = "skip",
    ) -> None:
        self.store, self.labels, self.n_samples = store, labels, n_samples
        self.seed, self.n_draws, self.in_channels = seed, n_draws, in_channels
        self.dead_traces = dead_traces
        self.noise: Windows | None = None
        self._remarked = False

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, key: Key) -> Batch:
        """Return a batch of one; see :meth:`__getitems__`."""
        return self.__getitems__([key])

    def __getitems__(self, keys: list[Key]) -> Batch:
        """Read one batch.

        Args:
            keys: Of each of the B samples; those with dead traces alone are left out.

        Returns:
            ``waveform`` (B, K, T) float32, ``trace`` (B, K) int64, the number of each trace in its record, ``label``,
            and the keys, ``index`` (the row), ``start`` and ``epoch``, (B,) int64; where all traces are handed out,
            ``trace_mask`` (B, K), false on padding and dead traces; with :attr:`noise`, ``noise`` (B, K, T).

        Raises:
            UserError: Where a waveform holds a sample that is not a number.
        """
        epoch, rows, starts = (np.array(column, dtype=np.int64) for column in zip(*keys, strict=True))
        batch = {"index": torch.from_numpy(rows), "start": torch.from_numpy(starts), "epoch": torch.from_numpy(epoch)}
        batch["label"] = torch.from_numpy(self.target(rows, starts))
        if self.n_draws is None:
            waveform, mask = self.store.read_records(rows, self.n_samples, starts)
            if self.dead_traces == "skip":
                mask = self._live_traces(waveform, mask, rows, starts)
            batch["trace_mask"] = torch.from_numpy(mask)
            batch["trace"] = torch.arange(mask.shape[1]).expand(mask.shape).contiguous()
            kept = mask.any(axis=1) if self.dead_traces == "skip" else np.ones(len(rows), bool)
        else:
            traces = self._draw(batch, self.n_draws)
            waveform = self.store.read_traces(rows, traces, starts, self.n_samples)
            kept = np.ones(len(rows), bool)
            if self.dead_traces == "skip":
                kept = self._redraw(batch, traces, waveform)
            batch["trace"] = torch.from_numpy(traces)
        self._check_finite(waveform, rows)
        self._remove_trend(waveform, rows, starts)
        batch["waveform"] = torch.from_numpy(waveform)
        if not kept.all():
            self._remark(rows[~kept][0], starts[~kept][0])
            batch = {name: values[torch.from_numpy(kept)] for name, values in batch.items()}
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

    def _lengths(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Samples of each window before any padding, (B,)."""
        return np.clip(self.store.n_samples[rows] - starts, 1, self.n_samples)

    def _live_traces(self, waveform: np.ndarray, mask: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The mask (B, K) without the traces of dead units."""
        live = live_units(waveform, mask, self._lengths(rows, starts), self.in_channels)
        out = np.zeros_like(mask)
        out[:, : live.shape[1] * self.in_channels] = live.repeat(self.in_channels, axis=1)
        return out

    def _redraw(self, batch: Batch, traces: np.ndarray, waveform: np.ndarray) -> np.ndarray:
        """Put live units in the place of dead ones that were drawn, in ``traces`` and ``waveform`` themselves.

        Only where a dead one was drawn are the record's other traces read. What is drawn is uniform over live units.

        Returns:
            (B,) bool, false where a record has no live unit.
        """
        rows, starts, size = batch["index"].numpy(), batch["start"].numpy(), self.in_channels
        lengths = self._lengths(rows, starts)
        live = live_units(waveform, np.ones(traces.shape, bool), lengths, size)  # (B, n_draws)
        again = np.flatnonzero(~live.all(axis=1))
        kept = np.ones(len(rows), bool)
        if not len(again):
            return kept
        keys = (batch[name][again] for name in ("epoch", "index"))
        position = uniform(self.seed, *keys, "live trace", live.shape[1], batch["start"][again]).double().numpy()
        for place, b in enumerate(again.tolist()):
            record, exists = self.store.read_records(rows[b : b + 1], self.n_samples, starts[b : b + 1])
            units = np.flatnonzero(live_units(record, exists, lengths[b : b + 1], size)[0])
            kept[b] = len(units) > 0
            for draw in np.flatnonzero(~live[b]).tolist() if len(units) else ():
                of_draw = slice(draw * size, (draw + 1) * size)
                first = int(units[int(position[place, draw] * len(units))]) * size
                traces[b, of_draw] = np.arange(first, first + size)
                waveform[b, of_draw] = record[0, first : first + size]
        return kept

    def _remark(self, row: int, start: int) -> None:
        """Say once that samples are left out."""
        if not self._remarked:
            name = self.store.metadata["trace_name"].iloc[row]
            print(
                f"Warning: {self.store.root}: record {name} (row {row}) has dead traces alone from sample {start} on; "
                "such windows are left out (dataset.dead_traces=keep takes them)",
                flush=True,
            )
            self._remarked = True

    def _check_finite(self, waveform: np.ndarray, rows: np.ndarray) -> None:
        # one pass over the batch: the sum is finite only where every sample is (or, for huge values, overflows: look)
        if not np.isfinite(waveform.sum()) and not np.isfinite(waveform).all():
            bad = rows[~np.isfinite(waveform).all(axis=(1, 2))][0]
            name = self.store.metadata["trace_name"].iloc[bad]
            raise UserError(
                f"{self.store.root}: record {name} (row {bad}) holds samples that are not numbers; "
                "drop that row from metadata.csv or prepare the data again (`seisml prepare` skips such files)"
            )

    def _remove_trend(self, waveform: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> None:
        """Take the last step of preprocessing, in place, on windows that are parts of their records.

        A record that is a window was stored without its trend; that of a part is another, and continuous records are
        freed of it window by window.
        """
        steps, lengths = self.store.preprocessing, self._lengths(rows, starts)
        if steps.detrend is None:
            return
        part = lengths < self.store.n_samples[rows]
        for length in np.unique(lengths[part]):
            some = np.flatnonzero(part & (lengths == length))
            waveform[some, :, :length] = steps.on_window(waveform[some, :, :length])

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
        self._remove_trend(found, rows, starts)
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


def filled_batch(batch: Batch) -> Batch:
    """Collate function of training, which cannot go on without a sample.

    Raises:
        UserError: All samples of a batch were left out.
    """
    if not len(batch["index"]):
        raise UserError(
            "a whole batch of records with dead traces alone: nothing to learn from; prepare the data again (`seisml "
            "prepare` skips them), raise dataset.batch_size, or set dataset.dead_traces=keep"
        )
    return batch


class FilledBatches(DataLoader):
    """Passes over batches without a sample: those of a stretch in which all traces are dead."""

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches that hold something.

        Raises:
            UserError: None does.
        """
        found = False
        for batch in super().__iter__():
            if len(batch["index"]):
                found = True
                yield batch
        if not found and len(self):
            raise UserError(
                f"{self.dataset.store.root}: the {len(self.sampler)} records asked for have dead traces alone; "
                "set dataset.dead_traces=keep to take them, or another dataset.train_test_split_rand_seed"
            )


def make_loader(
    dataset: StoreDataset, sampler: EpochSampler, batch_size: int, num_workers: int, drop_last: bool = False
) -> DataLoader:
    """Return batches of a data set in a sampler's order.

    Args:
        dataset: What reads them.
        sampler: Their order. One that shuffles is that of training, whose workers live as long as the loader.
        batch_size: Samples of a batch.
        num_workers: Worker processes that read batches; 0 reads in this one.
        drop_last: Leave out an incomplete last batch.
    """
    is_training = sampler.shuffle
    return (DataLoader if is_training else FilledBatches)(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        drop_last=drop_last,
        collate_fn=filled_batch if is_training else keep_batch,
        persistent_workers=num_workers > 0 and is_training,
        pin_memory=torch.cuda.is_available(),
    )
