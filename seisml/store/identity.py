"""What a record and its event are called, in a way that outlives the store that holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from seisml.errors import UserError


def record_ids(metadata: pd.DataFrame) -> np.ndarray:
    """Name each record by source file, event, station and start time, and trace_name where these are not unique.

    Returns:
        Strings (N,).
    """
    columns = ("trace_source_file", "source_id", "station_code", "trace_start_time")
    names = pd.Series("", index=range(len(metadata)))
    for column in columns:
        names = names + "|" + pd.Series(text_column(metadata, column))
    if names.duplicated().any():
        names = names + "|" + pd.Series(text_column(metadata, "trace_name"))
    return names.to_numpy(dtype=object)


def event_ids(metadata: pd.DataFrame) -> np.ndarray:
    """Name the event of each record: its source_id, or the record itself where none is known.

    Returns:
        Strings (N,).
    """
    events = text_column(metadata, "source_id")
    unknown = events == ""
    if unknown.any():
        events[unknown] = record_ids(metadata)[unknown]
    return events


def event_hashes(source_ids: Iterable[Any]) -> np.ndarray:
    """Hash event names to 64 bits that are the same on every machine, for a checkpoint to carry.

    Returns:
        int64 (N,), in the order given.
    """
    digests = [hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in source_ids]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def overlap(seen_event_hashes: np.ndarray, metadata: pd.DataFrame, rows: np.ndarray, n_names: int = 5) -> dict:
    """Report how many events of some rows (a test part) an encoder has seen while it was pretrained.

    Args:
        seen_event_hashes: :func:`event_hashes` of the :func:`event_ids` it was trained on.
        metadata: The data set at hand.
        rows: Rows of it.
        n_names: How many seen events to name.

    Returns:
        Counts ``events`` and ``seen``, ``fraction`` seen, and ``first``, the names of the first seen ones.
    """
    names = np.unique(event_ids(metadata)[np.asarray(rows, dtype=np.int64)])
    seen = names[np.isin(event_hashes(names), np.asarray(seen_event_hashes, dtype=np.int64))]
    return {
        "events": int(len(names)),
        "seen": int(len(seen)),
        "fraction": len(seen) / len(names) if len(names) else 0.0,
        "first": [str(name) for name in seen[:n_names]],
    }


def start_times(metadata: pd.DataFrame) -> np.ndarray:
    """Read trace_start_time.

    Returns:
        int64 (N,), comparable with one another.

    Raises:
        UserError: A row without a readable time.
    """
    times, known = times_in_microseconds(metadata)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise UserError(f"row {row} of metadata.csv has no trace_start_time, which dataset.split_by=time needs")
    return times


def times_in_microseconds(metadata: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Read trace_start_time where it can be read.

    Returns:
        Microseconds since 1970, int64 (N,), 0 where it cannot; and where it can, bool (N,).
    """
    text = pd.Series(text_column(metadata, "trace_start_time"))
    times = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    known = times.notna().to_numpy()
    return times.astype("datetime64[us, UTC]").astype("int64").where(known, 0).to_numpy(), known


def text_column(metadata: pd.DataFrame, column: str) -> np.ndarray:
    """Read a column as strings (N,), empty where it is missing; whole numbers lose the ".0" that NaN gave them."""
    if column not in metadata:
        return np.full(len(metadata), "", dtype=object)
    values = metadata[column]
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype(object).where(values.notna(), "").astype(str).to_numpy(dtype=object, copy=True)
