"""A table in memory that reads like a store: each row is a record of one trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seisml.waveforms.preprocessing import Preprocessing


class FlatTable:
    """Rows of numbers with the interface of :class:`seisml.store.store.Store`.

    Args:
        root: Where it comes from.
        metadata: One row per record: trace_name, trace_category, source_id, trace_source_file...
        values: (N, T), float32.

    Attributes:
        root: Where it comes from.
        metadata: As given.
        n_traces: (N,) int, all 1.
        n_samples: (N,) int, all T.
        sampling_rate: (N,) float, 1: such tables give none.
        preprocessing: Unknown: they do not say what was done before.
    """

    def __init__(self, root: Path, metadata: pd.DataFrame, values: np.ndarray) -> None:
        self.root, self.metadata, self._values = root, metadata, values
        count, length = values.shape
        self.n_traces, self.n_samples = np.ones(count, np.int64), np.full(count, length, np.int64)
        self.sampling_rate = np.ones(count)
        self.preprocessing = Preprocessing(known=False)

    def __len__(self) -> int:
        return len(self.metadata)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, {len(self)} rows)"

    def read_traces(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray = 0, n_samples: int | None = None
    ) -> np.ndarray:
        """Read windows of rows: rows (B,), traces (B, K) all 0 -> (B, K, n_samples) float32, zeros outside."""
        rows, traces = np.asarray(rows, np.int64), np.asarray(traces, np.int64)
        if traces.size and (traces.min() < 0 or traces.max() > 0):
            raise IndexError(f"{self.root}: a row has one trace, 0")
        length = self._values.shape[-1]
        starts = np.broadcast_to(np.asarray(start, np.int64), rows.shape)
        n_samples = length - int(starts.min(initial=0)) if n_samples is None else n_samples
        places = starts[:, None] + np.arange(n_samples)
        inside = (places >= 0) & (places < length)
        window = np.where(inside, self._values[rows[:, None], places.clip(0, length - 1)], 0).astype(np.float32)
        return np.repeat(window[:, None], traces.shape[1], axis=1)

    def read_records(
        self, rows: np.ndarray, n_samples: int | None = None, start: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read whole rows: (B, 1, T) float32, and a (B, 1) mask, all true."""
        ones = np.ones((len(rows), 1), bool)
        return self.read_traces(rows, np.zeros((len(rows), 1), np.int64), start, n_samples), ones
