"""The tables of a SeisBench folder: its metadata, and where in the HDF5 file each record lies."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml.errors import UserError
from seisml.files import original
from seisml.store.hdf5 import local, reading_hdf5

UNLABELED = "Unlabeled"
RATES = (1e-6, 1e9)  # Hz, least and largest sampling rate that is believed

# Columns that are text even where every entry looks like a number or like "NA" (an event "007", a station "NA").
TEXT_COLUMNS = (
    "trace_name",
    "trace_category",
    "trace_source_file",
    "trace_start_time",
    "trace_component_order",
    "trace_channels",
    "trace_channel",
    "source_id",
    "station_code",
    "station_network_code",
    "station_location_code",
    "split",
)
_MISSING = ("", "nan", "NaN", "NA", "N/A", "null", "None", "<NA>")


@dataclass(frozen=True)
class Block:
    """An HDF5 dataset (N, C, T), or (C, T) of one record.

    ``offset`` is its place in the file in bytes, None where HDF5 must decode it (compressed, chunked, odd types).
    """

    file: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None

    @property
    def shape_3d(self) -> tuple[int, ...]:
        """The shape with the axis of records."""
        return self.shape if len(self.shape) == 3 else (1, *self.shape)


@dataclass(frozen=True)
class Places:
    """Where each record lies; all arrays are (N,) int64."""

    blocks: list[Block]
    block: np.ndarray
    index: np.ndarray
    first_trace: np.ndarray
    n_traces: np.ndarray
    first_sample: np.ndarray
    n_samples: np.ndarray


def find_chunks(root: Path) -> dict[str, str]:
    """Map chunk names ("" for the usual single pair) to waveform file names; every pair must be complete."""
    if (root / "waveforms.hdf5").is_file() or (root / "metadata.csv").is_file():
        names = [""]
    else:
        names = sorted(path.name[len("waveforms") : -len(".hdf5")] for path in root.glob("waveforms*.hdf5"))
    if not names:
        raise UserError(f"{root}: not a store (no metadata.csv and waveforms.hdf5); make one with 'seisml prepare'")
    folder = os.path.realpath(root)
    for name in names:
        for path in (root / f"metadata{name}.csv", root / f"waveforms{name}.hdf5"):
            if not path.is_file():
                raise UserError(f"{path}: missing, so the store is not complete; prepare it again with --overwrite")
            if os.path.dirname(os.path.realpath(path)) != folder:
                raise UserError(f"{path}: is a link to a file outside the store; copy that file into the store")
            if path.stat().st_size == 0:
                raise UserError(f"{path}: empty; prepare the store again with --overwrite")
    return {name: f"waveforms{name}.hdf5" for name in names}


def read_data_format(root: Path, chunks: dict[str, str]) -> dict[str, Any]:
    """Read the group ``data_format``: dimension_order, sampling_rate, component_order, unit..."""
    values: dict[str, Any] = {}
    for name in chunks.values():
        with reading_hdf5(root / name) as file:
            if not isinstance(local(file, "data", root / name), h5py.Group):
                raise UserError(
                    f"{root / name}: has no group 'data', so is not a waveform file; prepare the store again"
                )
            group = local(file, "data_format", root / name)
            for key in group or ():
                dataset = local(group, key, root / name)
                if not isinstance(dataset, h5py.Dataset) or dataset.size != 1:
                    raise UserError(f"{root / name}: data_format/{key} is not a single value; prepare the store again")
                value = dataset[()]
                values[key] = value.decode(errors="replace") if isinstance(value, bytes) else value
    order = values.setdefault("dimension_order", "CW")
    if not isinstance(order, str) or order not in ("CW", "WC"):
        raise UserError(f"{root}: dimension_order {order!r} is not supported; blocks must be (N, C, W) or (N, W, C)")
    return values


def read_metadata(root: Path, chunks: dict[str, str]) -> pd.DataFrame:
    """Read all ``metadata*.csv``; labels and events that they lack are filled in.

    Returns:
        The rows, index 0..N-1; ``trace_chunk`` is there where the folder has chunks.
    """
    tables = []
    for chunk in chunks:
        table = _read_csv(root / f"metadata{chunk}.csv")
        if list(chunks) != [""]:
            table["trace_chunk"] = chunk
        tables.append(table)
    metadata = pd.concat(tables, ignore_index=True)
    if not len(metadata):
        raise UserError(f"{root / 'metadata.csv'}: holds no records; prepare the store again with --overwrite")
    for column, default in (("trace_category", UNLABELED), ("source_id", metadata["trace_name"])):
        given = metadata.get(column, pd.Series("", index=metadata.index))
        metadata[column] = given.mask(given == "", default)
    return metadata


def _read_csv(path: Path) -> pd.DataFrame:
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
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        cause = str(error).splitlines()[0]
        raise UserError(f"{path}: empty or not a table ({cause}); prepare the store again with --overwrite") from error
    for name in text:
        table[name] = table[name].map(original)
    if "trace_name" not in table.columns:
        raise UserError(f"{path}: no column 'trace_name', so not SeisBench metadata; prepare the store again")
    return table


def sampling_rates(root: Path, metadata: pd.DataFrame, data_format: dict[str, Any]) -> np.ndarray:
    """Sampling rate of each record in Hz, from whichever of the three places SeisBench allows has it."""
    if "trace_sampling_rate_hz" in metadata:
        rate = pd.to_numeric(metadata["trace_sampling_rate_hz"], errors="coerce").to_numpy(dtype=float)
    elif "trace_dt_s" in metadata:
        step = pd.to_numeric(metadata["trace_dt_s"], errors="coerce").to_numpy(dtype=float)
        rate = np.divide(1.0, step, out=np.full(len(step), np.inf), where=step != 0)
    else:
        given = pd.to_numeric(data_format.get("sampling_rate", np.nan), errors="coerce")
        rate = np.full(len(metadata), float(given))
    if np.isnan(rate).any():
        row = int(np.flatnonzero(np.isnan(rate))[0])
        raise UserError(f"{_row(root, row)} has no sampling rate; fill the column trace_sampling_rate_hz")
    wrong = ~((rate >= RATES[0]) & (rate <= RATES[1]))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(f"{_row(root, row)} has a sampling rate of {rate[row]:g} Hz; mend trace_sampling_rate_hz")
    return rate


def locate_records(root: Path, metadata: pd.DataFrame, chunks: dict[str, str], transposed: bool) -> Places:
    """Turn every trace_name, like ``bucket0$12,:3,:1200``, into block, index and ranges.

    Args:
        root: The folder.
        metadata: Its rows.
        chunks: Its waveform files.
        transposed: Whether blocks are (N, T, C).

    Raises:
        UserError: Naming the row whose place does not exist or cannot be read.
    """
    names = metadata["trace_name"]
    if list(chunks) == [""]:
        files = pd.Series(chunks[""], index=metadata.index)
    else:
        files = metadata["trace_chunk"].map(chunks)
    keys = pd.MultiIndex.from_arrays([files, names.str.split("$", n=1).str[0]])
    block, block_keys = pd.factorize(keys)
    blocks = _read_blocks(root, list(block_keys), block)
    # One row per record: index, then start and length along the two axes of a record as they lie in the file.
    numbers = np.zeros((len(names), 5), dtype=np.int64)
    parts = names.str.extract(r"^.*\$\s*(\d{1,18})\s*,\s*:\s*(\d{1,18})\s*,\s*:\s*(\d{1,18})\s*$")
    plain = parts[0].notna().to_numpy()
    numbers[np.ix_(plain, [0, 2, 4])] = parts[plain].to_numpy(dtype=np.int64)
    for row in np.flatnonzero(~plain).tolist():
        try:
            numbers[row] = _parse_unusual(names[row], blocks[block[row]].shape)
        except (ValueError, OverflowError) as error:
            raise UserError(
                f"{_row(root, row)}: cannot read trace_name {names[row]!r}; want block$index,:C,:T"
            ) from error
    shapes = np.array([b.shape_3d for b in blocks], dtype=np.int64)[block]
    beyond = (numbers[:, 1:4:2] + numbers[:, 2:5:2] > shapes[:, 1:]).any(axis=1)
    outside = (numbers < 0).any(axis=1) | (numbers[:, 0] >= shapes[:, 0]) | beyond
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        shape = tuple(shapes[row].tolist())
        raise UserError(f"{_row(root, row)} names {names[row]!r}, outside its block {shape}; prepare the store again")
    index, *axes = numbers.T.copy()
    return Places(blocks, block, index, *(axes[2:] + axes[:2] if transposed else axes))


def _parse_unusual(name: str, shape: tuple[int, ...]) -> list[int]:
    """Whole datasets (no ``$``) and slices with a start or an open end, which SeisBench allows too."""
    texts = name.split("$", 1)[1].replace(" ", "").split(",") if "$" in name else []
    index = int(texts.pop(0)) if len(shape) == 3 and texts else 0
    if index < 0 or (len(shape) == 3 and "$" not in name):
        raise ValueError(name)
    numbers = [index]
    for size, text in zip(shape[-2:], texts + [":"] * (2 - len(texts)), strict=True):
        match = re.fullmatch(r"(-?\d+)?:(-?\d+)?", text)
        if not match:
            raise ValueError(name)
        part = range(size)[slice(*(int(number) if number else None for number in match.groups()))]
        if not part or max(map(len, re.findall(r"\d+", text)), default=0) > 18:
            raise ValueError(name)
        numbers += [part.start, len(part)]
    return numbers


def _read_blocks(root: Path, keys: list[tuple[str, str]], block: np.ndarray) -> list[Block]:
    found: dict[tuple[str, str], Block] = {}
    for file_name in sorted({file_name for file_name, _ in keys}):
        with reading_hdf5(root / file_name) as file:
            for i, key in enumerate(keys):
                if key[0] != file_name:
                    continue
                data = local(file["data"], key[1], root / file_name)
                if not isinstance(data, h5py.Dataset) or data.shape is None or data.ndim not in (2, 3):
                    row = int(np.flatnonzero(block == i)[0])
                    raise UserError(
                        f"{_row(root, row)} names block {key[1]!r}, which {file_name} lacks; prepare it again"
                    )
                if data.dtype.kind not in "fiu":
                    raise UserError(f"{root / file_name}: {key[1]!r} holds no numbers ({data.dtype}); prepare it again")
                mapped = data.chunks is None
                offset = data.id.get_offset() if mapped else None
                found[key] = Block(file_name, key[1], data.shape, data.dtype, offset)
    return [found[key] for key in keys]


def _row(root: Path, row: int) -> str:
    """Name a metadata row as a spreadsheet would number it (the header is line 1)."""
    return f"{root / 'metadata.csv'}: line {row + 2}"
