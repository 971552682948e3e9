"""The published tremor format, one HDF5 file with ``X`` and ``y``, read as if it were a store."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml.errors import UserError
from seisml.store.hdf5 import local, open_hdf5, reading_hdf5
from seisml.store.tables import RATES
from seisml.waveforms.preprocessing import Preprocessing

CLASSES = ("none", "tremor")
# What follows the event in `source` is the station: its number, or the codes that stand before a year and day.
STATION_PART = r"_\d+$|^\w*\.\w*\.\w*\.\w*\.(?=\d{4}\.\d{1,3})"
PUBLISHED_RATES = {20_000: 20.0, 100_000: 100.0}  # Hz, of windows of 1000 s


class TremorFile:
    """Lazy random access to ``X`` (N, T), with the interface of :class:`seisml.store.store.Store`.

    The waveforms are opened on the first read, once per process, so it works in DataLoader workers, forked or spawned.

    Args:
        path: HDF5 file with ``X`` (N, T), ``y`` (N,) or (N, 1) of 0 and 1, and optionally ``source`` (N,), the name of
            each window's event with its station.
        sampling_rate: In Hz; by default the file's attribute ``sampling_rate``, or what the published lengths mean.
        station_part: Regular expression of what in ``source`` names the station; the rest is the event.

    Attributes:
        root: The file.
        metadata: One row per window: trace_name, trace_category ("none", "tremor"), source_id (the event),
            trace_source_file, ``source`` as in the file.
        n_traces: (N,) int, all 1.
        n_samples: (N,) int.
        sampling_rate: (N,) float, in Hz.
        preprocessing: What was done to the recordings, by the file's attribute ``preprocessing``; unknown without one.

    Raises:
        UserError: The file is missing or does not hold what it should.
    """

    def __init__(self, path: str | Path, sampling_rate: float | None = None, station_part: str = STATION_PART) -> None:
        self.root = Path(path)
        if not self.root.is_file():
            raise UserError(
                f"dataset.root: there is no file {self.root}; make it with 'seisml prepare tremor' or name another"
            )
        with reading_hdf5(self.root) as file:
            for name in ("X", "y"):
                if not isinstance(local(file, name, self.root), h5py.Dataset):
                    raise UserError(f"{self.root}: has no data set {name!r}; a tremor file holds X (N, T) and y (N,)")
            shape = file["X"].shape
            if len(shape) != 2 or 0 in shape or file["X"].dtype.kind not in "fiu":
                raise UserError(f"{self.root}: X has the shape {shape}, not (windows, samples) of numbers; store it so")
            labels = _column(file, "y", shape[0], self.root)
            sources = _texts(_column(file, "source", shape[0], self.root)) if "source" in file else None
            rate = sampling_rate or file.attrs.get("sampling_rate") or PUBLISHED_RATES.get(shape[1])
            self.preprocessing = _preprocessing(file, self.root)
        try:
            rate = float(rate or 0)
        except (TypeError, ValueError):
            rate = 0.0
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(
                f"{self.root}: does not say its sampling rate; set dataset.sampling_rate (Hz), "
                "or the file's attribute 'sampling_rate'"
            )
        labels = labels.reshape(-1)
        wrong = np.flatnonzero(~np.isin(labels, (0, 1)))
        if len(wrong):
            raise UserError(f"{self.root}: y[{wrong[0]}] is {labels[wrong[0]]}; labels are 0 (none) and 1 (tremor)")
        self.n_traces, self.n_samples = np.ones(shape[0], np.int64), np.full(shape[0], shape[1], np.int64)
        self.sampling_rate = np.full(shape[0], rate)
        self.metadata = self._metadata(labels.astype(int), sources, station_part)
        self._array: Any = None
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self.metadata)

    def __repr__(self) -> str:
        return f"TremorFile({str(self.root)!r}, {len(self)} windows)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}  # open files do not travel to spawned workers

    def read_traces(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray = 0, n_samples: int | None = None
    ) -> np.ndarray:
        """Read a stretch of chosen windows.

        Args:
            rows: (B,) windows.
            traces: (B, K), all 0: there is one trace.
            start: First sample, one for all or (B,).
            n_samples: Length; None reads to the end.

        Returns:
            (B, K, n_samples) float32; zeros before the first sample and beyond the last.
        """
        rows, traces = np.asarray(rows, np.int64), np.asarray(traces, np.int64)
        if traces.size and (traces.min() < 0 or traces.max() > 0):
            raise IndexError(f"{self.root}: a window has one trace, 0")
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"{self.root} has rows 0..{len(self) - 1}, asked for {rows.min()}..{rows.max()}")
        length = int(self.n_samples[0])
        starts = np.broadcast_to(np.asarray(start, np.int64), rows.shape)
        n_samples = length - int(starts.min(initial=0)) if n_samples is None else n_samples
        out = np.zeros((len(rows), 1, n_samples), np.float32)
        array = self._open()
        for place, (row, first) in enumerate(zip(rows.tolist(), starts.tolist(), strict=True)):
            low, high = max(first, 0), min(first + n_samples, length)
            if low < high:
                out[place, 0, low - first : high - first] = array[row, low:high]
        return out.repeat(traces.shape[1], axis=1) if traces.shape[1] != 1 else out

    def read_records(
        self, rows: np.ndarray, n_samples: int | None = None, start: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read windows from ``start`` on: (B, 1, n_samples) float32, and a (B, 1) mask, all true."""
        ones = np.ones((len(rows), 1), bool)
        return self.read_traces(rows, np.zeros((len(rows), 1), np.int64), start, n_samples), ones

    def _metadata(self, labels: np.ndarray, sources: list[str] | None, station_part: str) -> pd.DataFrame:
        try:
            pattern = re.compile(station_part)
        except re.error as error:
            raise UserError(f"dataset.station_part={station_part!r} is not a regular expression ({error})") from error
        names = [f"X${row}" for row in range(len(labels))]
        return pd.DataFrame(
            {
                "trace_name": names,
                "trace_category": np.array(CLASSES, dtype=object)[labels],
                "source_id": names if sources is None else [pattern.sub("", source) or source for source in sources],
                "trace_source_file": self.root.name,
                "source": "" if sources is None else sources,
            }
        )

    def _open(self) -> Any:
        """X in this process: mapped where it lies in one piece in the file, else as h5py's data set."""
        if self._array is None or self._pid != os.getpid():
            dataset = open_hdf5(self.root)["X"]
            offset = dataset.id.get_offset()
            if offset is not None and dataset.dtype.isnative:
                self._array = np.memmap(self.root, dataset.dtype, "r", offset, dataset.shape)
                dataset.file.close()
            else:
                self._array = dataset
            self._pid = os.getpid()
        return self._array


def _preprocessing(file: h5py.File, path: Path) -> Preprocessing:
    """What the file says; one that an earlier version made says it among its options."""
    said, where = file.attrs.get("preprocessing"), f"{path}: attribute preprocessing"
    earlier = local(file, "prepare.json", path)
    try:
        if said is not None:
            return Preprocessing.from_dict(json.loads(said), where)
        if isinstance(earlier, h5py.Dataset) and earlier.shape == ():
            options = json.loads(earlier[()])
            return Preprocessing.from_earlier(options.get("options"), f"{path}: prepare.json")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{where}: is not a JSON mapping; make the file again") from error
    return Preprocessing(known=False)


def _column(file: h5py.File, name: str, n_windows: int, path: Path) -> np.ndarray:
    """A value for each window, read where it has their number."""
    dataset = local(file, name, path)
    shape = dataset.shape if isinstance(dataset, h5py.Dataset) else None
    if shape not in ((n_windows,), (n_windows, 1)):
        raise UserError(f"{path}: {name} has the shape {shape}, for {n_windows} windows; want ({n_windows},)")
    return dataset[()]


def _texts(values: np.ndarray) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values.reshape(-1)]
