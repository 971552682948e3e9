"""From files to jobs for worker processes: headers are scanned, and records that share files are read together."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

from seisml.catalogs.association import Association, RecordPlan
from seisml.catalogs.events import CatalogEvent
from seisml.catalogs.stations import StationPlace, StationTable
from seisml.prepare.catalog_records import Job, Outcome, RecordOptions, read_job
from seisml.prepare.files import CRASHED
from seisml.prepare.files import _pool as worker_pool
from seisml.prepare.pick_windows import WindowOptions
from seisml.progress import follow
from seisml.waveforms.index import WaveformIndex, build_index, drop_repeated, scan_file

_ITEMS_PER_WORKER = 32  # fewer are done sooner than a process starts
T, R = TypeVar("T"), TypeVar("R")


def scan(files: Sequence[Path], longest_event_file: float, workers: int) -> WaveformIndex:
    """Read the headers of all waveform files; files with the same bytes count once.

    Args:
        files: Waveform files.
        longest_event_file: Files up to this many seconds are one event each.
        workers: Processes.
    """
    kept, repeated = drop_repeated(files)
    headers = in_order(scan_file, kept, workers, crashed=lambda _: CRASHED)
    shown = follow(headers, "reading headers", "file", len(kept))
    index = build_index(zip(kept, shown, strict=True), longest_event_file)
    index.repeated = repeated
    return index


def read_jobs(jobs: Sequence[Job], options: RecordOptions, workers: int) -> Iterator[list[Outcome]]:
    """Read the records of all jobs, in order."""

    def crashed(job: Job) -> list[Outcome]:
        return [Outcome(plan.name, reasons=[CRASHED]) for plan in job.plans]

    return in_order(partial(read_job, options=options), jobs, workers, crashed)


def plan_jobs(
    found: Association,
    events: Sequence[CatalogEvent],
    stations: StationTable,
    root: Path,
    windows: WindowOptions | None,
) -> list[Job]:
    """Group records that share files, so that each file is read once."""
    groups: dict[Hashable, list[RecordPlan]] = defaultdict(list)
    for plan in found.plans:
        groups[plan.source_id if plan.is_window else plan.paths].append(plan)
    times = [event.time.ns for event in events]
    coda = round((windows.coda if windows else 0.0) * 1e9)

    def quiet_from(plan: RecordPlan) -> int:
        if plan.p is None:
            return plan.start
        last = bisect_left(times, plan.p.time.ns)
        first = bisect_left(times, plan.start - coda)
        origins = [event.time.ns for event in events[first:last] if event.source_id != plan.source_id]
        return max([plan.start, *(origin + coda for origin in origins)])

    def place(plan: RecordPlan) -> StationPlace | None:
        return stations.find(plan.instrument.network, plan.instrument.station, plan.instrument.location)

    return [Job(root, plans, [*map(quiet_from, plans)], [*map(place, plans)]) for plans in groups.values()]


def in_order(function: Callable[[T], R], items: Sequence[T], workers: int, crashed: Callable[[T], R]) -> Iterator[R]:
    """Apply a function in processes; results come in order, and what is in flight is bounded, as is the memory.

    Args:
        function: Importable function of one item.
        items: The items.
        workers: Processes at most; few items are done in this one.
        crashed: What stands for the result of an item on which its process dies.
    """
    workers = min(workers, -(-len(items) // _ITEMS_PER_WORKER))
    if workers <= 1:
        yield from map(function, items)
        return
    pool, pending, remaining = worker_pool(workers), deque(), deque(items)
    try:
        while remaining or pending:
            while remaining and len(pending) < 2 * workers:
                item = remaining.popleft()
                pending.append((item, _submit(pool, function, item)))
            item, future = pending.popleft()
            try:
                yield future.result()
            except BrokenProcessPool:  # a process died, and took with it what was in flight: find the culprit
                yield from _one_by_one(function, [item, *(waiting for waiting, _ in pending)], crashed)
                pending.clear()
                pool.shutdown(wait=False)
                pool = worker_pool(workers)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[T], R], item: T) -> Future[R]:
    try:
        return pool.submit(function, item)
    except BrokenProcessPool as error:  # the pool has just broken; the result tells
        future: Future[R] = Future()
        future.set_exception(error)
        return future


def _one_by_one(function: Callable[[T], R], items: Sequence[T], crashed: Callable[[T], R]) -> Iterator[R]:
    pool = worker_pool(1)
    try:
        for item in items:
            try:
                yield pool.submit(function, item).result()
            except BrokenProcessPool:
                yield crashed(item)
                pool.shutdown(wait=False)
                pool = worker_pool(1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
