"""Several stores that read like one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.data.shapes import one_sampling_rate
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.waveforms.preprocessing import Preprocessing


class JoinedStores:
    """Stores of one sampling rate, one after the other, with the interface of :class:`seisml.store.store.Store`.

    Args:
        stores: The stores; at least one.

    Attributes:
        stores: The stores.
        first: Row of the first record of each store, and one beyond the last row, (S + 1,).
        root: Their folders, for messages.
        metadata: Their tables, one below the other; a column that a store lacks is empty there.
        n_traces: (N,) int, traces of each record.
        n_samples: (N,) int, samples of each record.
        sampling_rate: (N,) float, in Hz.
        preprocessing: The steps that all share; ``known`` is false where they differ.

    Raises:
        UserError: The stores differ in sampling rate, or in the trend that was removed.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = tuple(stores)
        self.root = Path(" + ".join(str(store.root) for store in stores))
        self.first = np.cumsum([0, *map(len, stores)])
        _check_same(stores, "a sampling rate of", "--sampling-rate", lambda store: f"{one_sampling_rate(store):g} Hz")
        _check_same(stores, "--detrend", "--detrend", lambda store: store.preprocessing.detrend or "none")
        self.preprocessing = common_preprocessing([store.preprocessing for store in stores])
        self.metadata = pd.concat([store.metadata for store in stores], ignore_index=True)
        self.n_traces, self.n_samples, self.sampling_rate = (
            np.concatenate([getattr(store, name) for store in stores])
            for name in ("n_traces", "n_samples", "sampling_rate")
        )

    def __len__(self) -> int:
        return int(self.first[-1])

    def __repr__(self) -> str:
        return f"JoinedStores({str(self.root)!r}, {len(self)} records)"

    def read_traces(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray = 0, n_samples: int | None = None
    ) -> np.ndarray:
        """Read windows of chosen traces: see :meth:`Store.read_traces`."""
        rows, traces, starts = self._arguments(rows, traces, start)
        if n_samples is None:
            n_samples = int((self.n_samples[rows] - starts).max(initial=0))
        out = np.empty((*traces.shape, n_samples), np.float32)
        for store, some, theirs in self._by_store(rows):
            store.read_into(out, some, theirs, traces[some], starts[some])
        return out

    def read_records(
        self, rows: np.ndarray, n_samples: int | None = None, start: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read all traces of records, padded to the most among them: see :meth:`Store.read_records`."""
        rows, _, starts = self._arguments(rows, rows, start)
        if n_samples is None:
            n_samples = int((self.n_samples[rows] - starts).max(initial=0))
        most = int(self.n_traces[rows].max(initial=0))
        out, mask = np.zeros((len(rows), most, n_samples), np.float32), np.zeros((len(rows), most), bool)
        for store, some, theirs in self._by_store(rows):
            found, exists = store.read_records(theirs, n_samples, starts[some])
            out[some, : found.shape[1]], mask[some, : found.shape[1]] = found, exists
        return out, mask

    def _arguments(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, traces = np.asarray(rows, np.int64), np.asarray(traces, np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"{self.root} has rows 0..{len(self) - 1}, asked for {rows.min()}..{rows.max()}")
        return rows, traces, np.broadcast_to(np.asarray(start, np.int64), rows.shape)

    def _by_store(self, rows: np.ndarray) -> list[tuple[Store, np.ndarray, np.ndarray]]:
        """Each store that holds some of the rows (B,), which of them, and their rows in it."""
        home = np.searchsorted(self.first, rows, side="right") - 1
        places = [(number, np.flatnonzero(home == number)) for number in np.unique(home).tolist()]
        return [(self.stores[number], some, rows[some] - self.first[number]) for number, some in places]


def common_preprocessing(steps: Sequence[Preprocessing]) -> Preprocessing:
    """The steps that all have in common; what differs is left open.

    Says in one line what differs, and the whole then counts as not known. Sampling rate, length and unit are no
    difference: the first is a fact of the samples, windows are cut from records, the unit is the front end's matter.
    """
    tables = [asdict(step) for step in steps]
    differing = [name for name in tables[0] if any(table[name] != tables[0][name] for table in tables)]
    told = [name for name in differing if name not in ("sampling_rate", "length", "unit", "known")]
    if told:
        print(f"Warning: the stores of the mixture were prepared with different steps: {', '.join(told)}.", flush=True)
    known = all(step.known for step in steps) and not told
    return replace(steps[0], **{**dict.fromkeys(differing), "known": known})


def _check_same(stores: Sequence[Store], what: str, option: str, read: Callable[[Store], str]) -> None:
    """Refuse stores of which a fact differs."""
    first, value = stores[0].root, read(stores[0])
    for store in stores[1:]:
        if read(store) != value:
            raise UserError(
                f"dataset.stores: {first} has {what} {value} and {store.root} has {read(store)}; "
                f"prepare {store.root} again with {option} {value.removesuffix(' Hz')}"
            )
