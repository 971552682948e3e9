"""Prepare steps of whole archives on a Dask cluster: workers leave pieces, one writer makes the store of them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from seisml.errors import UserError
from seisml.prepare.outcome import Outcome
from seisml.prepare.pieces import Task, piece_path, pieces_folder, read_piece, write_piece
from seisml.terminal.progress import follow
from seisml.waveforms.read import first_line
from seisml.workers.cluster import STARTED, Cluster, open_cluster

T = TypeVar("T", bound=Task)


def add_cluster_argument(parser: ArgumentParser) -> None:
    """Declare the option that sends the work to a cluster."""
    parser.add_argument(
        "--scheduler", nargs="?", const="local", metavar="ADDRESS",
        help="work on a Dask cluster, whose workers see the same folders: at this address, of --workers processes on "
        "this computer (local, the default), or of --workers jobs that SLURM starts (slurm). What is made is kept "
        "beside --out until that is written, so that a run that was stopped goes on where it was",
    )  # fmt: skip


def cluster_of(scheduler: str | None, workers: int | None) -> AbstractContextManager[Cluster | None]:
    """The cluster that the options name, None where they name none.

    Args:
        scheduler: ``--scheduler``.
        workers: ``--workers``, where it was given.

    Raises:
        UserError: It cannot be reached or started, or not with so many workers.
    """
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: want at least 1")
    if scheduler is None:
        return nullcontext()
    if workers is not None and scheduler not in STARTED:
        raise UserError("--workers: the cluster at an address has workers; leave it out, or take --scheduler local")
    return open_cluster(scheduler, workers)


def made_on(
    cluster: Cluster,
    tasks: Sequence[T],
    make: Callable[[T, Any], list[Outcome]],
    settings: Any,
    failed: Callable[[T, str], list[Outcome]],
    out: Path,
    unit: str,
) -> Iterator[list[Outcome]]:
    """Make the outcomes of all tasks on a cluster; those that an earlier run has made are there already.

    Args:
        cluster: Does it.
        tasks: The tasks; paths are absolute.
        make: Importable function of a task and the settings.
        settings: What is done; told by its ``repr``.
        failed: Gives the outcomes of a task that no worker survived, from it and the reason.
        out: The store.
        unit: What a task is, in the singular.

    Yields:
        The outcomes of each task, in order, once all are made.

    Raises:
        UserError: The disk is full, the scheduler gone...
    """
    folder = pieces_folder(out)
    places: list[Path | str] = [""] * len(tasks)
    done = cluster.each(partial(_make_piece, make=make, settings=settings, folder=folder), enumerate(tasks))
    for (number, _), place in follow(done, "reading", unit, len(tasks)):
        lost = isinstance(place, Exception)
        places[number] = f"no worker could make it ({type(place).__name__}: {first_line(place)})" if lost else place
    for task, place in zip(tasks, places, strict=True):
        yield read_piece(place) if isinstance(place, Path) else failed(task, place)


def _make_piece(numbered: tuple[int, T], make: Callable[[T, Any], list[Outcome]], settings: Any, folder: Path) -> Path:
    """What a worker does: the piece of a task, where it is not there yet."""
    _, task = numbered
    path = piece_path(folder, task, settings)
    if not path.is_file():
        write_piece(path, make(task, settings))
    return path
