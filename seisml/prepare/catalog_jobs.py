"""From files to jobs for worker processes: headers are indexed, and records that share files are read together."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from seisml.catalogs.association import Association, RecordPlan
from seisml.catalogs.events import CatalogEvent
from seisml.catalogs.stations import StationPlace, StationTable
from seisml.prepare.catalog_records import Job, Outcome, RecordOptions, read_job, try_file
from seisml.prepare.pick_windows import WindowOptions
from seisml.terminal.progress import follow
from seisml.waveforms.index import WaveformIndex, build_index, drop_repeated
from seisml.waveforms.isolated import read_all_segments, time_limit
from seisml.workers.pool import Failed, Worker, in_order


def index_waveforms(files: Sequence[Path], longest_event_file: float, workers: int) -> WaveformIndex:
    """Read the headers of all waveform files; files with the same bytes count once.

    Args:
        files: Waveform files.
        longest_event_file: Files up to this many seconds are one event each.
        workers: Processes.
    """
    kept, repeated = drop_repeated(files)
    shown = follow(read_all_segments(kept, workers), "reading headers", "file", len(kept))
    index = build_index(zip(kept, shown, strict=True), longest_event_file)
    index.repeated = repeated
    return index


def read_jobs(jobs: Sequence[Job], options: RecordOptions, workers: int) -> Iterator[list[Outcome]]:
    """Read the records of all jobs, in order."""

    def failed(job: Job, reason: str) -> list[Outcome]:
        return _without_bad_files(job, options, reason)

    read = partial(read_job, options=options)
    return in_order(read, jobs, workers, failed, lambda job: time_limit(*job.paths()))


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


def _without_bad_files(job: Job, options: RecordOptions, reason: str) -> list[Outcome]:
    """Read a job again of which a process died: first each file, to see which one it was, then what is left."""
    worker, bad = Worker(), {}
    try:
        for path in job.paths():
            try:
                worker.call(try_file, job, path, options.bounds, limit=time_limit(path))
            except Failed as why:
                bad[path] = str(why)
        return worker.call(read_job, replace(job, bad=bad), options, limit=time_limit(*job.paths()))
    except Failed:
        return [Outcome(plan.name, reasons=[reason]) for plan in job.plans]
    finally:
        worker.stop()
