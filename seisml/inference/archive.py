"""Working off station-days: here one after the other, or on a Dask cluster, one task each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from seisml.errors import UserError
from seisml.inference.station_day import DayReport, ScanSettings, run_day
from seisml.waveforms.streams import StationDay
from seisml.workers.cluster import Cluster


def work_off(
    tasks: Sequence[StationDay], settings: ScanSettings, out: Path, cluster: Cluster | None = None
) -> Iterator[tuple[StationDay, DayReport]]:
    """Run tasks and hand over their reports as they come.

    Args:
        tasks: The station-days.
        settings: What to do with them.
        out: Output folder, which all workers see.
        cluster: Works on them; None works here.

    Raises:
        UserError: The checkpoint's or the command's fault, the same for every day; or the scheduler is gone.
    """
    if cluster is not None:
        # one PyTorch thread for each worker: workers share the cores
        for task, report in cluster.each(partial(run_day, settings=settings, out=out, threads=1), tasks):
            yield task, _failed(task, report) if isinstance(report, Exception) else report
        return
    for task in tasks:
        try:
            yield task, run_day(task, settings, out)
        except UserError:
            raise
        except Exception as error:
            yield task, _failed(task, error)


def _failed(task: StationDay, error: Exception) -> DayReport:
    """A report of what nobody foresaw; the other days go on, and this one is tried again next time."""
    lines = str(error).strip().splitlines() or [""]
    return DayReport(task.name, "failed", notes=[*task.notes, f"{type(error).__name__}: {lines[0][:200]}"])
