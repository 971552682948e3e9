"""Batches of waveforms read from a store, and which of the traces are read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from seisml.data.dead_traces import live_units
from seisml.data.onsets import Onsets
from seisml.data.pairs import SecondViews, drawn_places
from seisml.data.sampling import BareKey, Batch, Key
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.transforms.randomness import SampleRandom

SAMPLES_IN_CACHE = 2**16  # as float64, half a MiB: a trend goes eight times as fast as out of larger arrays


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
        n_pieces: Equal pieces that a window is a sequence of.

    Attributes:
        noise: Windows of noise; where there are some, each batch carries a drawn one beside every view.
        second_views: Where the second of two drawn views is read; None reads both from the window of the key.
        onsets: Moves windows to onsets, before anything else is drawn for them; None leaves them where the keys say.
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
        n_pieces: int = 1,
    ) -> None:
        self.store, self.labels, self.n_samples = store, labels, n_samples
        self.seed, self.n_draws, self.in_channels = seed, n_draws, in_channels
        self.dead_traces, self.n_pieces = dead_traces, n_pieces
        self.noise: Windows | None = None
        self.second_views: SecondViews | None = None
        self.onsets: Onsets | None = None
        self._remarked = False

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, key: Key) -> Batch:
        """Return a batch of one; see :meth:`__getitems__`."""
        return self.__getitems__([key])

    def __getitems__(self, keys: list[Key]) -> Batch:
        """Read one batch.

        Args:
            keys: Of each of the B samples; those with dead traces alone are left out. Nothing is read where all of
                them are bare; their windows are then not moved, and have no dead traces.

        Returns:
            ``waveform`` (B, K, T) float32, ``trace`` (B, K) int64, the number of each trace in its record, ``label``,
            and the keys, ``index`` (the row), ``start`` (where the window is read) and ``epoch``, (B,) int64; where all
            traces are handed out,
            ``trace_mask`` (B, K), false on padding and dead traces; with several pieces ``piece_label``
            (B, n_pieces); with :attr:`noise`, ``noise`` (B, K, T); with
            :attr:`second_views`, ``view_index`` and ``view_start`` (B, 2), where each view was read.

        Raises:
            UserError: Where a waveform holds a sample that is not a number.
        """
        epoch, rows, starts = (np.array(column, dtype=np.int64) for column in zip(*keys, strict=True))
        is_bare = all(isinstance(key, BareKey) for key in keys)
        if self.onsets is not None and not is_bare:
            starts = self.onsets.place(epoch, rows, starts)
        batch = {"index": torch.from_numpy(rows), "start": torch.from_numpy(starts), "epoch": torch.from_numpy(epoch)}
        random = SampleRandom(self.seed, batch["epoch"], batch["index"], batch["start"])
        batch["label"] = torch.from_numpy(self.target(rows, starts))
        if self.n_pieces > 1:
            batch["piece_label"] = torch.from_numpy(self._piece_targets(rows, starts))
        if is_bare:
            return batch | self._bare_traces(rows, random)
        if self.n_draws is None:
            waveform, mask = self.store.read_records(rows, self.n_samples, starts)
            if self.dead_traces == "skip":
                mask = self._live_traces(waveform, mask, rows, starts)
            batch["trace_mask"] = torch.from_numpy(mask)
            batch["trace"] = torch.arange(mask.shape[1]).expand(mask.shape).contiguous()
            kept = mask.any(axis=1) if self.dead_traces == "skip" else np.ones(len(rows), bool)
            self._finish(waveform, rows, starts)
        else:
            waveform, kept = self._read_views(batch, self.n_draws, random)
        batch["waveform"] = torch.from_numpy(waveform)
        if self.noise is not None:
            batch["noise"] = self._read_noise(batch, self.noise, random)
        if not kept.all():
            self._remark(rows[~kept][0], starts[~kept][0])
            batch = {name: values[torch.from_numpy(kept)] for name, values in batch.items()}
        return batch

    def _bare_traces(self, rows: np.ndarray, random: SampleRandom) -> Batch:
        """Tell the traces of a batch without reading them: ``trace``, and ``trace_mask`` where all are handed out."""
        if self.n_draws is not None:
            traces = self._draw(random, np.repeat(rows[:, None], self.n_draws, axis=1))
            return {"trace": torch.from_numpy(traces.reshape(len(rows), -1))}
        n_traces = torch.from_numpy(self.store.n_traces[rows])
        number = torch.arange(int(n_traces.max())).expand(len(rows), -1)
        return {"trace": number.contiguous(), "trace_mask": number < n_traces[:, None]}

    def _read_views(self, batch: Batch, n_draws: int, random: SampleRandom) -> tuple[np.ndarray, np.ndarray]:
        """Read drawn views, (B, n_draws * in_channels, T), and tell the samples that have some, (B,); fills ``trace``.

        Each view has a place (record, first sample), so that two views of a sample may come from two records.
        """
        places = drawn_places(batch, n_draws, random, self.second_views, self.store.n_samples)  # (2, B, n_draws)
        n_events, size = len(batch["index"]), self.in_channels
        rows, starts = places.reshape(2, -1)  # views of the same memory: redrawing may move a place
        traces = self._draw(random, places[0])
        waveform = self.store.read_traces(rows, traces, starts, self.n_samples)  # (B * n_draws, size, T)
        kept = np.ones(n_events, bool)
        if self.dead_traces == "skip":
            kept = self._redraw(random, places, traces, waveform)
        self._finish(waveform, rows, starts)
        batch["trace"] = torch.from_numpy(traces.reshape(n_events, n_draws * size))
        if self.second_views is not None:
            batch["view_index"], batch["view_start"] = torch.from_numpy(places).unbind()
        return waveform.reshape(n_events, n_draws * size, self.n_samples), kept

    def _finish(self, waveform: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> None:
        """Refuse what is not a number, and take the trend from parts of records, in place."""
        self._check_finite(waveform, rows)
        self._remove_trend(waveform, rows, starts)

    def target(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """What the network is to say of each window, (B,): its record's label.

        A data set whose target changes along a record (time to failure at the window's last sample) says otherwise in
        another class; see :meth:`seisml.data.datamodule.StoreDataModule.dataset`.

        Args:
            rows: Rows of the store, (B,).
            starts: First sample of each window, (B,).
        """
        return self.labels[rows]

    def _piece_targets(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Targets of the pieces, (B, n_pieces): each as if a window ended where the piece does."""
        before = self.n_samples // self.n_pieces * np.arange(self.n_pieces - 1, -1, -1)
        target = self.target(np.repeat(rows, self.n_pieces), (starts[:, None] - before).ravel())
        return target.reshape(-1, self.n_pieces)

    def _lengths(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Samples of each window before any padding, (B,)."""
        return np.clip(self.store.n_samples[rows] - starts, 1, self.n_samples)

    def _live_traces(self, waveform: np.ndarray, mask: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The mask (B, K) without the traces of dead units."""
        live = live_units(waveform, mask, self._lengths(rows, starts), self.in_channels)
        out = np.zeros_like(mask)
        out[:, : live.shape[1] * self.in_channels] = live.repeat(self.in_channels, axis=1)
        return out

    def _redraw(self, random: SampleRandom, places: np.ndarray, traces: np.ndarray, waveform: np.ndarray) -> np.ndarray:
        """Put live units in the place of dead ones that were drawn, in the arrays themselves.

        Only where a dead one was drawn are the record's other traces read. What is drawn is uniform over live units. A
        second view whose record has none is read where the first one is.

        Args:
            random: Of the B samples.
            places: Rows and first samples of the views, (2, B, n_draws).
            traces: Traces of the views, (B * n_draws, in_channels).
            waveform: (B * n_draws, in_channels, T).

        Returns:
            (B,) bool, false where a view has no live unit.
        """
        n_events, n_draws = places.shape[1:]
        lengths = self._lengths(*places.reshape(2, -1))
        live = live_units(waveform, np.ones(traces.shape, bool), lengths, self.in_channels).reshape(n_events, n_draws)
        again = np.flatnonzero(~live.all(axis=1))
        kept = np.ones(n_events, bool)
        if not len(again):
            return kept
        position = random.uniform("live trace", n_draws).double().numpy()
        for b in again.tolist():
            for draw in np.flatnonzero(~live[b]).tolist():
                record, units = self._live_record(*places[:, b, draw])
                if not len(units) and (places[:, b, draw] != places[:, b, 0]).any():
                    places[:, b, draw] = places[:, b, 0]
                    record, units = self._live_record(*places[:, b, draw])
                kept[b] &= len(units) > 0
                if len(units):
                    first = int(units[int(position[b, draw] * len(units))]) * self.in_channels
                    found = np.arange(first, first + self.in_channels)
                    traces[b * n_draws + draw], waveform[b * n_draws + draw] = found, record[found]
        return kept

    def _live_record(self, row: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        """All traces of a window, (C, T), and the numbers of its live units."""
        rows, starts = np.array([row]), np.array([start])
        record, exists = self.store.read_records(rows, self.n_samples, starts)
        return record[0], np.flatnonzero(live_units(record, exists, self._lengths(rows, starts), self.in_channels)[0])

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
            at_once = max(1, SAMPLES_IN_CACHE // (waveform.shape[1] * length))
            for few in (some[begin : begin + at_once] for begin in range(0, len(some), at_once)):
                lie_together = few[-1] - few[0] + 1 == len(few)
                windows = slice(few[0], few[-1] + 1) if lie_together else few  # a slice is not copied
                waveform[windows, :, :length] = steps.on_window(waveform[windows, :, :length])

    def _read_noise(self, batch: Batch, noise: Windows, random: SampleRandom) -> torch.Tensor:
        """Read a drawn window of noise, of drawn traces, for each view: (B, K, T), zeros beside traces of no view."""
        n_events, n_traces, n_samples = batch["waveform"].shape
        n_units = n_traces // self.in_channels
        drawn = random.uniform("noise", 2 * n_units)
        number, position = drawn.double().numpy().reshape(n_events, 2, n_units).swapaxes(0, 1)
        rows, starts = noise.keys((number.flatten() * len(noise)).astype(np.int64))
        unit = (position.flatten() * (self.store.n_traces[rows] // self.in_channels)).astype(np.int64)
        traces = unit[:, None] * self.in_channels + np.arange(self.in_channels)
        found = self.store.read_traces(rows, traces, starts, n_samples)
        self._check_finite(found, rows)
        self._remove_trend(found, rows, starts)
        out = torch.from_numpy(found.reshape(n_events, -1, n_samples))
        left = n_traces - out.shape[1]
        return torch.cat([out, out.new_zeros(n_events, left, n_samples)], dim=1) if left else out

    def _draw(self, random: SampleRandom, rows: np.ndarray) -> np.ndarray:
        """Draw traces with replacement from the record of each view, rows (B, n_draws): (B * n_draws, in_channels)."""
        n_units = torch.from_numpy(self.store.n_traces[rows] // self.in_channels)  # (B, n_draws)
        position = random.uniform("trace", rows.shape[1]).double()
        unit = (position * n_units).long().clamp_max(n_units - 1)
        return (unit.view(-1, 1) * self.in_channels + torch.arange(self.in_channels)).numpy()
