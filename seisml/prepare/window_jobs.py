"""Windows that a plan wants, read here one after the other or on a cluster a station's day at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from seisml.prepare.on_cluster import made_on
from seisml.prepare.outcome import Outcome
from seisml.terminal.progress import follow
from seisml.waveforms.index import Instrument, Segment
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable
from seisml.waveforms.record import Record
from seisml.waveforms.times import DAY_NS
from seisml.waveforms.traces import Bounds
from seisml.waveforms.window_reader import WindowReader
from seisml.workers.cluster import Cluster


@dataclass(frozen=True)
class WantedWindow:
    """A window to read: components of an instrument, as letters in the files, from ``start`` (ns since 1970) on."""

    instrument: Instrument
    letters: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class WindowJob:
    """Windows of one instrument and day, and all the stretches of record that they need."""

    windows: tuple[WantedWindow, ...]
    segments: tuple[Segment, ...]

    def paths(self) -> list[Path]:
        """The files it reads, each once."""
        return list(dict.fromkeys(segment.path for segment in self.segments))


def read_windows(
    windows: Sequence[WantedWindow], reader: WindowReader, out: Path, cluster: Cluster | None = None
) -> Iterator[np.ndarray | str]:
    """Read windows, in order.

    Args:
        windows: Those of an instrument and a day stand together.
        reader: Reads them, here; a cluster's workers have readers like it.
        out: What is being made.
        cluster: Reads in place of this process.

    Yields:
        (C, T) float32, or the reason why there is none.
    """
    if cluster is None:
        yield from (_read(reader, window) for window in follow(windows, "reading", "window"))
        return
    days = groupby(windows, key=lambda window: (window.instrument, window.start // DAY_NS))
    jobs = [_job(tuple(of_day), reader) for _, of_day in days]
    settings = (reader.preprocessing, reader.bounds)
    for outcomes in made_on(cluster, jobs, read_window_job, settings, _failed, out, "station-day"):
        yield from (o.records[0].waveform if o.records else o.reasons[0] for o in outcomes)


def read_window_job(job: WindowJob, settings: tuple[Preprocessing, Bounds]) -> list[Outcome]:
    """Read the windows of a job: an outcome each, with a record or with a reason."""
    reader = WindowReader(job.segments, *settings)
    read = [_read(reader, window) for window in job.windows]
    return [Outcome("", reasons=[x]) if isinstance(x, str) else Outcome("", [Record(x, {})]) for x in read]


def _read(reader: WindowReader, window: WantedWindow) -> np.ndarray | str:
    try:
        return np.stack([reader.read(window.instrument, letter, window.start) for letter in window.letters])
    except Unusable as reason:
        return str(reason)


def _job(windows: tuple[WantedWindow, ...], reader: WindowReader) -> WindowJob:
    needed = (reader.needed(w.instrument, letter, w.start) for w in windows for letter in w.letters)
    return WindowJob(windows, tuple(dict.fromkeys(segment for segments in needed for segment in segments)))


def _failed(job: WindowJob, reason: str) -> list[Outcome]:
    return [Outcome("", reasons=[reason]) for _ in job.windows]
