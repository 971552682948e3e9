"""A prepared data set on disk: SeisBench's ``metadata.csv`` + ``waveforms.hdf5``, read lazily and in slices.

Contiguous uncompressed blocks (ours, and SeisBench's default) are read through a memory map at the block's offset in the file:
one copy of exactly the samples asked for, and no HDF5 call per trace. Compressed or chunked blocks are read by h5py.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml.errors import UserError

UNLABELED = "Unlabeled"
PREPARED = "prepare.json"

# Columns that are text even where every entry looks like a number or like "NA" (an event "007", a station "NA").
TEXT_COLUMNS = (
    "trace_name", "trace_category", "trace_source_file", "trace_start_time", "trace_component_order", "trace_channels",
    "trace_channel", "trace_chunk", "source_id", "station_code", "station_network_code", "station_location_code", "split",
)  # fmt: skip
_MISSING = ("", "nan", "NaN", "NA", "N/A", "null", "None", "<NA>")


@dataclass(frozen=True)
class _Layout:
    """Where a block lies: ``offset`` is its place in the file in bytes, None where HDF5 must decode it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None


class Store:
    """Random access to the records of a prepared data set.

    Files are opened on the first read and once per process, so a store works in DataLoader workers, forked or spawned.
    Memory: the metadata table, and what a read returns (the pages of the map belong to the system's file cache).

    Args:
        root: Folder with ``metadata.csv`` and ``waveforms.hdf5`` (or SeisBench's chunked ``metadata*.csv``, ``waveforms*.hdf5``).

    Attributes:
        root: The folder.
        metadata: One row per record, SeisBench column names, index 0..N-1. ``trace_category`` is the label (``"Unlabeled"``
            for none) and ``source_id`` the event; where the file lacks them they are filled in.
        n_traces: (N,) int, traces of each record.
        n_samples: (N,) int, samples of each record.
        sampling_rate: (N,) float, in Hz.
        prepared: What ``prepare.json`` says (options, counts, skipped files); empty for stores made elsewhere.

    Raises:
        UserError: Where the folder is no store, or a file of it is missing, empty or truncated.

    Example:
        >>> store = Store("data/demo")
        >>> store.read_traces([0, 5], [[0, 3], [2, 2]], start=100, n_samples=50).shape
        (2, 2, 50)
    """

    def __init__(self, root: str | Path) -> None:
        self.root = recover_interrupted(Path(root))
        if not self.root.is_dir():
            raise UserError(
                f"{self.root}: no such store; make it with 'seisml prepare ... --out {self.root}' or name another folder"
            )
        self.prepared = read_prepared(self.root)
        self._chunks = _chunks(self.root)
        self._handles: dict[str, Any] = {}  # chunk -> memory map, (chunk, block) -> array or h5py dataset
        self._pid = os.getpid()
        self.data_format = self._read_data_format()
        order = str(self.data_format.get("dimension_order", "CW"))
        if order not in ("CW", "WC"):
            raise UserError(
                f"{self.root}: dimension_order {order!r} is not supported; store blocks as (N, C, W), dimension_order 'CW'"
            )
        self._transposed = order == "WC"
        self.metadata = self._read_metadata()
        self.sampling_rate = self._sampling_rates()
        self._locate_records()

    def __len__(self) -> int:
        return len(self.metadata)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r}, {len(self)} records)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": {}}  # open files do not travel to spawned workers

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
        rows, traces = np.asarray(rows, dtype=np.int64), np.asarray(traces, dtype=np.int64)
        self._check_rows(rows)
        if traces.ndim != 2 or len(traces) != len(rows):
            raise ValueError(f"traces must be (B, K) = ({len(rows)}, K), got {traces.shape}")
        wrong = (traces < 0) | (traces >= self.n_traces[rows][:, None])
        if wrong.any():
            b, k = np.argwhere(wrong)[0]
            raise IndexError(
                f"row {rows[b]} of {self.root} has {self.n_traces[rows[b]]} traces, no trace {traces[b, k]}"
            )
        starts = np.broadcast_to(np.asarray(start, dtype=np.int64), rows.shape)
        if n_samples is None:
            n_samples = int((self.n_samples[rows] - starts).max(initial=0))
        first = np.clip(starts, 0, self.n_samples[rows])
        stop = np.clip(starts + n_samples, first, self.n_samples[rows])
        whole = bool((stop - first == n_samples).all())
        out = (np.empty if whole else np.zeros)((*traces.shape, n_samples), dtype=np.float32)
        into, begin, end = first - starts, first + self._first_sample[rows], stop + self._first_sample[rows]
        places = (self._first_trace[rows][:, None] + traces).tolist()
        columns = (self._block[rows], self._index[rows], into, begin, end)
        for b, (block, index, at, low, high) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            array = self._open(block)
            for k, place in enumerate(places[b]):
                if self._transposed:
                    out[b, k, at : at + high - low] = array[index, low:high, place]
                else:
                    out[b, k, at : at + high - low] = array[index, place, low:high]
        return out

    def read_records(self, rows: np.ndarray, n_samples: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Read whole records, zero-padded to the most traces and the longest record among them.

        Args:
            rows: (B,) records.
            n_samples: Cut or pad to this length; None takes the longest.

        Returns:
            (B, Cmax, T) float32, and a (B, Cmax) bool mask that is True where a trace exists.
        """
        rows = np.asarray(rows, dtype=np.int64)
        self._check_rows(rows)
        n_samples = int(self.n_samples[rows].max(initial=0)) if n_samples is None else n_samples
        mask = np.arange(int(self.n_traces[rows].max(initial=0)))[None] < self.n_traces[rows][:, None]
        out = np.zeros((*mask.shape, n_samples), dtype=np.float32)
        for b, row in enumerate(rows.tolist()):
            traces = slice(self._first_trace[row], self._first_trace[row] + self.n_traces[row])
            length = min(n_samples, int(self.n_samples[row]))
            samples = slice(self._first_sample[row], self._first_sample[row] + length)
            array, index = self._open(self._block[row]), self._index[row]
            record = array[index, samples, traces].T if self._transposed else array[index, traces, samples]
            out[b, : self.n_traces[row], :length] = record
        return out, mask

    def _check_rows(self, rows: np.ndarray) -> None:
        if rows.ndim != 1:
            raise ValueError(f"rows must be (B,), got shape {rows.shape}")
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"{self.root} has rows 0..{len(self) - 1}, asked for {rows.min()}..{rows.max()}")

    def _open(self, block: int) -> Any:
        """Return a block as an array or h5py dataset (n, C, W), opened in this process."""
        if self._pid != os.getpid():  # forked: HDF5 handles of the parent must not be used here
            self._handles, self._pid = {}, os.getpid()
        array = self._handles.get(block)
        if array is None:
            chunk, name = self._block_names[block]
            path = self.root / self._chunks[chunk]
            layout = self._layouts[block]
            if layout.offset is None:
                file = self._handles.get(chunk)
                if file is None:
                    file = self._handles[chunk] = _open_hdf5(path)
                array = file["data"][name]
                array = array if array.ndim == 3 else _SingleRecord(array)
            else:
                key = f"map:{chunk}"
                if key not in self._handles:
                    self._handles[key] = np.memmap(path, mode="r", dtype=np.uint8)
                # A plain array over the map: slicing np.memmap itself costs ten times as much per trace.
                shape = layout.shape if len(layout.shape) == 3 else (1, *layout.shape)
                array = np.ndarray(shape, layout.dtype, buffer=self._handles[key], offset=layout.offset)
            self._handles[block] = array
        return array

    def _read_data_format(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in self._chunks.values():
            with _open_hdf5(self.root / name) as file:
                if "data" not in file:
                    raise UserError(
                        f"{self.root / name}: no group 'data', so not a SeisBench waveform file; prepare the store again"
                    )
                for key, dataset in file.get("data_format", {}).items():
                    value = dataset[()]
                    values[key] = value.decode() if isinstance(value, bytes) else value
        return values

    def _read_metadata(self) -> pd.DataFrame:
        tables = []
        for chunk in self._chunks:
            path = self.root / f"metadata{chunk}.csv"
            try:
                header = pd.read_csv(path, nrows=0).columns
                text = [name for name in header if name in TEXT_COLUMNS]
                table = pd.read_csv(
                    path,
                    dtype={name: str for name in text},
                    keep_default_na=False,
                    na_values={name: list(_MISSING) for name in header if name not in text},
                    low_memory=False,
                )
            except FileNotFoundError as error:
                raise UserError(
                    f"{path}: missing, so the folder is not a store; prepare it again with --overwrite"
                ) from error
            except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{path}: empty or not a CSV table ({error}); prepare the store again with --overwrite"
                ) from error
            if "trace_name" not in table.columns:
                raise UserError(
                    f"{path}: no column 'trace_name', so not SeisBench metadata; prepare the store again with --overwrite"
                )
            if len(self._chunks) > 1:
                table["trace_chunk"] = chunk
            tables.append(table)
        metadata = pd.concat(tables, ignore_index=True)
        if not len(metadata):
            raise UserError(f"{self.root / 'metadata.csv'}: holds no records; prepare the store again with --overwrite")
        self._chunk_of_row = np.repeat(list(self._chunks), [len(table) for table in tables])
        if "trace_category" not in metadata.columns:
            metadata["trace_category"] = UNLABELED
        metadata["trace_category"] = metadata["trace_category"].replace("", UNLABELED)
        if "source_id" not in metadata.columns:
            metadata["source_id"] = metadata["trace_name"]
        return metadata

    def _sampling_rates(self) -> np.ndarray:
        if "trace_sampling_rate_hz" in self.metadata:
            rate = pd.to_numeric(self.metadata["trace_sampling_rate_hz"], errors="coerce").to_numpy(
                dtype=float, na_value=np.nan
            )
        elif "trace_dt_s" in self.metadata:
            rate = 1.0 / self.metadata["trace_dt_s"].to_numpy(dtype=float)
        else:
            rate = np.full(len(self.metadata), float(self.data_format.get("sampling_rate", np.nan)))
        if np.isnan(rate).any():
            row = int(np.flatnonzero(np.isnan(rate))[0])
            raise UserError(
                f"{self.root / 'metadata.csv'}: row {row + 2} has no sampling rate; add column trace_sampling_rate_hz"
            )
        return rate

    def _locate_records(self) -> None:
        """Turn every trace_name, like ``bucket0$12,:3,:1200``, into block, index and slices."""
        names = self.metadata["trace_name"]
        parts = names.str.extract(r"^(.*)\$\s*(\d+)\s*,\s*:\s*(\d+)\s*,\s*:\s*(\d+)\s*$")
        blocks = names.str.split("$", n=1).str[0]
        keys = pd.Series(list(zip(self._chunk_of_row, blocks, strict=True)))
        self._block, self._block_names = pd.factorize(keys)
        self._layouts = self._read_layouts()
        size = len(names)
        self._index, self._first_trace, self._first_sample = (np.zeros(size, dtype=np.int64) for _ in range(3))
        self.n_traces, self.n_samples = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        plain = parts[1].notna().to_numpy()
        numbers = parts.loc[plain, [1, 2, 3]].to_numpy(dtype=np.int64)
        self._index[plain] = numbers[:, 0]
        first, second = (self.n_samples, self.n_traces) if self._transposed else (self.n_traces, self.n_samples)
        first[plain], second[plain] = numbers[:, 1], numbers[:, 2]
        for row in np.flatnonzero(~plain).tolist():
            self._locate_unusual(row, names[row])
        shapes = np.array([(1, *s.shape) if len(s.shape) == 2 else s.shape for s in self._layouts], dtype=np.int64)[
            self._block
        ]
        n_traces, n_samples = (shapes[:, 2], shapes[:, 1]) if self._transposed else (shapes[:, 1], shapes[:, 2])
        outside = (self._index >= shapes[:, 0]) | (self._first_trace + self.n_traces > n_traces)
        outside |= self._first_sample + self.n_samples > n_samples
        if outside.any():
            row = int(np.flatnonzero(outside)[0])
            raise UserError(
                f"{self.root / 'metadata.csv'}: row {row + 2} names {names[row]!r}, outside its block {tuple(shapes[row])}; prepare it again"
            )

    def _locate_unusual(self, row: int, name: str) -> None:
        """Whole data sets (no ``$``) and slices with a start or an open end, which SeisBench allows."""
        shape = self._layouts[self._block[row]].shape
        texts = name.split("$", 1)[1].replace(" ", "").split(",") if "$" in name else []
        if len(shape) == 3:
            if not texts or not re.fullmatch(r"\d+", texts[0]):
                raise UserError(
                    f"{self.root / 'metadata.csv'}: row {row + 2}: cannot read trace_name {name!r} (want block$index,:C,:T)"
                )
            self._index[row], shape, texts = int(texts[0]), shape[1:], texts[1:]
        ranges = []
        for size, text in zip(shape, texts + [":"] * (2 - len(texts)), strict=True):
            match = re.fullmatch(r"(-?\d+)?:(-?\d+)?", text)
            if not match:
                raise UserError(
                    f"{self.root / 'metadata.csv'}: row {row + 2}: cannot read the slice {text!r} of trace_name {name!r}"
                )
            ranges.append(range(size)[slice(*(int(part) if part else None for part in match.groups()))])
        traces, samples = ranges[::-1] if self._transposed else ranges
        self._first_trace[row], self.n_traces[row] = traces.start, len(traces)
        self._first_sample[row], self.n_samples[row] = samples.start, len(samples)

    def _read_layouts(self) -> list[_Layout]:
        layouts: list[_Layout] = [None] * len(self._block_names)  # type: ignore[list-item]
        for chunk, name in self._chunks.items():
            with _open_hdf5(self.root / name) as file:
                for i, (of_chunk, block) in enumerate(self._block_names):
                    if of_chunk != chunk:
                        continue
                    if block not in file["data"]:
                        row = int(np.flatnonzero(self._block == i)[0])
                        raise UserError(
                            f"{self.root / 'metadata.csv'}: row {row + 2} names block {block!r}, which {name} lacks; prepare it again"
                        )
                    data = file["data"][block]
                    if data.ndim not in (2, 3):
                        raise UserError(
                            f"{self.root / name}: block {block!r} has shape {data.shape}; expected (N, C, T) or (C, T)"
                        )
                    plain = data.chunks is None and data.dtype.kind in "fiu"
                    layouts[i] = _Layout(data.shape, data.dtype, data.id.get_offset() if plain else None)
        return layouts


class _SingleRecord:
    """An h5py dataset (C, T) that answers like a block (1, C, T)."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        return self._dataset[key[1:]]


def recover_interrupted(root: Path) -> Path:
    """Put back the store that an ``--overwrite`` killed between its two renames had moved aside.

    Args:
        root: Folder of the store.

    Returns:
        The same folder.
    """
    previous = previous_folder(root)
    if not os.path.lexists(root) and previous.is_dir():
        try:
            os.rename(previous, root)
        except OSError:  # another process was faster, or the writer has just finished
            pass
    return root


def previous_folder(root: Path) -> Path:
    """Where a writer keeps the earlier store for the instant in which it puts the new one in place."""
    root = Path(os.path.realpath(root))
    return root.parent / f".{root.name}.previous"


def read_prepared(root: Path) -> dict[str, Any]:
    """Read ``prepare.json`` of a store; empty where there is none or it is not JSON."""
    try:
        values = json.loads((root / PREPARED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _chunks(root: Path) -> dict[str, str]:
    """Map chunk names ("" for the usual single pair) to waveform files, and check that the pairs are complete."""
    if (root / "waveforms.hdf5").is_file() or (root / "metadata.csv").is_file():
        names = [""]
    else:
        names = sorted(path.name[len("waveforms") : -len(".hdf5")] for path in root.glob("waveforms*.hdf5"))
    if not names:
        raise UserError(f"{root}: not a store (no metadata.csv and waveforms.hdf5); make one with 'seisml prepare'")
    for name in names:
        for path in (root / f"metadata{name}.csv", root / f"waveforms{name}.hdf5"):
            if not path.is_file():
                raise UserError(
                    f"{path}: missing, so the folder is not a complete store; prepare it again with --overwrite"
                )
            if path.stat().st_size == 0:
                raise UserError(f"{path}: empty; prepare the store again with --overwrite")
    return {name: f"waveforms{name}.hdf5" for name in names}


def _open_hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        cause = "truncated" if "truncated" in str(error) else f"not readable as HDF5 ({error})"
        raise UserError(f"{path}: {cause}; copy it again or prepare the store again with --overwrite") from error
