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
from seisml.prepare.catalog_records import Job, RecordOptions, read_job, try_file
from seisml.prepare.files import PrepareOptions
from seisml.prepare.on_cluster import made_on
from seisml.prepare.outcome import Outcome
from seisml.prepare.pick_windows import WindowOptions
from seisml.terminal.progress import follow
from seisml.waveforms.index import WaveformIndex, build_index, drop_repeated
from seisml.waveforms.isolated import call_isolated, read_all_segments, time_limit
from seisml.workers.cluster import Cluster
from seisml.workers.pool import Failed, Worker, in_order


def index_waveforms(
    files: Sequence[Path], longest_event_file: float, workers: int, cluster: Cluster | None = None
) -> WaveformIndex:
    """Read the headers of all waveform files; files with the same bytes count once.

    Args:
        files: Waveform files.
        longest_event_file: Files up to this many seconds are one event each.
        workers: Processes, where there is no cluster.
        cluster: Reads in their place.
    """
    kept, repeated = drop_repeated(files)
    shown = follow(read_all_segments(kept, workers, cluster), "reading headers", "file", len(kept))
    index = build_index(zip(kept, shown, strict=True), longest_event_file)
    index.repeated = repeated
    return index


def read_jobs(
    jobs: Sequence[Job], options: RecordOptions, how: PrepareOptions, cluster: Cluster | None = None
) -> Iterator[list[Outcome]]:
    """Read the records of all jobs, in order; here, or on a cluster."""
    if cluster is not None:
        return made_on(cluster, jobs, read_job_isolated, options, _all_failed, how.out, "event")

    def failed(job: Job, reason: str) -> list[Outcome]:
        return _without_bad_files(job, options, reason)

    read = partial(read_job, options=options)
    return in_order(read, jobs, how.workers, failed, lambda job: time_limit(*job.paths()))


def read_job_isolated(job: Job, options: RecordOptions) -> list[Outcome]:
    """What a worker of a cluster does: the job is read in a process beside it, which may die of a file."""
    try:
        return call_isolated(read_job, job, options, limit=time_limit(*job.paths()))
    except Failed as reason:
        return _without_bad_files(job, options, str(reason))


def plan_jobs(
    found: Association,
    events: Sequence[CatalogEvent],
    stations: StationTable,
    root: Path,
    windows: WindowOptions | None,
) -> list[Job]:
    """Group records that share files, so that each file is read once."""
    groups: dict[Hashable, list[RecordPlan]] = defaultdict(list)
    for plan in map(_without_other_picks, found.plans):
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


def _without_other_picks(plan: RecordPlan) -> RecordPlan:
    """A plan without the event's picks at other stations: what a task is should not grow with their number."""
    if plan.event is None:
        return plan
    return replace(plan, event=replace(plan.event, picks=(), waveform_names=()))


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
        return _all_failed(job, reason)
    finally:
        worker.stop()


def _all_failed(job: Job, reason: str) -> list[Outcome]:
    return [Outcome(plan.name, reasons=[reason]) for plan in job.plans]
