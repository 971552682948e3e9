"""A table of spectrograms in a MATLAB file, as ``seisml prepare spectrograms`` makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from seisml.data.datamodule import StoreDataModule
from seisml.datasets.matlab_table import MATRIX, read_spectrograms
from seisml.errors import UserError
from seisml.waveforms.preprocessing import Preprocessing


class SpectrogramTable:
    """The file in memory, with the interface of :class:`seisml.store.store.Store`: a spectrogram is a flat trace.

    Args:
        path: The file.

    Attributes:
        root: The file.
        metadata: One row per spectrogram: trace_name, trace_category (the class), source_id, trace_source_file.
        n_traces: (N,) int, all 1.
        n_samples: (N,) int, the numbers of a spectrogram.
        sampling_rate: (N,) float, 1: these are no samples in time.
        preprocessing: Unknown.

    Raises:
        UserError: The file is missing, no MATLAB 5 file, or holds something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.root = Path(path)
        values = read_spectrograms(self.root)
        matrix = values[MATRIX]
        label = _labels(self.root, matrix[-1])
        classes = values.get("classes", [str(number) for number in range(int(label.max()) + 1)])
        if label.max() >= len(classes):
            raise UserError(f"{self.root}: {MATRIX} names class {label.max()}, and 'classes' has {len(classes)}")
        names = [f"spectrogram{number:06d}" for number in range(matrix.shape[1])]
        files = values.get("files", names)
        for key in ("files", "events"):
            if len(values.get(key, names)) != len(names):
                raise UserError(f"{self.root}: {key!r} has {len(values[key])} names for {len(names)} spectrograms")
        self.metadata = pd.DataFrame(
            {
                "trace_name": names,
                "trace_category": [classes[number] for number in label],
                "source_id": values.get("events", files),
                "trace_source_file": files,
            }
        )
        self._values = np.ascontiguousarray(matrix[:-1].T, dtype=np.float32)  # (N, F * W)
        if not np.isfinite(self._values).all():
            row = int(np.flatnonzero(~np.isfinite(self._values).all(axis=1))[0])
            raise UserError(f"{self.root}: column {row + 1} of {MATRIX} holds values that are not numbers")
        count, length = self._values.shape
        self.n_traces, self.n_samples = np.ones(count, np.int64), np.full(count, length, np.int64)
        self.sampling_rate = np.ones(count)
        self.preprocessing = Preprocessing(known=False)

    def __len__(self) -> int:
        return len(self.metadata)

    def __repr__(self) -> str:
        return f"SpectrogramTable({str(self.root)!r}, {len(self)} spectrograms)"

    def read_traces(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray = 0, n_samples: int | None = None
    ) -> np.ndarray:
        """Read spectrograms: rows (B,), traces (B, K) all 0 -> (B, K, F * W) float32; only whole ones."""
        traces = np.asarray(traces, np.int64)
        if traces.size and (traces.min() < 0 or traces.max() > 0):
            raise IndexError(f"{self.root}: a spectrogram is one trace, 0")
        length = self._values.shape[1]
        if np.any(np.asarray(start) != 0) or n_samples not in (None, length):
            raise UserError(f"{self.root}: spectrograms are whole; leave dataset.window_length and n_samples at null")
        return np.repeat(self._values[np.asarray(rows, np.int64), None], traces.shape[1], axis=1)

    def read_records(
        self, rows: np.ndarray, n_samples: int | None = None, start: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read spectrograms: (B, 1, F * W) float32, and a (B, 1) mask, all true."""
        ones = np.ones((len(rows), 1), bool)
        return self.read_traces(rows, np.zeros((len(rows), 1), np.int64), start, n_samples), ones


class LabquakesDataModule(StoreDataModule):
    """Spectrograms of a MATLAB file, for :class:`seisml.transforms.matrix.MatrixFrontEnd`.

    Args:
        root: The file.
        **kwargs: See :class:`StoreDataModule`.
    """

    citation: ClassVar[str] = "Goebel, CERI 8104, University of Memphis"

    def __init__(self, root: str = "data/lab_ae.mat", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)

    def open_store(self) -> SpectrogramTable:  # type: ignore[override]
        """Read the file."""
        return SpectrogramTable(self.root)

    def how_to_make(self) -> str:
        """Say how the file is made."""
        return f"make one with `seisml prepare spectrograms SRC --out {self.root}`"


def _labels(path: Path, row: np.ndarray) -> np.ndarray:
    """Class numbers (N,) from the last row of the matrix."""
    row = np.asarray(row, np.float64)
    wrong = ~np.isfinite(row) | (row != np.round(row)) | (row < 0) | (row > 10_000)
    if wrong.any():
        column = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{path}: the last row of {MATRIX}, column {column + 1}, is {row[column]:g}, not the number of a class"
        )
    return row.astype(np.int64)
