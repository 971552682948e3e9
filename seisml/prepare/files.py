"""Many files -> one store: read in parallel, written in order, reported at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seisml.prepare.report import PrepareReport
from seisml.store.folder import check_writable, is_current, recover_interrupted
from seisml.store.writer import StoreWriter
from seisml.terminal.progress import follow
from seisml.waveforms.isolated import time_limit
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.record import Record, try_record
from seisml.waveforms.sac_header import DepthUnit
from seisml.waveforms.traces import Bounds
from seisml.workers.pool import Failed, Worker, in_order


@dataclass(frozen=True)
class SourceFile:
    """A waveform file and what its place says about it.

    Attributes:
        path: Where it is.
        name: Its path relative to the source folder, with forward slashes; kept as ``trace_source_file``.
        label: Class name.
        event: Event it belongs to; kept as ``source_id``.
        group: Files of one label, event and group make one record; None where it makes a record alone.
    """

    path: Path
    name: str
    label: str
    event: str
    group: str | None = None


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
        sac_depth: Unit of the source depth in SAC headers.
        stays: The store is there to stay, and worth being named when it is done.
    """

    out: Path
    overwrite: bool = False
    workers: int = 1
    measurement: str = "velocity"
    keeps_dead: bool = False
    bounds: Bounds = Bounds()
    sac_depth: DepthUnit = "km"
    stays: bool = True

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
    groups = grouped(files)
    n_records = 0
    with StoreWriter(how.out, options, sources, how.overwrite, steps.unit, how.measurement) as writer:

        def skip(label: str, name: str, reason: str) -> None:
            writer.skip(name, reason)
            report.skip(label, name, reason)

        for label, name, reason in listing.skipped:
            skip(label, name, reason)
        results = read_all(groups, steps, how.workers, how.bounds, how.sac_depth)
        unit = "file" if len(groups) == len(files) else "record"
        for group, result in follow(results, "reading", unit, len(groups)):
            reasons = _reasons(group, result, how)
            used = [file for file in group if file.path not in reasons]
            rest = "; the rest of its record is stored" if used else ""
            for file in group:
                if file.path in reasons:
                    skip(file.label, file.name, reasons[file.path] + rest)
            if used and isinstance(result, Record):
                label, event, name = used[0].label, used[0].event, used[0].name
                place = {"trace_category": label, "source_id": event, "trace_source_file": name}
                writer.add(result.waveform, {**place, **result.metadata})
                report.add(label, result)
                n_records += 1
        report.notes += listing.notes
        print(report.text(detrended=bool(steps.detrend or steps.bandpass)), flush=True)
    place = f"in {how.out} ({_size(how.out)}, " if how.stays else "read ("
    print(f"{n_records} records {place}{time.monotonic() - began:.1f} s)")
    return 0


def grouped(files: Sequence[SourceFile]) -> list[tuple[SourceFile, ...]]:
    """The files of each record, in order of their first files."""
    records: dict[tuple, list[SourceFile]] = {}
    for number, file in enumerate(files):
        key = (number,) if file.group is None else (file.label, file.event, file.group)
        records.setdefault(key, []).append(file)
    return [tuple(record) for record in records.values()]


def paths_of(group: Sequence[SourceFile]) -> tuple[Path, ...]:
    """Where the files of a record are."""
    return tuple(file.path for file in group)


def read_all(
    groups: Sequence[tuple[SourceFile, ...]],
    steps: Preprocessing,
    workers: int,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    sac_depth: DepthUnit = "km",
) -> Iterator[tuple[tuple[SourceFile, ...], Record | dict[Path, str]]]:
    """Read files in processes, in order; what is in flight is bounded, and so is the memory.

    Yields:
        The files of each record with the record, or with the reason why each of them is in none.
    """
    read = partial(try_record, preprocessing=steps, bounds=bounds, sac_depth=sac_depth)

    def failed(paths: tuple[Path, ...], reason: str) -> Record | dict[Path, str]:
        return {paths[0]: reason} if len(paths) == 1 else _without_bad_files(read, paths, reason)

    paths = [paths_of(group) for group in groups]
    return zip(groups, in_order(read, paths, workers, failed, lambda group: time_limit(*group)), strict=True)


def _reasons(group: Sequence[SourceFile], result: Record | dict[Path, str], how: PrepareOptions) -> Mapping[Path, str]:
    """Why files of a record are not stored."""
    if not isinstance(result, Record):
        return result
    against = how.reason_against(result.waveform, result.n_dead)
    return result.left_out if against is None else {**dict.fromkeys(paths_of(group), against), **result.left_out}


def _without_bad_files(
    read: Callable[..., Record | dict[Path, str]], paths: tuple[Path, ...], reason: str
) -> Record | dict[Path, str]:
    """Read a record again of which a process died: first each file, to see which one it was, then what is left."""
    worker, bad = Worker(), {}
    try:
        for path in paths:
            try:
                worker.call(read, (path,), limit=time_limit(path))
            except Failed as why:
                bad[path] = str(why)
        left = tuple(path for path in paths if path not in bad)
        result = worker.call(read, left, limit=time_limit(*left)) if left else {}
    except Failed:
        return dict.fromkeys(paths, reason)
    finally:
        worker.stop()
    if isinstance(result, Record):
        result.left_out.update(bad)
        return result
    return {**result, **bad}


def _size(out: Path) -> str:
    n_bytes = sum(path.stat().st_size for path in out.iterdir())
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:.1f} GiB"
