"""Columns of numbers out of very long CSV files and NumPy archives: in blocks, in order, in bounded memory."""

from __future__ import annotations

import importlib.util
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from seisml.errors import UserError

BLOCK_BYTES = 2**24  # of text at a time; a few of them are in flight
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Block:
    """A run of rows.

    Attributes:
        columns: Name -> values, (n,) each.
        n_bytes: Bytes of the file that it took, for a progress bar.
    """

    columns: Columns
    n_bytes: int


def read_csv(path: Path, columns: Mapping[str, np.dtype], workers: int = 2) -> Iterator[Block]:
    """Read columns of numbers from a CSV file with one line of column names.

    Blocks of lines are parsed by pyarrow, side by side in threads, and handed out in order.

    Args:
        path: The file.
        columns: The columns wanted, with the type of each; others may be there.
        workers: Threads.

    Yields:
        Blocks of rows.

    Raises:
        UserError: Names the file, and the line where a row does not fit: a column is missing, a value is not a number
            of its type, or the last line is cut.
    """
    _check_pyarrow()
    with path.open("rb") as file, ThreadPoolExecutor(workers) as pool:
        header = file.readline()
        names = [name.strip().strip('"') for name in header.decode("utf-8-sig", "replace").strip().split(",")]
        for name in columns:
            if name not in names:
                raise UserError(f"{path}: has no column {name!r} (it has {', '.join(names) or 'no line'}); name it so")
        pending: deque[tuple[bytes, int, Future[Columns]]] = deque()
        line, skipped = 2, len(header)
        for text in _blocks_of_lines(file):
            pending.append((text, line, pool.submit(_parse, text, names, columns)))
            line += text.count(b"\n")
            if len(pending) > workers:
                yield _finished(path, names, columns, *pending.popleft(), extra=skipped)
                skipped = 0
        while pending:
            yield _finished(path, names, columns, *pending.popleft(), extra=skipped)
            skipped = 0


def read_npz(path: Path, arrays: Mapping[str, np.dtype], block_rows: int = 2**22) -> Iterator[Block]:
    """Read one-dimensional arrays of equal length from a NumPy archive, without unpacking it into memory.

    Args:
        path: ``.npz``, compressed or not.
        arrays: Names of the arrays, with the type that each is given.
        block_rows: Rows at a time.

    Yields:
        Blocks of rows.

    Raises:
        UserError: The file is damaged, or an array is missing, holds objects or has another length.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.open(f"{name}.npy") for name in arrays}
            headers = {name: _header(path, name, member) for name, member in members.items()}
            lengths = {length for length, _ in headers.values()}
            if len(lengths) > 1:
                listed = ", ".join(f"{name} {length}" for name, (length, _) in headers.items())
                raise UserError(f"{path}: its arrays have different lengths ({listed}); make it again")
            (n_rows,) = lengths
            for start in range(0, n_rows, block_rows):
                n, took, columns = min(block_rows, n_rows - start), 0, {}
                for name, (_, dtype) in headers.items():
                    data = members[name].read(n * dtype.itemsize)
                    if len(data) < n * dtype.itemsize:
                        raise UserError(f"{path}: {name} is cut after {start} rows; copy the file again")
                    columns[name] = _converted(path, name, np.frombuffer(data, dtype), np.dtype(arrays[name]))
                    took += len(data)
                yield Block(columns, took)
    except KeyError as error:
        raise UserError(f"{path}: {str(error.args[0])}; it should hold {', '.join(arrays)}") from error
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path}: is damaged ({error}); copy it again") from error


def _check_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError("reading long CSV files needs pyarrow, which is not installed; pip install 'seisml[csv]'")


def _blocks_of_lines(file: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while data := file.read(BLOCK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
            if len(rest) > BLOCK_BYTES:
                break  # no line is that long: it is handed over as it is, and named
    if rest:
        yield rest


def _parse(text: bytes, names: list[str], columns: Mapping[str, np.dtype]) -> Columns:
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.from_numpy_dtype(dtype) for name, dtype in columns.items()}
    table = csv.read_csv(
        pa.py_buffer(text),
        read_options=csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=types, include_columns=list(columns), null_values=[], strings_can_be_null=False
        ),
    )
    return {name: table.column(name).to_numpy() for name in columns}


def _finished(
    path: Path,
    names: list[str],
    columns: Mapping[str, np.dtype],
    text: bytes,
    line: int,
    future: Future[Columns],
    extra: int,
) -> Block:
    if not text.endswith(b"\n"):
        last, cut = line + text.count(b"\n"), text.rpartition(b"\n")[2][:40].decode(errors="replace")
        raise UserError(f"{path}: line {last}, the last, is cut ({cut!r} has no end of line); copy the file again")
    try:
        found = future.result()
    except Exception as error:  # pyarrow names neither file nor line
        raise UserError(f"{path}: {_first_fault(text, line, names, columns) or str(error).splitlines()[0]}") from error
    for name, values in found.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            number = line + int(np.flatnonzero(~np.isfinite(values))[0])
            raise UserError(f"{path}: line {number}: {name} is not a number; mend or remove the line")
    return Block(found, len(text) + extra)


def _first_fault(text: bytes, line: int, names: list[str], columns: Mapping[str, np.dtype]) -> str | None:
    """Find the first line of a block that cannot be a row."""
    for number, row in enumerate(text.decode("utf-8", "replace").split("\n")[:-1], start=line):
        cells = row.rstrip("\r").split(",")
        if len(cells) != len(names):
            return f"line {number}: {len(cells)} values for {len(names)} columns ({row[:40]!r}); mend or remove it"
        for name, dtype in columns.items():
            cell = cells[names.index(name)]
            if not _fits(cell, np.dtype(dtype)):
                return f"line {number}: {name} is {cell[:40]!r}, not a number of type {dtype}; mend or remove it"
    return None


def _fits(cell: str, dtype: np.dtype) -> bool:
    try:
        value = float(cell) if dtype.kind == "f" else int(cell)
    except ValueError:
        return False
    return dtype.kind == "f" or np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _header(path: Path, name: str, member: Any) -> tuple[int, np.dtype]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.kind not in "fiu" or len(shape) != 1:
        raise UserError(f"{path}: {name} has the shape {shape} and type {dtype}; want a row of numbers")
    return shape[0], dtype


def _converted(path: Path, name: str, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu" and values.size:
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max or (values.dtype.kind == "f" and (values % 1).any()):
            raise UserError(f"{path}: {name} holds values that are not of type {dtype}")
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {name} holds values that are not numbers")
    return values.astype(dtype)
