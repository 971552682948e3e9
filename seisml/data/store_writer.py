"""Writing a store atomically: a finished folder appears in one rename, or nothing does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import string
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml import __version__
from seisml.data.store import PREPARED, UNLABELED, previous_folder, read_prepared, recover_interrupted
from seisml.errors import UserError

FLUSH_BYTES = 32 * 2**20
_FORMAT = 1  # raise it when the same options would make another store
_FIRST_COLUMNS = (
    "trace_name", "trace_category", "source_id", "trace_source_file", "trace_start_time", "trace_sampling_rate_hz", "trace_npts",
    "trace_component_order", "trace_channels",
)  # fmt: skip
_STALE_SECONDS = 24 * 3600


class StoreWriter:
    """Write records into a store; use as a context manager.

    Everything goes into a hidden folder beside ``out``, which takes the place of ``out`` when the block ends without an
    exception. An exception, an interrupt or a kill leaves an earlier store untouched and nothing half.

    Args:
        out: Folder of the store.
        options: What decides the content, JSON-able; kept in ``prepare.json`` so that :func:`is_current` can compare.
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
        >>> with StoreWriter("data/mine", options={"length": 10.0}, sources=[]) as writer:
        ...     writer.add(waveform, {"trace_category": "Rockfall", "source_id": "a", "trace_sampling_rate_hz": 100.0})
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
        self._pending: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = {}
        self._pending_bytes = 0
        self._n_blocks = 0

    def __enter__(self) -> StoreWriter:
        recover_interrupted(self.out)
        check_writable(self.out, self.overwrite)
        remove_leftovers(self.out)
        self._folder = self.out.parent / f".{self.out.name}.partial-{socket.gethostname()}-{os.getpid()}"
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
        except OSError as error:
            raise UserError(f"{self.out}: cannot write there ({error.strerror}); choose another --out") from error
        # Blocks begin on page boundaries, so that mapped records are aligned.
        self._file = h5py.File(self._folder / "waveforms.hdf5", "w", alignment_threshold=4096, alignment_interval=4096)
        self._data = self._file.create_group("data")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, waveform: np.ndarray, metadata: dict[str, Any]) -> None:
        """Add one record.

        Args:
            waveform: (C, T), stored as float32 (counts above 2**24 lose their last bits).
            metadata: SeisBench columns; needs ``trace_sampling_rate_hz``. ``trace_name`` and ``trace_npts`` are made here.

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
            raise UserError(
                f"{metadata.get('trace_source_file', f'record {len(self._rows)}')}: NaN or infinite samples; leave the file out"
            )
        row = {
            "trace_name": "",
            "trace_category": UNLABELED,
            "source_id": metadata.get("trace_source_file") or f"record{len(self._rows)}",
            "trace_component_order": component_letters(len(waveform)),
            **metadata,
            "trace_npts": waveform.shape[1],
        }
        if len(row["trace_component_order"]) != len(waveform):
            raise ValueError(
                f"trace_component_order {row['trace_component_order']!r} does not name {len(waveform)} traces"
            )
        self._pending.setdefault(waveform.shape, []).append((len(self._rows), waveform))
        self._rows.append(row)
        self._pending_bytes += waveform.nbytes
        while self._pending_bytes > FLUSH_BYTES:
            self._flush(max(self._pending, key=lambda shape: len(self._pending[shape]) * shape[0] * shape[1]))

    def skip(self, file: str | Path, reason: str) -> None:
        """Note a file that was left out, and why."""
        self.skipped.append({"file": str(file), "reason": reason})

    def _flush(self, shape: tuple[int, int]) -> None:
        records = self._pending.pop(shape)
        block = np.stack([waveform for _, waveform in records])
        name = f"bucket{self._n_blocks}"
        self._data.create_dataset(name, data=block)
        for index, (row, _) in enumerate(records):
            self._rows[row]["trace_name"] = f"{name}${index},:{shape[0]},:{shape[1]}"
        self._n_blocks += 1
        self._pending_bytes -= block.nbytes

    def _finish(self) -> None:
        if not self._rows:
            raise UserError(f"{self.out}: no record to store, so none was made{_first_reasons(self.skipped)}")
        for shape in list(self._pending):
            self._flush(shape)
        metadata = pd.DataFrame(self._rows)
        first = [name for name in _FIRST_COLUMNS if name in metadata]
        metadata = metadata[first + [name for name in metadata if name not in first]]
        self._write_data_format(metadata)
        self._file.close()
        metadata.to_csv(self._folder / "metadata.csv", index=False)
        prepared = {
            **self._fingerprint,
            "seisml_version": __version__,
            "n_records": len(metadata),
            "counts": {
                str(k): int(v) for k, v in metadata["trace_category"].value_counts(sort=False).sort_index().items()
            },
            "skipped": self.skipped,
            **self.notes,
        }
        (self._folder / PREPARED).write_text(json.dumps(prepared, indent=1) + "\n", encoding="utf-8")
        for path in self._folder.iterdir():
            _sync(path)
        self._put_in_place()

    def _write_data_format(self, metadata: pd.DataFrame) -> None:
        values: dict[str, Any] = {**self._data_format, "instrument_response": "not restituted"}
        for key, column in (("component_order", "trace_component_order"), ("sampling_rate", "trace_sampling_rate_hz")):
            if metadata[column].nunique() == 1:
                value = metadata[column].iloc[0]
                values[key] = value if isinstance(value, str) else float(value)
        group = self._file.create_group("data_format")
        for key, value in values.items():
            group.create_dataset(key, data=value)

    def _put_in_place(self) -> None:
        previous = previous_folder(self.out)
        while True:
            if self.out.is_dir():
                check_writable(self.out, self.overwrite)
                if any(self.out.iterdir()):
                    shutil.rmtree(previous, ignore_errors=True)
                    os.rename(self.out, previous)
                else:
                    self.out.rmdir()
            try:
                os.rename(self._folder, self.out)
            except FileExistsError:
                continue
            except OSError:
                if self.out.is_dir():  # a reader has put the earlier store back between the two renames
                    continue
                raise
            break
        shutil.rmtree(previous, ignore_errors=True)


def fingerprint(options: dict[str, Any], sources: Iterable[Path] | None) -> dict[str, Any]:
    """What a store is made from: its options, and a hash over name, size and modification time of its source files."""
    listing = hashlib.sha256()
    paths = sorted(Path(os.path.abspath(path)) for path in sources or ())
    base = os.path.commonpath([path.parent for path in paths]) if paths else ""
    for path in paths:
        stat = path.stat()
        listing.update(f"{path.relative_to(base).as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    plain = json.loads(json.dumps(options, sort_keys=True, default=str))
    return {"format": _FORMAT, "options": plain, "n_sources": len(paths), "sources_sha256": listing.hexdigest()}


def is_current(out: str | Path, options: dict[str, Any], sources: Iterable[Path] | None = None) -> bool:
    """Whether the finished store ``out`` was made by the same options from the same files (name, size, modification time).

    A store that an interrupted ``--overwrite`` had moved aside is put back first.
    """
    out = recover_interrupted(Path(out))
    if not all((out / name).is_file() for name in (PREPARED, "metadata.csv", "waveforms.hdf5")):
        return False
    prepared = read_prepared(out)
    return all(prepared.get(key) == value for key, value in fingerprint(options, sources).items())


def check_writable(out: Path, overwrite: bool) -> None:
    """Refuse an ``--out`` that is taken.

    Raises:
        UserError: It is a file or a foreign folder, or a store made otherwise while ``overwrite`` is False.
    """
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise UserError(f"{out}: is a file; choose another --out")
    if not any(out.iterdir()):
        return
    if not (out / PREPARED).is_file():  # never delete what this program has not made
        raise UserError(f"{out}: holds files that are not a store made by seisml; choose another --out")
    if not overwrite:
        raise UserError(
            f"{out}: a store made with other options or from other files is there; add --overwrite or choose another --out"
        )


def remove_leftovers(out: Path) -> None:
    """Remove what killed writers of ``out`` left: their partial folders, and an earlier store that has been replaced."""
    if os.path.lexists(out):
        shutil.rmtree(previous_folder(out), ignore_errors=True)
    prefix = f".{out.name}.partial-"
    if not out.parent.is_dir():
        return
    for folder in out.parent.iterdir():
        if folder.name.startswith(prefix):
            host, _, pid = folder.name[len(prefix) :].rpartition("-")
            if not _is_alive(folder, host, pid):
                shutil.rmtree(folder, ignore_errors=True)


def component_letters(n: int) -> str:
    """One character per trace where the channel codes do not give distinct ones (SeisBench maps single characters)."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits
    return letters[:n] + "".join(chr(0x100 + i) for i in range(n - len(letters)))


def _is_alive(folder: Path, host: str, pid: str) -> bool:
    if host != socket.gethostname():  # cannot ask another machine: a folder nobody touched for a day is dead
        try:
            newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        except OSError:
            return True
        return time.time() - newest < _STALE_SECONDS
    if not pid.isdigit() or os.name == "nt":  # on Windows os.kill would end the process
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()


def _first_reasons(skipped: list[dict[str, str]]) -> str:
    if not skipped:
        return "; check the source folder"
    first = skipped[0]
    return f": all {len(skipped)} files were skipped, the first, {first['file']}: {first['reason']}"


def _sync(path: Path) -> None:
    """Push a file to the disk, so that a power cut after the rename cannot leave it empty."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
