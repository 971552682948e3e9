"""The UCR archive of time series (Dau et al. 2019): tables with a series in each row, its class first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from seisml.data.datamodule import StoreDataModule
from seisml.datasets.flat_table import FlatTable
from seisml.errors import UserError


class UCRSet(FlatTable):
    """One data set of the archive, in memory.

    Each series loses its mean and is divided by its standard deviation, then arcsinh (Lee and Aune 2021). A constant
    series becomes zeros; what is missing at the end of a shorter one, too.

    Args:
        root: Folder with ``NAME_TRAIN.tsv`` and ``NAME_TEST.tsv``.

    Attributes:
        metadata: One row per series: trace_name, trace_category (the class), source_id, trace_source_file, and
            ``split`` (``train`` or ``test``, the archive's).

    Raises:
        UserError: The tables are missing, or a row of one is not a series.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        tables, frames = [], []
        for part in ("train", "test"):
            path = self.root / f"{self.root.name}_{part.upper()}.tsv"
            values = _read_table(path)
            tables.append(values[:, 1:])
            names = [f"{path.stem}:{row + 1}" for row in range(len(values))]
            classes = [f"{label:g}" for label in values[:, 0]]
            frames.append(
                pd.DataFrame(
                    {
                        "trace_name": names,
                        "trace_category": classes,
                        "source_id": names,
                        "trace_source_file": names,
                        "split": part,
                    }
                )
            )
        if tables[0].shape[1] != tables[1].shape[1]:
            raise UserError(f"{self.root}: TRAIN has {tables[0].shape[1]} samples a series, TEST {tables[1].shape[1]}")
        super().__init__(self.root, pd.concat(frames, ignore_index=True), _normalized(np.concatenate(tables)))


class UCRDataModule(StoreDataModule):
    """Series of one data set of the UCR archive.

    By default TRAIN and TEST are pooled and split 80 / 20 by class, as published for VIbCReg;
    ``split_procedure=column`` takes the archive's parts.

    Args:
        root: Folder of the data set, with its two tables.
        **kwargs: See :class:`StoreDataModule`.
    """

    citation: ClassVar[str] = "Dau et al. (2019), doi 10.1109/JAS.2019.1911747"

    def __init__(self, root: str = "data/ucr/Earthquakes", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)

    def open_store(self) -> UCRSet:
        """Read the two tables."""
        return UCRSet(self.root)

    def how_to_make(self) -> str:
        """Say where the data set comes from."""
        return "unpack the UCR archive and point dataset.root=... at the folder of one of its data sets"


def _read_table(path: Path) -> np.ndarray:
    """Read a table of numbers, (N, 1 + T) float64."""
    if not path.is_file():
        raise UserError(
            f"dataset.root: there is no {path}; unpack the UCR archive and name the folder of one of its data sets"
        )
    try:
        table = pd.read_csv(path, sep="\t", header=None, dtype=str, na_filter=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a table of series ({str(error).splitlines()[0]}); copy it again") from error
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    said = table.apply(lambda column: column.str.strip().str.lower().isin(["nan", ""])).to_numpy()
    wrong = (np.isnan(values) & ~said) | np.isinf(values)
    wrong[:, 0] |= np.isnan(values[:, 0])
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise UserError(
            f"{path}: line {row + 1}, column {column + 1}: {table.iat[row, column]!r} is not a number; mend the line"
        )
    if values.shape[1] < 3:
        raise UserError(f"{path}: its rows hold {values.shape[1] - 1} samples; a table has a class and a series a row")
    return values


def _normalized(values: np.ndarray) -> np.ndarray:
    """Standardise each series (N, T) over the samples that it has, then arcsinh; float32."""
    mean = np.nanmean(values, axis=1, keepdims=True)
    spread = np.nanstd(values, axis=1, keepdims=True)
    scaled = np.divide(values - mean, spread, out=np.zeros_like(values), where=spread > 0)
    return np.arcsinh(np.nan_to_num(scaled)).astype(np.float32)
