"""The prepared LANL file: one HDF5 file whose stretches between failures read like the records of a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml.errors import UserError
from seisml.waveforms.preprocessing import Preprocessing

SAMPLING_RATE = 4e6  # Hz
SIGNAL, TIME, STRETCHES = "signal", "time_to_failure", "stretches"
TEST_SIGNAL, TEST_IDS = "test_signal", "test_seg_id"
LEAST_JUMP = 1e-3  # s by which the time to failure grows at a failure; within a stretch it never does


class LanlFile:
    """Lazy access to the stretches of the training record, with the interface of :class:`seisml.store.store.Store`.

    A record is a stretch between two failures, so that no window crosses a failure. Nothing is read but the samples
    asked for; the file is opened on the first read, once per process.

    Args:
        path: What ``seisml prepare lanl`` made.

    Attributes:
        root: The file.
        metadata: One row per stretch: trace_name, source_id, trace_source_file.
        n_traces: (S,) int, all 1.
        n_samples: (S,) int, tens of millions each.
        sampling_rate: (S,) float, in Hz.
        stretches: (S, 2) int64, first and behind-last sample of each stretch.
        scale: What the times of the real experiment are divided by: 1 for the contest's record, more for a synthetic
            one.
        preprocessing: Nothing was done to the sensor's counts.

    Raises:
        UserError: The file is missing, damaged or holds something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.root = Path(path)
        with open_lanl(self.root) as file:
            signal, time = file[SIGNAL], file[TIME]
            if signal.ndim != 1 or signal.shape != time.shape or signal.dtype.kind not in "iu":
                raise UserError(f"{self.root}: {SIGNAL} {signal.shape} and {TIME} {time.shape} do not fit each other")
            self.stretches = checked_stretches(file[STRETCHES][()], len(signal), str(self.root))
            rate, self.scale = (
                _positive(file, name, usual) for name, usual in (("sampling_rate", SAMPLING_RATE), ("scale", 1.0))
            )
        self.preprocessing = Preprocessing(unit="counts")
        count = len(self.stretches)
        self.n_traces = np.ones(count, np.int64)
        self.n_samples = np.diff(self.stretches, axis=1)[:, 0]
        self.sampling_rate = np.full(count, rate)
        names = [f"stretch{number:02d}" for number in range(count)]
        self.metadata = pd.DataFrame(
            {"trace_name": names, "source_id": names, "trace_source_file": self.root.name, "trace_start_sample": 0}
        )
        self._file: h5py.File | None = None
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self.stretches)

    def __repr__(self) -> str:
        return f"LanlFile({str(self.root)!r}, {len(self)} stretches, {int(self.n_samples.sum())} samples)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}  # open files do not travel to spawned workers

    def read_traces(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray = 0, n_samples: int | None = None
    ) -> np.ndarray:
        """Read windows of stretches.

        Args:
            rows: (B,) stretches.
            traces: (B, K), all 0: there is one trace.
            start: First sample within the stretch, one for all or (B,).
            n_samples: Length of the windows; None reads to the end of the longest stretch.

        Returns:
            (B, K, n_samples) float32, in the sensor's counts; zeros outside the stretch.

        Raises:
            IndexError: A row or a trace that does not exist.
        """
        rows, traces = np.asarray(rows, np.int64), np.asarray(traces, np.int64)
        if traces.size and (traces.min() < 0 or traces.max() > 0):
            raise IndexError(f"{self.root}: a stretch has one trace, 0")
        window = self._read(SIGNAL, rows, start, n_samples)
        return np.repeat(window[:, None], traces.shape[1], axis=1)

    def read_records(
        self, rows: np.ndarray, n_samples: int | None = None, start: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read whole stretches: (B, 1, T) float32, and a (B, 1) mask, all true. They are long: give ``n_samples``."""
        ones = np.ones((len(rows), 1), bool)
        return self.read_traces(rows, np.zeros((len(rows), 1), np.int64), start, n_samples), ones

    def time_to_failure(self, rows: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Time to the next failure at chosen samples.

        Args:
            rows: (B,) stretches.
            samples: (B,) samples within them.

        Returns:
            (B,) float32, in s.
        """
        return self._read(TIME, np.asarray(rows, np.int64), samples, 1)[:, 0]

    def _read(self, name: str, rows: np.ndarray, start: int | np.ndarray, n_samples: int | None) -> np.ndarray:
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"{self.root} has rows 0..{len(self) - 1}, asked for {rows.min()}..{rows.max()}")
        starts = np.broadcast_to(np.asarray(start, np.int64), rows.shape)
        if n_samples is None:
            n_samples = int((self.n_samples[rows] - starts).max(initial=0))
        out = np.zeros((len(rows), n_samples), np.float32)
        data = self._open()[name]
        for place, (row, first) in enumerate(zip(rows.tolist(), starts.tolist(), strict=True)):
            begin, length = int(self.stretches[row, 0]), int(self.n_samples[row])
            low, high = min(max(first, 0), length), max(min(first + n_samples, length), 0)
            if low < high:
                out[place, low - first : high - first] = data[begin + low : begin + high]
        return out

    def _open(self) -> h5py.File:
        if self._file is None or self._pid != os.getpid():  # forked: HDF5 handles of the parent must not be used here
            self._file, self._pid = open_lanl(self.root), os.getpid()
        return self._file


def open_lanl(path: Path) -> h5py.File:
    """Open a prepared file.

    Raises:
        UserError: It is missing, no HDF5 file, or lacks a part.
    """
    if not path.is_file():
        raise UserError(f"dataset.root: there is no file {path}; make it with `seisml prepare lanl SRC --out {path}`")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: is not a whole HDF5 file; copy it again, or make one: seisml prepare lanl") from error
    for name in (SIGNAL, TIME, STRETCHES):
        if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
            file.close()
            raise UserError(f"{path}: has no data set {name!r}; make the file again with `seisml prepare lanl`")
    return file


def checked_stretches(stretches: np.ndarray, n_samples: int, place: str) -> np.ndarray:
    """Check first and behind-last samples of stretches: (S, 2), in order, inside the record, not empty."""
    stretches = np.asarray(stretches)
    fits = stretches.ndim == 2 and stretches.shape[1] == 2 and len(stretches) and stretches.dtype.kind in "iu"
    if fits:
        stretches = stretches.astype(np.int64)
        flat = stretches.ravel()
        fits = flat[0] >= 0 and flat[-1] <= n_samples and (np.diff(stretches, axis=1) > 0).all()
        fits = fits and bool((stretches[1:, 0] >= stretches[:-1, 1]).all())
    if not fits:
        raise UserError(f"{place}: its stretches do not lie in order within {n_samples} samples; prepare it again")
    return stretches


def _positive(file: h5py.File, name: str, usual: float) -> float:
    """Read an attribute that is a positive number; the usual one where the file does not say it."""
    said = file.attrs.get(name, usual)
    try:
        value = float(said)
    except (TypeError, ValueError):
        value = 0.0
    if not 0 < value < 1e12:
        raise UserError(f"{file.filename}: its {name} is {str(said)[:40]!r}, not a positive number; prepare it again")
    return value


class StretchFinder:
    """Finds the stretches of a record that comes in blocks: one ends where the time to failure jumps up."""

    def __init__(self) -> None:
        self.starts, self.n_samples, self._last = [0], 0, np.inf

    def feed(self, time: np.ndarray) -> None:
        """Look at the next times to failure, (n,) in s."""
        if not len(time):
            return
        step = np.diff(time, prepend=time.dtype.type(min(self._last, np.finfo(time.dtype).max)))
        self.starts += (self.n_samples + np.flatnonzero(step > LEAST_JUMP)).tolist()
        self.n_samples, self._last = self.n_samples + len(time), float(time[-1])

    def stretches(self) -> np.ndarray:
        """First and behind-last sample of each stretch, (S, 2) int64."""
        starts = np.array(self.starts, np.int64)
        return np.stack([starts, np.append(starts[1:], self.n_samples)], axis=1)
