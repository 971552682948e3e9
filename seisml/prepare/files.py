"""Many files -> one store: read in parallel, written in order, reported at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seisml.prepare.report import PrepareReport
from seisml.progress import follow
from seisml.store.folder import check_writable, is_current, recover_interrupted
from seisml.store.writer import StoreWriter
from seisml.waveforms.isolated import time_limit
from seisml.waveforms.pool import in_order
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.read import Bounds
from seisml.waveforms.record import Record, try_record

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
        bounds: What is too much to be read.
    """

    out: Path
    overwrite: bool = False
    workers: int = 1
    measurement: str = "velocity"
    keeps_dead: bool = False
    bounds: Bounds = Bounds()

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
    options = {**options, **further, "bounds": asdict(how.bounds)}
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
        results = read_all(files, steps, how.workers, how.bounds)
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
    files: Sequence[SourceFile],
    steps: Preprocessing,
    workers: int,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> Iterator[tuple[SourceFile, Record | str]]:
    """Read files in processes, in order; what is in flight is bounded, and so is the memory.

    Yields:
        Each file with its record, or with the reason why it has none.
    """
    paths = [file.path for file in files]
    read = partial(try_record, preprocessing=steps, bounds=bounds)
    return zip(files, in_order(read, paths, workers, lambda _, reason: reason, time_limit), strict=True)


def _size(out: Path) -> str:
    n_bytes = sum(path.stat().st_size for path in out.iterdir())
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:.1f} GiB"
