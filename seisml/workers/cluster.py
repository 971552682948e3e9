"""A Dask cluster that works off tasks: reached or started, checked, and never given more than it can hold.

Tasks are functions of seisml with paths and settings; what is large they write to disk, and hand back a few words.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from seisml import __version__
from seisml.errors import UserError, interrupts_wait
from seisml.processes.signals import without_interrupts
from seisml.workers.allocator import keep_freed_memory

if TYPE_CHECKING:
    from distributed import Client, Future

ANSWER = 10.0  # s that a scheduler has to answer
AHEAD = 2  # tasks of a worker at once: one that it works on, and one that it has when that is done
LOOK = 1.0  # s between two looks at how many workers there are
PATIENCE = 20.0  # s without any worker after which one is told so

T, R = TypeVar("T"), TypeVar("R")
_one_task = threading.Lock()  # what a process keeps between tasks (models, decoded files) is one task's at a time


class Cluster:
    """A Dask cluster for a while, however many workers come and go; made by :func:`open_cluster`.

    Tasks are handed out as results come back: ``AHEAD`` for each worker are in flight, whatever their number, so that
    the scheduler's graph and everybody's memory are bounded. A worker that dies costs the task that it was at, which
    another one does again; a task that kills four workers fails.

    Args:
        client: Connected to the scheduler.
        name: What the user calls it.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client
        self._n_workers, self._looked, self._seen = 0, float("-inf"), time.monotonic()
        self._told = False

    def each(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R | Exception]]:
        """Apply a function to items on the workers; in the order in which they are done.

        Args:
            function: Importable function of one item, or a ``partial`` of one; returns little.
            items: The items; taken as they can be worked on.

        Yields:
            Each item with its result, or with what was raised for it.

        Raises:
            UserError: A task raised it: it would be the same for every item. Or the scheduler is gone.
        """
        for _, item, result in self._finished(function, items, AHEAD, ()):
            yield item, result

    def in_order(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Apply a function to items on the workers; in order, which may have to wait for the slowest.

        Yields:
            The results.

        Raises:
            Exception: What a task raised.
            UserError: See :meth:`each`.
        """
        held: dict[int, R | Exception] = {}
        due = 0
        for number, _, result in self._finished(function, items, 2 * AHEAD, held):
            held[number] = result
            while due in held:
                result, due = held.pop(due), due + 1
                if isinstance(result, Exception):
                    raise result
                yield result

    def _finished(
        self, function: Callable[[T], R], items: Iterable[T], ahead: int, held: Collection[object]
    ) -> Iterator[tuple[int, T, R | Exception]]:
        """Number, item and result of what is done; no more for each worker than ``ahead`` in flight or held."""
        done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        flying: dict[Future, tuple[int, T]] = {}
        waiting = enumerate(items)
        try:
            while True:
                with interrupts_wait():  # Dask answers one that comes in the middle of its work with a traceback
                    for number, item in islice(waiting, max(0, ahead * self._workers() - len(flying) - len(held))):
                        future = self._submit(function, item)
                        flying[future] = number, item
                        future.add_done_callback(done.put)
                if not flying:
                    return
                try:
                    future = done.get(timeout=LOOK)
                except queue.Empty:
                    continue
                with interrupts_wait():
                    result = self._outcome(future)
                yield *flying.pop(future), result
        finally:
            self._cancel(flying)

    def _submit(self, function: Callable[[T], R], item: T) -> Future:
        # the key is nobody else's, also where several people use one scheduler
        name = f"seisml-{uuid.uuid4().hex}"
        return self._client.submit(_run_task, __version__, function, item, key=name, pure=False)

    def _workers(self) -> int:
        """How many workers there are, at least one."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            if self._client.status != "running":
                raise self._lost()
            self._n_workers, self._looked = len(self._client.nthreads()), now
        if self._n_workers:
            self._seen, self._told = now, False
        elif now - self._seen >= PATIENCE and not self._told:
            print(f"the Dask cluster {self.name} has no workers; waiting for them", file=sys.stderr, flush=True)
            self._told = True
        return max(1, self._n_workers)

    def _outcome(self, future: Future) -> Any:
        """A future's result, or what its task raised; nothing of it stays on the workers."""
        try:
            return future.result()
        except UserError:
            raise
        except CancelledError as error:
            raise self._lost() from error
        except Exception as error:
            return error
        finally:
            future.release()

    def _cancel(self, futures: Iterable[Future]) -> None:
        left = list(futures)
        if left and self._client.status == "running":
            self._client.cancel(left, force=True)

    def _lost(self) -> UserError:
        return UserError(
            f"the Dask scheduler {self.name} is gone; what is finished is kept: start it and run the command again"
        )

    def check(self) -> None:
        """Compare the versions of seisml here and on the workers that are there already.

        Raises:
            UserError: One differs, or a worker has no seisml.
        """
        for address, version in self._client.run(_version, on_error="return").items():
            if version != __version__:
                raise _other_version(version if isinstance(version, str) else "no seisml", address)


@contextmanager
def open_cluster(scheduler: str, workers: int | None = None) -> Iterator[Cluster]:
    """Reach a Dask cluster, or start one for the time of the block.

    Args:
        scheduler: ``"local"`` starts processes on this computer, ``"slurm"`` jobs of SLURM as Dask's configuration
            (``jobqueue.slurm``) says; anything else is the address of a scheduler (``tcp://host:8786``), whose workers
            see the same files and have the same seisml.
        workers: Processes of the local cluster (by default one for each core), or jobs of SLURM.

    Yields:
        The cluster.

    Raises:
        UserError: Dask is not installed, there is no scheduler at the address, or its workers have another seisml.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError("--scheduler needs Dask, which is not installed; pip install 'seisml[dask]'") from error
    if scheduler in STARTED:
        with without_interrupts():  # its threads and processes inherit that: Ctrl-C is for this one, which ends them
            started = STARTED[scheduler](workers)
        with started, Client(started) as client:
            yield Cluster(client, scheduler)
        return
    try:
        client = Client(scheduler, timeout=ANSWER)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"--scheduler: no Dask scheduler answers at {scheduler} ({type(error).__name__}); start one with "
            "dask scheduler, or use --scheduler local"
        ) from error
    with client:
        cluster = Cluster(client, scheduler)
        cluster.check()
        yield cluster


def _local(workers: int | None) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,  # a restarted worker is warned of, and so is every task that Ctrl-C has ended
    )  # fmt: skip


def _slurm(workers: int | None) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UserError("--scheduler slurm needs dask-jobqueue; pip install 'seisml[dask]'") from error
    if workers is None:
        raise UserError("--scheduler slurm: say with --workers how many jobs SLURM shall start")
    try:
        cluster = SLURMCluster()
    except (TypeError, ValueError) as error:
        raise UserError(
            f"--scheduler slurm: {error}; set jobqueue.slurm (cores, processes, memory, walltime) in "
            "~/.config/dask/jobqueue.yaml"
        ) from error
    cluster.adapt(minimum_jobs=workers, maximum_jobs=workers)  # one that is preempted, or whose time is up, is replaced
    return cluster


STARTED: dict[str, Callable[[int | None], Any]] = {"local": _local, "slurm": _slurm}  # clusters for one command


def _version() -> str:
    return __version__


def _run_task(version: str, function: Callable[[T], R], item: T) -> R:
    """What a worker runs; it may have come after the others were checked."""
    if version != __version__:
        raise _other_version(__version__)
    keep_freed_memory()
    with _one_task:
        return function(item)


def _other_version(version: str, address: str = "") -> UserError:
    return UserError(
        f"a worker{address and ' at '}{address} has {version}, this is seisml {__version__}; install the same for both"
    )
