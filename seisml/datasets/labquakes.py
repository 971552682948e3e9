"""A table of spectrograms in a MATLAB file, as ``seisml prepare spectrograms`` makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from seisml.data.datamodule import StoreDataModule
from seisml.datasets.flat_table import FlatTable
from seisml.datasets.matlab_table import MATRIX, read_spectrograms
from seisml.errors import UserError
from seisml.values.ranges import Count


class SpectrogramTable(FlatTable):
    """The file in memory: a flattened spectrogram is a trace of one record.

    Args:
        path: The file.

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
        metadata = pd.DataFrame(
            {
                "trace_name": names,
                "trace_category": [classes[number] for number in label],
                "source_id": values.get("events", files),
                "trace_source_file": files,
            }
        )
        spectrograms = np.ascontiguousarray(matrix[:-1].T, dtype=np.float32)  # (N, F * W)
        if not np.isfinite(spectrograms).all():
            row = int(np.flatnonzero(~np.isfinite(spectrograms).all(axis=1))[0])
            raise UserError(f"{self.root}: column {row + 1} of {MATRIX} holds values that are not numbers")
        super().__init__(self.root, metadata, spectrograms)


class LabquakesDataModule(StoreDataModule):
    """Spectrograms of a MATLAB file, for :class:`seisml.transforms.matrix.MatrixFrontEnd`.

    Args:
        root: The file.
        batch_size: Spectrograms per batch.
        **kwargs: See :class:`StoreDataModule`.
    """

    citation: ClassVar[str] = "Goebel, CERI 8104, University of Memphis"

    def __init__(self, root: str = "data/lab_ae.mat", batch_size: Count = 50, **kwargs: Any) -> None:
        super().__init__(root, batch_size=batch_size, **kwargs)

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
