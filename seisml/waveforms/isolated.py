"""Reading waveform files in other processes, so that one which crashes or hangs ObsPy's C code costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from seisml.waveforms.index import Segment, read_segments
from seisml.waveforms.pool import TIME_LIMIT, Failed, Worker, in_order
from seisml.waveforms.process import Unusable
from seisml.waveforms.read import Bounds, WaveformFile, read_waveforms

_BYTES_PER_SECOND = 2**20  # of the slowest format on a slow disk


def read_isolated(
    worker: Worker,
    path: Path,
    span: tuple[int, int] | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> WaveformFile:
    """:func:`seisml.waveforms.read.read_waveforms` in a worker; a crash or a hang is Unusable, with the reason."""
    try:
        return worker.call(read_waveforms, path, span, bounds, limit=time_limit(path))
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
