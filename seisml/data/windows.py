"""Windows of records: numbered, computed where they are asked for, never listed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from seisml.data.slices import search_slices
from seisml.errors import UserError
from seisml.store.store import Store


@dataclass(frozen=True)
class Windows:
    """Windows of one length, numbered 0..N-1 along stretches of records, in which they lie whole.

    Memory goes with the number of stretches, not with that of windows: a record of a billion samples is one stretch.
    A view of K successive pieces (contrastive predictive coding) needs nothing more: it is a window of K times
    the length, reshaped (B, C, K * T) -> (B, C, K, T).

    Attributes:
        row: Record of each stretch, (S,) int64.
        first: First sample that a window may start at, (S,) int64.
        span: How many samples a window may start at, from ``first`` on, (S,) int64, at least 1.
        step: Samples from the start of one window to that of the next, (S,) int64.
    """

    row: np.ndarray
    first: np.ndarray
    span: np.ndarray
    step: np.ndarray

    @classmethod
    def at(cls, rows: np.ndarray, starts: np.ndarray | int = 0) -> Windows:
        """One window for each of the rows (N,), at its start: (N,), or one number for all."""
        rows = np.asarray(rows, np.int64)
        starts = np.array(np.broadcast_to(np.asarray(starts, np.int64), rows.shape))
        ones = np.ones(len(rows), np.int64)
        return cls(rows, starts, ones, ones)

    @classmethod
    def within(
        cls, row: np.ndarray, begin: np.ndarray, end: np.ndarray, length: int, step: int | np.ndarray
    ) -> Windows:
        """All windows within stretches; a stretch that is shorter than a window has none.

        Args:
            row: Record of each stretch, (S,).
            begin: Its first sample, (S,).
            end: One beyond its last sample, (S,).
            length: Samples of a window.
            step: Samples from one window to the next, one number for all or (S,).
        """
        step = np.array(np.broadcast_to(np.asarray(step, np.int64), np.shape(row)))
        row, begin, end = (np.asarray(column, np.int64) for column in (row, begin, end))
        span = end - begin - length + 1
        fits = span > 0
        return cls(row[fits], begin[fits], span[fits], step[fits])

    @cached_property
    def counts(self) -> np.ndarray:
        """Windows of each stretch, (S,)."""
        return (self.span - 1) // self.step + 1

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.counts)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self.row) else 0

    def keys(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and starts of the windows with these numbers, each (n,)."""
        stretch, place = self._locate(numbers)
        return self.row[stretch], self.first[stretch] + place * self.step[stretch]

    def shifted(self, numbers: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and starts where each window moves within its share of the stretch.

        A stretch of n windows has n equal shares of starts, one for each window: moved at random, they still cover the
        stretch evenly and never leave it.

        Args:
            numbers: (n,).
            position: Place within the share, (n,) in [0, 1).
        """
        stretch, place = self._locate(numbers)
        offset = (place + position) * (self.span[stretch] / self.counts[stretch])
        return self.row[stretch], self.first[stretch] + np.minimum(offset.astype(np.int64), self.span[stretch] - 1)

    def bounds(self, rows: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last start of the stretch that each window lies in: (n,) each, from rows and starts, (n,)."""
        order = self._order
        low, high = (np.searchsorted(self.row[order], rows, side=side) for side in ("left", "right"))
        stretch = order[search_slices(self.first[order], low, high, starts + 1) - 1]
        return self.first[stretch], self.first[stretch] + self.span[stretch] - 1

    @cached_property
    def _order(self) -> np.ndarray:
        """Stretches by record and place."""
        return np.lexsort((self.first, self.row))

    def to_frame(self) -> pd.DataFrame:
        """List the stretches: row, first_start, last_start, n_windows; a window starts every ``step`` samples."""
        last = self.first + (self.counts - 1) * self.step
        columns = {"first_start": self.first, "last_start": last, "n_windows": self.counts}
        return pd.DataFrame({"row": self.row, **columns}, dtype="Int64")

    def _locate(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Stretch of each window, and its place there."""
        stretch = np.searchsorted(self._ends, numbers, side="right")
        return stretch, numbers - (self._ends - self.counts)[stretch]


def window_samples(seconds: float, overlap: float, sampling_rate: float, store: Store) -> int:
    """Return the length of a window in samples; say which records are too short for one.

    Raises:
        UserError: A length or an overlap that makes no sense, or no record holds a window.
    """
    if not 0 <= overlap < 1:
        raise UserError(f"dataset.window_overlap: {overlap:g} is not a share of a window; give 0 or more, below 1")
    length = round(seconds * sampling_rate)
    if length < 1:
        raise UserError(
            f"dataset.window_length: {seconds:g} s hold no sample at {sampling_rate:g} Hz; give more seconds"
        )
    longest = int(store.n_samples.max())
    short = int((store.n_samples < length).sum())
    if longest < length:
        raise UserError(
            f"dataset.window_length: no record of {store.root} lasts {seconds:g} s; the longest has "
            f"{longest / sampling_rate:g} s"
        )
    if short:
        print(f"Warning: {short} of {len(store)} records are shorter than a window of {seconds:g} s and give none.")
    return length
