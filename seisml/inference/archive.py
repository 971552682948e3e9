"""Working off station-days: here one after the other, or on a Dask cluster, one task each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seisml.errors import UserError
from seisml.inference.station_day import DayReport, ScanSettings, run_day
from seisml.waveforms.streams import StationDay

ANSWER = 10.0  # seconds that a scheduler has to answer


def work_off(
    tasks: Sequence[StationDay],
    settings: ScanSettings,
    out: Path,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Iterator[tuple[StationDay, DayReport]]:
    """Run tasks and hand over their reports as they come.

    Args:
        tasks: The station-days.
        settings: What to do with them.
        out: Output folder, which all workers see.
        scheduler: None works here; ``"local"`` starts a cluster of processes on this computer; anything else is the
            address of a Dask scheduler (``tcp://host:8786``) whose workers have seisml installed.
        workers: Processes of the local cluster; by default one for each core.

    Raises:
        UserError: Dask is not installed, or there is no scheduler at the address.
    """
    if scheduler is None:
        for task in tasks:
            try:
                yield task, run_day(task, settings, out)
            except UserError:
                raise  # the checkpoint's or the command's fault, the same for every day
            except Exception as error:
                yield task, _failed(task, error)
        return
    if not tasks:
        return
    with _client(scheduler, workers) as client:
        from distributed import as_completed

        # one PyTorch thread for each worker: workers share the cores
        jobs = {client.submit(run_day, task, settings, out, 1, key=task.name, pure=False): task for task in tasks}
        for job in as_completed(list(jobs)):
            task = jobs.pop(job)
            error = job.exception()
            if isinstance(error, UserError):
                raise error
            yield task, job.result() if error is None else _failed(task, error)
            job.release()


@contextmanager
def _client(scheduler: str, workers: int | None) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UserError("--scheduler needs Dask, which is not installed; pip install 'seisml[dask]'") from error
    if scheduler == "local":
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=ANSWER)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"--scheduler: no Dask scheduler answers at {scheduler} ({type(error).__name__}); start one with "
            "dask scheduler, or use --scheduler local"
        ) from error
    with client:
        yield client


def _failed(task: StationDay, error: BaseException) -> DayReport:
    """A report of what nobody foresaw; the other days go on, and this one is tried again next time."""
    lines = str(error).strip().splitlines() or [""]
    return DayReport(task.name, "failed", notes=[*task.notes, f"{type(error).__name__}: {lines[0][:200]}"])
