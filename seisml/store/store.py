"""A prepared data set on disk: SeisBench's ``metadata.csv`` + ``waveforms.hdf5``, read lazily and in slices.

Contiguous uncompressed blocks (ours, and SeisBench's default) are read through a memory map at the block's offset in
the file: one copy of exactly the samples asked for, and no HDF5 call per trace. Other blocks are read by h5py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from seisml.errors import UserError
from seisml.store.folder import is_current, read_prepared, recover_interrupted
from seisml.store.hdf5 import open_hdf5
from seisml.store.tables import (
    UNLABELED,
    find_chunks,
    locate_records,
    read_data_format,
    read_metadata,
    sampling_rates,
)
from seisml.store.writer import StoreWriter
from seisml.waveforms.preprocessing import Preprocessing

__all__ = ["UNLABELED", "Store", "StoreWriter", "is_current"]


class Store:
    """Random access to the records of a prepared data set.

    Opening reads the metadata and checks that the waveform file is whole. Waveforms are opened on the first read, once
    per process, so a store works in DataLoader workers, forked or spawned. Memory: the metadata table, and what a read
    returns (pages of the map belong to the system's file cache, which gives them back when memory is short).

    Args:
        root: Folder with ``metadata.csv`` and ``waveforms.hdf5`` (or several such pairs, SeisBench's chunks).

    Attributes:
        root: The folder.
        metadata: One row per record, SeisBench column names, index 0..N-1. ``trace_category`` is the label
            (``"Unlabeled"`` for none), ``source_id`` the event; where the file lacks them they are filled in.
        n_traces: (N,) int, traces of each record.
        n_samples: (N,) int, samples of each record.
        sampling_rate: (N,) float, in Hz.
        data_format: SeisBench's ``data_format`` (unit, component_order...).
        prepared: What ``prepare.json`` says (options, counts, skipped files); empty for stores made elsewhere.
        preprocessing: What was done to the recordings; of stores made elsewhere what ``data_format`` tells, and
            ``known`` is false.

    Raises:
        UserError: Where the folder is not a store, or a file of it is missing, empty or truncated.

    Example:
        >>> store = Store("data/demo")
        >>> store.read_traces([0, 5], [[0, 3], [2, 2]], start=100, n_samples=50).shape
        (2, 2, 50)
    """

    def __init__(self, root: str | Path) -> None:
        self.root = recover_interrupted(Path(root))
        if not self.root.is_dir():
            raise UserError(f"{self.root}: no such store; make it with 'seisml prepare' or name another folder")
        self.prepared = read_prepared(self.root)
        chunks = find_chunks(self.root)
        self.data_format = read_data_format(self.root, chunks)
        self._transposed = self.data_format["dimension_order"] == "WC"
        self.preprocessing = stored_preprocessing(self.prepared, self.data_format, f"{self.root}/prepare.json")
        self.metadata = read_metadata(self.root, chunks)
        self.sampling_rate = sampling_rates(self.root, self.metadata, self.data_format)
        self._places = locate_records(self.root, self.metadata, chunks, self._transposed)
        self.n_traces, self.n_samples = self._places.n_traces, self._places.n_samples
        self._arrays: dict[int, Any] = {}  # block number -> array over the map, or h5py dataset
        self._files: dict[tuple[str, bool], Any] = {}  # (file, whether mapped) -> what the arrays stand on
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self.metadata)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r}, {len(self)} records)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}, "_files": {}}  # open files do not travel to spawned workers

    def read_traces(
        self, rows: np.ndarray, traces: np.ndarray, start: int | np.ndarray = 0, n_samples: int | None = None
    ) -> np.ndarray:
        """Read a window of chosen traces; no other bytes are touched.

        Args:
            rows: (B,) records.
            traces: (B, K) trace indices within each record.
            start: First sample, one for all or (B,).
            n_samples: Window length; None reads to the end of the longest record.

        Returns:
            (B, K, n_samples) float32; zeros before a record's first sample and beyond its last.

        Raises:
            IndexError: A row or a trace that does not exist.
        """
        rows, traces = self._check_rows(rows), np.asarray(traces, dtype=np.int64)
        starts = np.broadcast_to(np.asarray(start, dtype=np.int64), rows.shape)
        if n_samples is None:
            n_samples = int((self.n_samples[rows] - starts).max(initial=0))
        out = np.empty((*traces.shape, n_samples), dtype=np.float32)
        self.read_into(out, np.arange(len(rows)), rows, traces, starts)
        return out

    def read_into(
        self, out: np.ndarray, places: np.ndarray, rows: np.ndarray, traces: np.ndarray, starts: np.ndarray
    ) -> None:
        """Read windows of chosen traces into some places of an array; see :meth:`read_traces`.

        Args:
            out: (N, K, n_samples) float32.
            places: Which of the N each window goes to, (B,); the others stay as they are.
            rows: (B,) records.
            traces: (B, K) trace indices within each record.
            starts: First samples, (B,).

        Raises:
            IndexError: A row or a trace that does not exist.
        """
        rows = self._check_rows(rows)
        if traces.ndim != 2 or len(traces) != len(rows):
            raise ValueError(f"traces must be (B, K) with B = {len(rows)}, got shape {traces.shape}")
        wrong = (traces < 0) | (traces >= self.n_traces[rows][:, None])
        if wrong.any():
            b, k = np.argwhere(wrong)[0]
            raise IndexError(f"{self.root}: row {rows[b]} has {self.n_traces[rows[b]]} traces, no trace {traces[b, k]}")
        low = np.clip(starts, 0, self.n_samples[rows])
        high = np.clip(starts + out.shape[-1], low, self.n_samples[rows])
        out[places[high - low < out.shape[-1]]] = 0.0
        here = self._places
        first = here.first_sample[rows]
        blocks = here.block[rows].tolist()
        arrays = {block: self._open(block) for block in set(blocks)}
        which = here.first_trace[rows, None] + traces
        columns = (places, here.index[rows], low - starts, low + first, high + first, which)
        # Plain slices: for records of any size numpy's fancy indexing is no faster, and needs one window for all.
        for block, place, index, at, begin, end, chosen in zip(blocks, *(c.tolist() for c in columns), strict=True):
            array, window = arrays[block], out[place, :, at : at + end - begin]
            for k, trace in enumerate(chosen):
                window[k] = array[index, begin:end, trace] if self._transposed else array[index, trace, begin:end]

    def read_records(
        self, rows: np.ndarray, n_samples: int | None = None, start: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read all traces of records, zero-padded to the most traces among them and to one length.

        Args:
            rows: (B,) records.
            n_samples: Length; None reads all of them to the end of the longest.
            start: First sample, 0 or more, one for all or (B,).

        Returns:
            (B, Cmax, T) float32, and a (B, Cmax) bool mask that is True where a trace exists.
        """
        rows = self._check_rows(rows)
        starts = np.broadcast_to(np.asarray(start, dtype=np.int64), rows.shape)
        if n_samples is None:
            n_samples = int((self.n_samples[rows] - starts).max(initial=0))
        mask = np.arange(int(self.n_traces[rows].max(initial=0)))[None] < self.n_traces[rows][:, None]
        out = np.zeros((*mask.shape, n_samples), dtype=np.float32)
        places = self._places
        for b, (row, first) in enumerate(zip(rows.tolist(), starts.tolist(), strict=True)):
            n_traces, length = int(self.n_traces[row]), max(0, min(n_samples, int(self.n_samples[row]) - first))
            traces = slice(places.first_trace[row], places.first_trace[row] + n_traces)
            samples = slice(places.first_sample[row] + first, places.first_sample[row] + first + length)
            array, index = self._open(int(places.block[row])), int(places.index[row])
            record = array[index, samples, traces].T if self._transposed else array[index, traces, samples]
            out[b, :n_traces, :length] = record
        return out, mask

    def _check_rows(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.int64)
        if rows.ndim != 1:
            raise ValueError(f"rows must be (B,), got shape {rows.shape}")
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"{self.root} has rows 0..{len(self) - 1}, asked for {rows.min()}..{rows.max()}")
        return rows

    def _open(self, number: int) -> Any:
        """Return a block as an array or dataset indexed [record, trace, sample], opened in this process."""
        if self._pid != os.getpid():  # forked: HDF5 handles of the parent must not be used here
            self._arrays, self._files, self._pid = {}, {}, os.getpid()
        array = self._arrays.get(number)
        if array is None:
            block = self._places.blocks[number]
            mapped = block.offset is not None
            key, path = (block.file, mapped), self.root / block.file
            if key not in self._files:
                self._files[key] = np.memmap(path, mode="r", dtype=np.uint8) if mapped else open_hdf5(path)
            if mapped:  # a plain array over the map: slicing np.memmap itself costs ten times as much per trace
                array = np.ndarray(block.shape_3d, block.dtype, buffer=self._files[key], offset=block.offset)
            else:
                array = _Block(self._files[key]["data"][block.name], path)
            self._arrays[number] = array
        return array


class _Block:
    """An h5py dataset, (N, C, T) or of one record (C, T), indexed [record, trace, sample].

    Args:
        dataset: The dataset.
        path: Its file, for messages.
    """

    def __init__(self, dataset: Any, path: Path) -> None:
        self._dataset, self._path = dataset, path
        self._is_one_record = dataset.ndim == 2

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        try:
            return self._dataset[key[1:] if self._is_one_record else key]
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{self._path}: {self._dataset.name} is damaged ({error}); copy it again or prepare the store again "
                "with --overwrite"
            ) from error


def stored_preprocessing(prepared: dict[str, Any], data_format: dict[str, Any], where: str) -> Preprocessing:
    """What a store says of the recordings' preprocessing.

    Args:
        prepared: Its ``prepare.json``; empty where there is none.
        data_format: SeisBench's.
        where: Names the file in messages.

    Raises:
        UserError: What it says makes no sense.
    """
    options = prepared.get("options")
    options = options if isinstance(options, dict) else {}
    if "preprocessing" in options:
        return Preprocessing.from_dict(options["preprocessing"], where)
    earlier = Preprocessing.from_earlier(options, where)
    if earlier.known:
        return earlier
    unit = data_format.get("unit")
    is_plain = isinstance(unit, str) and len(unit) <= 40 and unit.isprintable()
    return Preprocessing(unit=unit if is_plain else None, known=False)
