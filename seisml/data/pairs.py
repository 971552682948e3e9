"""Pairs of views across an event: where the second view of a pretraining sample is read.

One event, seen at the same time by two stations (or sensors), is a pair that no augmentation can make: another path,
instrument and noise, and the same source. Before the event comes noise, which every station has its own of: its windows
are paired within their record.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from seisml.data.sampling import Batch
from seisml.data.slices import search_slices
from seisml.errors import UserError
from seisml.store.identity import event_ids, text_column, times_in_microseconds
from seisml.store.store import Store
from seisml.transforms.randomness import SampleRandom
from seisml.values.class_names import NOISE

P_ARRIVAL = "trace_p_arrival_sample"


class Partners:
    """Records of the same event, sorted by event and start, so that those that cover a stretch of time are found.

    Memory: about 30 bytes a record, whatever the number of events.

    Args:
        store: Where the records are; their ``source_id`` and ``trace_start_time`` count.
        rows: Records that may be paired (a training part), (N,). Those of no event, and without a time, are left out.
        sampling_rate: Of all of them, in Hz.
    """

    def __init__(self, store: Store, rows: np.ndarray, sampling_rate: float) -> None:
        time, known = times_in_microseconds(store.metadata)
        rows = np.asarray(rows, np.int64)
        rows = rows[known[rows]]
        event = pd.factorize(event_ids(store.metadata)[rows])[0]
        rows, event = _shared(rows, event)
        order = np.lexsort((time[rows], event))
        self.n_samples, self.sampling_rate = store.n_samples, sampling_rate
        self.row, event = rows[order], event[order]  # (M,)
        self.time = time[self.row]  # us
        ends = np.cumsum(np.bincount(event)) if len(event) else np.empty(0, np.int64)
        self.bounds = np.concatenate([[0], ends]).astype(np.int64)  # of each event in `row`
        self.event = event
        self.longest = np.zeros(len(ends), np.int64)  # samples of the longest record of each event
        np.maximum.at(self.longest, event, self.n_samples[self.row])
        self.place = np.full(len(store), -1, np.int64)  # of a row in `row`
        self.place[self.row] = np.arange(len(self.row))

    def covering(
        self, rows: np.ndarray, starts: np.ndarray, n_samples: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the other records of an event that hold a whole window of one of them, for many windows at once.

        Args:
            rows: The record of each window, (B,).
            starts: First sample of the window in it, (B,).
            n_samples: Samples of the window, (B,).

        Returns:
            Of each record found, (n,) each: the number of the window that it holds, in ascending order; its row; and
            its sample that lies nearest in time to the window's first.
        """
        place = self.place[rows]
        paired = np.flatnonzero(place >= 0)
        place, starts, n_samples = place[paired], starts[paired], n_samples[paired]
        event = self.event[place]
        sample = 1e6 / self.sampling_rate  # us
        window = self.time[place] + starts * sample
        earliest = window - (self.longest[event] - n_samples + 1) * sample
        low, high = self.bounds[event], self.bounds[event + 1]
        # sorted by time: of an event with very many records few are looked at
        low = search_slices(self.time, low, high, earliest)
        high = search_slices(self.time, low, high, window + sample)
        owner = np.repeat(np.arange(len(paired)), high - low)
        other = np.arange(len(owner)) + np.repeat(low - np.cumsum(high - low) + (high - low), high - low)
        begin = starts[owner] + np.rint((self.time[place[owner]] - self.time[other]) / sample).astype(np.int64)
        fits = (begin >= 0) & (begin + n_samples[owner] <= self.n_samples[self.row[other]]) & (other != place[owner])
        return paired[owner[fits]], self.row[other[fits]], begin[fits]

    def any_overlap(self, n_samples: int) -> bool:
        """Tell whether some event has two records that share a window of so many samples."""
        sample = 1e6 / self.sampling_rate
        for low, high in zip(self.bounds, self.bounds[1:], strict=False):
            ends = self.time[low:high] + self.n_samples[self.row[low:high]] * sample
            shared = np.minimum(np.maximum.accumulate(ends)[:-1], ends[1:]) - self.time[low + 1 : high]
            if (shared >= (n_samples - 0.5) * sample).any():
                return True
        return False


class SecondViews:
    """Says where the second view of each sample is read; it depends on the sample's key and the seed alone.

    Args:
        n_samples: Samples of a window.
        partners: Records that can take the second view; None reads it from the first one's record.
        jitter: The second view begins up to so many samples before or after the first one's time, in its record.
        share: Share of the samples whose second view another record takes, where one can.
        noise_until: First sample of each record of the store that may hold its event, see :func:`event_samples`;
            windows that end before it are paired within their record. None: no record is known to hold noise.
    """

    def __init__(
        self,
        n_samples: int,
        partners: Partners | None = None,
        jitter: int = 0,
        share: float = 1.0,
        noise_until: np.ndarray | None = None,
    ) -> None:
        self.n_samples, self.partners, self.jitter = n_samples, partners, jitter
        self.share, self.noise_until = share, noise_until

    def places(self, batch: Batch, random: SampleRandom, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Choose the record and the first sample of each second view.

        Args:
            batch: With the keys of the samples, (B,) each.
            random: Of the samples.
            lengths: Samples of all records of the store.

        Returns:
            Rows and first samples, (B,) each: those of a record of the same event, drawn from all that cover the
            window, at the same time; the first view's where there is none, and for noise. Then the jitter.
        """
        rows, starts = batch["index"].numpy().copy(), batch["start"].numpy().copy()
        which, shift = random.uniform("second view", 2).double().numpy().T
        if self.partners is not None:
            held = np.clip(lengths[rows] - starts, 1, self.n_samples)
            owner, others, begins = self.partners.covering(rows, starts, held)
            counts = np.bincount(owner, minlength=len(rows))
            chosen = np.cumsum(counts) - counts + (which * counts).astype(np.int64)
            whether = random.uniform("whether another record", 1)[:, 0].double().numpy()
            taken = (counts > 0) & (whether < self.share)
            if self.noise_until is not None:
                taken &= starts + held > self.noise_until[rows]
            rows[taken], starts[taken] = others[chosen[taken]], begins[chosen[taken]]
        if self.jitter:
            last = np.maximum(starts, lengths[rows] - self.n_samples)
            moved = starts + np.floor(shift * (2 * self.jitter + 1)).astype(np.int64) - self.jitter
            starts = np.clip(moved, 0, last)
        return rows, starts


def partners_across_events(store: Store, rows: np.ndarray, sampling_rate: float, n_samples: int) -> Partners:
    """Build the table of partners of a training part.

    Records that hold several stations need no partners: two of their traces are a pair.

    Raises:
        UserError: Where no event has two records that share a window, and no record several stations.
    """
    partners = Partners(store, rows, sampling_rate)
    if not partners.any_overlap(n_samples) and not any_holds_stations(store, rows):
        raise UserError(
            f"dataset.views_from=event: no event (source_id) of the training part of {store.root} has two records that "
            f"share {n_samples / sampling_rate:g} s (by trace_start_time); prepare whole records and set a shorter "
            "dataset.window_length, or set dataset.views_from=record"
        )
    return partners


def any_holds_stations(store: Store, rows: np.ndarray) -> bool:
    """Tell whether some of the rows (N,) hold traces of several stations, by ``trace_channels``."""
    for channels in np.unique(text_column(store.metadata, "trace_channels")[np.asarray(rows, np.int64)].astype(str)):
        if len({tuple(name.split(".")[:2]) for name in channels.split(";")}) > 1:  # network and station
            return True
    return False


def event_samples(store: Store) -> np.ndarray:
    """First sample of each record that may hold its event: its P arrival, or its end where the record is of noise.

    Args:
        store: ``trace_p_arrival_sample`` and the class ``noise`` (or ``Noise``) of its metadata count.

    Returns:
        (N,) float64; 0 for records of which neither is known.
    """
    metadata = store.metadata
    first = np.zeros(len(metadata))
    if P_ARRIVAL in metadata:
        arrival = pd.to_numeric(metadata[P_ARRIVAL], errors="coerce").to_numpy(np.float64)
        first = np.where(np.isfinite(arrival), arrival, first)
    if "trace_category" in metadata:
        first = np.where(metadata["trace_category"].astype(str).str.lower() == NOISE, store.n_samples, first)
    return first


def _shared(rows: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the rows (N,) of events (N,) that have several; the events are numbered anew, without holes."""
    several = np.bincount(event)[event] > 1 if len(event) else np.empty(0, bool)
    return rows[several], pd.factorize(event[several])[0]


def jitter_samples(seconds: float, sampling_rate: float) -> int:
    """The largest shift of a second view in samples; 0 where there is none.

    Raises:
        UserError: A shift below 0.
    """
    if seconds < 0:
        raise UserError(f"dataset.view_jitter: {seconds:g} s is below 0; give 0 or more")
    return round(seconds * sampling_rate)


def drawn_places(
    batch: Batch, n_draws: int, random: SampleRandom, second: SecondViews | None, lengths: np.ndarray
) -> np.ndarray:
    """Rows and first samples of all drawn views, (2, B, n_draws): those of the key, but for the second of two."""
    places = torch.stack([batch["index"], batch["start"]])[..., None].expand(-1, -1, n_draws).numpy().copy()
    if second is not None:
        places[0, :, 1], places[1, :, 1] = second.places(batch, random, lengths)
    return places
