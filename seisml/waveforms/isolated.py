"""Reading waveform files in other processes, so that one which crashes or hangs ObsPy's C code costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from seisml.waveforms.index import Segment, read_segments
from seisml.waveforms.process import Unusable
from seisml.waveforms.read import read_waveforms
from seisml.waveforms.traces import Bounds, WaveformFile
from seisml.workers.cluster import Cluster
from seisml.workers.pool import TIME_LIMIT, Failed, Worker, in_order

_BYTES_PER_SECOND = 2**20  # of the slowest format on a slow disk
_FILES_AT_ONCE = 32  # headers read by one task of a cluster: some tenths of a second

R = TypeVar("R")


@lru_cache(maxsize=1)
def _reader() -> Worker:
    """The process that reads for this one: its start, the import of ObsPy, is paid once."""
    return Worker()


def start_reader() -> None:
    """Start the process that reads, so that it is ready when the first file is wanted; this does not wait for it."""
    _reader().start()


def call_isolated(function: Callable[..., R], *arguments: Any, limit: float = TIME_LIMIT) -> R:
    """Call a function in the process that reads for this one; see :meth:`seisml.workers.pool.Worker.call`."""
    return _reader().call(function, *arguments, limit=limit)


def read_isolated(
    path: Path,
    span: tuple[int, int] | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> WaveformFile:
    """:func:`seisml.waveforms.read.read_waveforms` in a process that lasts; a crash or a hang is Unusable."""
    try:
        return call_isolated(read_waveforms, path, span, bounds, limit=time_limit(path))
    except Failed as reason:
        raise Unusable(str(reason)) from None


def read_all_segments(
    paths: Sequence[Path], workers: int, cluster: Cluster | None = None
) -> Iterator[list[Segment] | str]:
    """Yield :func:`seisml.waveforms.index.read_segments` of each file, in order.

    Args:
        paths: The files.
        workers: Processes, where there is no cluster.
        cluster: Reads them in its place.
    """
    if cluster is None:
        return in_order(read_segments, paths, workers, lambda _, reason: reason, time_limit)
    some = (paths[first : first + _FILES_AT_ONCE] for first in range(0, len(paths), _FILES_AT_ONCE))
    return chain.from_iterable(cluster.in_order(_read_some_segments, some))


def _read_some_segments(paths: Sequence[Path]) -> list[list[Segment] | str]:
    """What a worker of a cluster does: headers are read in a process beside it, which may die of one."""
    found: list[list[Segment] | str] = []
    for path in paths:
        try:
            found.append(call_isolated(read_segments, path, limit=time_limit(path)))
        except Failed as reason:
            found.append(str(reason))
    return found


def time_limit(*paths: Path) -> float:
    """Seconds after which reading these files is given up."""
    n_bytes = 0
    for path in paths:
        try:
            n_bytes += path.stat().st_size
        except OSError:
            continue  # the reader says what is wrong
    return TIME_LIMIT + n_bytes / _BYTES_PER_SECOND
