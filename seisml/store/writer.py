"""Writing a store atomically: a finished folder appears in one rename, or nothing does."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml import __version__
from seisml.errors import UserError
from seisml.files import naming_disk_errors, partial_path, write_frame, write_text
from seisml.store.folder import (
    PREPARED,
    check_writable,
    fingerprint,
    put_in_place,
    recover_interrupted,
    remove_leftovers,
)
from seisml.store.tables import UNLABELED
from seisml.waveforms.components import component_letters

FLUSH_BYTES = 32 * 2**20
_FIRST_COLUMNS = (
    "trace_name",
    "trace_category",
    "source_id",
    "trace_source_file",
    "trace_start_time",
    "trace_sampling_rate_hz",
    "trace_npts",
    "trace_component_order",
    "trace_channels",
)


class StoreWriter:
    """Write records into a store; use as a context manager.

    Everything goes into a hidden folder beside ``out``, which takes the place of ``out`` when the block ends without an
    exception. An exception, an interrupt or a kill leaves an earlier store untouched and nothing half.

    Args:
        out: Folder of the store.
        options: What decides the content, JSON-able; kept in ``prepare.json`` so that ``is_current`` can compare.
        sources: The files it is made from; None where there are none.
        overwrite: Replace an existing store.
        unit: Unit of the samples, for SeisBench's ``data_format``.
        measurement: What is measured (velocity, acceleration, strain...).

    Attributes:
        skipped: ``{"file", "reason"}`` of each file left out; filled by :meth:`skip`.
        notes: Further JSON-able facts for ``prepare.json``.

    Raises:
        UserError: ``out`` exists and ``overwrite`` is False, or is a folder that is not a store; no record was added.

    Example:
        >>> with StoreWriter("data/mine", options={"length": 10.0}) as writer:
        ...     writer.add(waveform, {"trace_category": "LP", "source_id": "a", "trace_sampling_rate_hz": 100.0})
    """

    def __init__(
        self,
        out: str | Path,
        options: dict[str, Any],
        sources: Iterable[Path] | None = None,
        overwrite: bool = False,
        unit: str = "counts",
        measurement: str = "velocity",
    ) -> None:
        self.out = Path(os.path.realpath(out))
        self.options, self.overwrite = options, overwrite
        self._fingerprint = fingerprint(options, sources)
        self._data_format = {"dimension_order": "CW", "measurement": measurement, "unit": unit}
        self.skipped: list[dict[str, str]] = []
        self.notes: dict[str, Any] = {}
        self._rows: list[dict[str, Any]] = []
        self._pending: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
        self._pending_bytes = 0
        self._n_blocks = 0

    def __enter__(self) -> StoreWriter:
        recover_interrupted(self.out)
        check_writable(self.out, self.overwrite)
        remove_leftovers(self.out)
        self._folder = partial_path(self.out)
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir()
        except OSError as error:
            raise UserError(f"{self.out}: cannot write there ({error.strerror}); choose another --out") from error
        # Blocks begin on page boundaries, so that mapped records are aligned.
        path = self._folder / "waveforms.hdf5"
        self._file = h5py.File(path, "w", alignment_threshold=4096, alignment_interval=4096)
        self._data = self._file.create_group("data")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with naming_disk_errors(self.out):
                if kind is None:
                    self._finish()
        finally:
            with suppress(OSError, RuntimeError):  # on a full disk this too may fail, and HDF5 tries it again at exit
                self._file.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, waveform: np.ndarray, metadata: dict[str, Any]) -> None:
        """Add one record.

        Args:
            waveform: (C, T), stored as float32 (counts above 2**24 lose their last bits).
            metadata: SeisBench columns; ``trace_sampling_rate_hz`` is needed; ``trace_name``, ``trace_npts`` are made
                here.

        Raises:
            ValueError: The waveform is not (C, T) with at least one sample, or the sampling rate is missing.
            UserError: A sample is NaN or infinite.
        """
        waveform = np.array(waveform, dtype=np.float32, order="C")  # a copy: the caller may reuse its array
        if waveform.ndim != 2 or 0 in waveform.shape:
            raise ValueError(f"a record must be (C, T) with at least one sample, got {waveform.shape}")
        if not metadata.get("trace_sampling_rate_hz"):
            raise ValueError("metadata of a record needs trace_sampling_rate_hz")
        if not np.isfinite(waveform).all():
            name = metadata.get("trace_source_file") or f"record {len(self._rows)}"
            raise UserError(f"{name}: NaN or infinite samples; leave it out or mend it")
        row = {
            "trace_name": "",
            "trace_category": UNLABELED,
            "source_id": metadata.get("trace_source_file") or f"record{len(self._rows)}",
            "trace_component_order": component_letters(len(waveform)),
            **metadata,
            "trace_npts": waveform.shape[1],
        }
        if len(row["trace_component_order"]) != len(waveform):
            order = row["trace_component_order"]
            raise ValueError(f"trace_component_order {order!r} does not name {len(waveform)} traces, one letter each")
        self._pending.setdefault(waveform.shape, []).append((len(self._rows), waveform))
        self._rows.append(row)
        self._pending_bytes += waveform.nbytes
        with naming_disk_errors(self.out):
            while self._pending_bytes > FLUSH_BYTES:
                self._flush(max(self._pending, key=lambda shape: len(self._pending[shape]) * shape[0] * shape[1]))

    def skip(self, file: str | Path, reason: str) -> None:
        """Note a file that was left out, and why."""
        self.skipped.append({"file": str(file), "reason": reason})

    def _flush(self, shape: tuple[int, ...]) -> None:
        records = self._pending.pop(shape)
        name, self._n_blocks = f"bucket{self._n_blocks}", self._n_blocks + 1
        block = self._data.create_dataset(name, (len(records), *shape), dtype=np.float32)
        for index, (row, waveform) in enumerate(records):
            block[index] = waveform
            self._rows[row]["trace_name"] = f"{name}${index},:{shape[0]},:{shape[1]}"
            self._pending_bytes -= waveform.nbytes

    def _finish(self) -> None:
        if not self._rows:
            raise UserError(f"{self.out}: no record to store, so none was made{_first_reason(self.skipped)}")
        for shape in list(self._pending):
            self._flush(shape)
        metadata = pd.DataFrame(self._rows)
        first = [name for name in _FIRST_COLUMNS if name in metadata]
        metadata = metadata[first + [name for name in metadata if name not in first]]
        self._write_data_format(metadata)
        self._file.close()
        write_frame(self._folder / "metadata.csv", metadata)
        counts = metadata["trace_category"].value_counts().sort_index()
        prepared = {
            **self._fingerprint,
            "seisml_version": __version__,
            "n_records": len(metadata),
            "counts": {str(label): int(count) for label, count in counts.items()},
            "skipped": self.skipped,
            **self.notes,
        }
        write_text(self._folder / PREPARED, json.dumps(prepared, indent=1) + "\n")
        put_in_place(self._folder, self.out, self.overwrite)

    def _write_data_format(self, metadata: pd.DataFrame) -> None:
        values: dict[str, Any] = {**self._data_format, "instrument_response": "not restituted"}
        for key, column in (("component_order", "trace_component_order"), ("sampling_rate", "trace_sampling_rate_hz")):
            if metadata[column].nunique() == 1:
                value = metadata[column].iloc[0]
                values[key] = value if isinstance(value, str) else float(value)
        group = self._file.create_group("data_format")
        for key, value in values.items():
            group.create_dataset(key, data=value)


def _first_reason(skipped: list[dict[str, str]]) -> str:
    if not skipped:
        return "; check the source folder"
    first, n = skipped[0], len(skipped)
    reason = f"{first['file']}: {first['reason']}"
    return (
        f": the only file was skipped ({reason})" if n == 1 else f": all {n} files were skipped, the first is {reason}"
    )
