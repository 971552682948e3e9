"""Reading waveform files in other processes, so that one which crashes or hangs ObsPy's C code costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from seisml.waveforms.index import Segment, read_segments
from seisml.waveforms.process import Unusable
from seisml.waveforms.read import read_waveforms
from seisml.waveforms.traces import Bounds, WaveformFile
from seisml.workers.pool import TIME_LIMIT, Failed, Worker, in_order

_BYTES_PER_SECOND = 2**20  # of the slowest format on a slow disk


@lru_cache(maxsize=1)
def _reader() -> Worker:
    """The process that reads for this one: its start, the import of ObsPy, is paid once."""
    return Worker()


def start_reader() -> None:
    """Start the process that reads, so that it is ready when the first file is wanted; this does not wait for it."""
    _reader().start()


def read_isolated(
    path: Path,
    span: tuple[int, int] | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> WaveformFile:
    """:func:`seisml.waveforms.read.read_waveforms` in a process that lasts; a crash or a hang is Unusable."""
    try:
        return _reader().call(read_waveforms, path, span, bounds, limit=time_limit(path))
    except Failed as reason:
        raise Unusable(str(reason)) from None


def read_all_segments(paths: Sequence[Path], workers: int) -> Iterator[list[Segment] | str]:
    """Yield :func:`seisml.waveforms.index.read_segments` of each file, in order."""
    return in_order(read_segments, paths, workers, lambda _, reason: reason, time_limit)


def time_limit(*paths: Path) -> float:
    """Seconds after which reading these files is given up."""
    n_bytes = 0
    for path in paths:
        try:
            n_bytes += path.stat().st_size
        except OSError:
            continue  # the reader says what is wrong
    return TIME_LIMIT + n_bytes / _BYTES_PER_SECOND
