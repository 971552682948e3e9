"""Many files -> one store: read in parallel, written in order, reported at the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np

from seisml.prepare.report import PrepareReport
from seisml.progress import follow
from seisml.store.folder import check_writable, is_current, recover_interrupted
from seisml.store.writer import StoreWriter
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable
from seisml.waveforms.record import Record, read_record

# Rough cost of steps, and the time from which a further process (which imports ObsPy first) pays off.
SECONDS_PER_FILE, SECONDS_PER_BYTE, WORTH_A_PROCESS = 3e-3, 6e-8, 3.0
CRASHED = "the reader crashed on it (damaged file, or not enough memory)"


@dataclass(frozen=True)
class SourceFile:
    """A waveform file and what its place says about it.

    Attributes:
        path: Where it is.
        name: Its path relative to the source folder, with forward slashes; kept as ``trace_source_file``.
        label: Class name.
        event: Event it belongs to; kept as ``source_id``.
    """

    path: Path
    name: str
    label: str
    event: str


@dataclass
class Listing:
    """What is to be prepared.

    Attributes:
        files: In the order of the rows.
        skipped: (label, name, reason) of what is left out already.
        classes: Classes to list even where nothing of them can be read.
        index_files: Further files that decide the content.
        notes: Lines for the closing table.
    """

    files: list[SourceFile] = field(default_factory=list)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    index_files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PrepareOptions:
    """Where to and how, beside what is done to each recording.

    Attributes:
        out: Folder of the store.
        overwrite: Rebuild a store that exists.
        workers: Processes that read files.
        measurement: What is measured.
        keeps_dead: Store records of dead traces alone, too.
    """

    out: Path
    overwrite: bool = False
    workers: int = 1
    measurement: str = "velocity"
    keeps_dead: bool = False

    def reason_against(self, waveform: np.ndarray, n_dead: int = 0) -> str | None:
        """Say why a record is not stored: all its traces are dead, and nobody asked to keep such ones.

        Args:
            waveform: (C, T) as it would be stored.
            n_dead: Traces that were constant before anything was done to them.
        """
        if self.keeps_dead or (n_dead < len(waveform) and np.ptp(waveform, axis=1).any()):
            return None
        return "dead: all samples of every trace are the same; --dead-traces keep would store it"


def prepare_files(listing: Listing, how: PrepareOptions, steps: Preprocessing, options: dict[str, Any]) -> int:
    """Make a store of waveform files, and print the closing table.

    Args:
        listing: The files.
        how: Where to.
        steps: What is done to each recording.
        options: What else decides the content, for ``prepare.json``.

    Returns:
        Exit code 0.

    Raises:
        UserError: No file could be used, or the store exists with other options.
    """
    files = listing.files
    further = {"preprocessing": steps.to_dict(), "measurement": how.measurement, "keeps_dead": how.keeps_dead}
    options = {**options, **further}
    sources = [file.path for file in files] + listing.index_files
    if not how.overwrite and is_current(how.out, options, sources):
        print(f"{how.out} is up to date (same files, same options); nothing to do. --overwrite rebuilds it.")
        return 0
    check_writable(recover_interrupted(how.out), how.overwrite)  # before the work, not after it
    began = time.monotonic()
    report = PrepareReport(sorted({file.label for file in files} | set(listing.classes)))
    n_records = 0
    with StoreWriter(how.out, options, sources, how.overwrite, steps.unit, how.measurement) as writer:
        for label, name, reason in listing.skipped:
            writer.skip(name, reason)
            report.skip(label, name, reason)
        results = read_all(files, steps, how.workers)
        for file, result in follow(results, "reading", "file", len(files)):
            reason = result if isinstance(result, str) else how.reason_against(result.waveform, result.n_dead)
            if isinstance(result, str) or reason is not None:
                writer.skip(file.name, reason)
                report.skip(file.label, file.name, reason)
                continue
            place = {"trace_category": file.label, "source_id": file.event, "trace_source_file": file.name}
            writer.add(result.waveform, {**place, **result.metadata})
            report.add(file.label, result)
            n_records += 1
        report.notes += listing.notes
        print(report.text(detrended=bool(steps.detrend or steps.bandpass)), flush=True)
    print(f"{n_records} records in {how.out} ({_size(how.out)}, {time.monotonic() - began:.1f} s)")
    return 0


def read_all(
    files: Sequence[SourceFile], steps: Preprocessing, workers: int
) -> Iterator[tuple[SourceFile, Record | str]]:
    """Read files in processes, in order; what is in flight is bounded, and so is the memory.

    Yields:
        Each file with its record, or with the reason why it has none.
    """
    n_bytes = sum(file.path.stat().st_size for file in files) if workers > 1 else 0
    seconds = len(files) * SECONDS_PER_FILE + n_bytes * SECONDS_PER_BYTE
    workers = min(workers, int(seconds / WORTH_A_PROCESS))
    if workers <= 1:
        for file in files:
            yield file, _read(file.path, steps)
        return
    remaining, pending = deque(files), deque()
    pool = _pool(workers)
    try:
        while remaining or pending:
            while remaining and len(pending) < 4 * workers:
                file = remaining.popleft()
                pending.append((file, _submit(pool, file, steps)))
            file, future = pending[0]
            try:
                result = future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False)
                yield from _read_one_by_one(pending, steps)
                pending.clear()
                pool = _pool(workers)
                continue
            pending.popleft()
            yield file, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(path: Path, steps: Preprocessing) -> Record | str:
    try:
        return read_record(path, steps)
    except Unusable as reason:
        return str(reason)


def _read_one_by_one(
    pending: Iterable[tuple[SourceFile, Future[Record | str]]], steps: Preprocessing
) -> Iterator[tuple[SourceFile, Record | str]]:
    """After a reader died and took with it all that was in flight: one file at a time shows which one killed it."""
    pool = None
    try:
        for file, future in pending:
            if not future.done() or future.exception() is not None:
                pool = pool or _pool(1)
                future = _submit(pool, file, steps)
            try:
                result = future.result()
            except BrokenProcessPool:
                pool, result = None, CRASHED
            yield file, result
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, file: SourceFile, steps: Preprocessing) -> Future[Record | str]:
    # Blocked here, Ctrl-C is blocked in the process that this may start: only the parent answers to it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        return pool.submit(_read, file.path, steps)
    except BrokenProcessPool as error:
        failed: Future[Record | str] = Future()
        failed.set_exception(error)
        return failed
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with the parent even where it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _size(out: Path) -> str:
    n_bytes = sum(path.stat().st_size for path in out.iterdir())
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:.1f} GiB"
