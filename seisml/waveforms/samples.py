"""Where the samples of a continuous record come from: files, decoded once, or traces in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seisml.waveforms.index import WaveformIndex, build_index, segment_of
from seisml.waveforms.isolated import read_isolated, start_reader
from seisml.waveforms.process import Unusable
from seisml.waveforms.streams import Piece
from seisml.waveforms.traces import Bounds, RawTrace

CACHE_BYTES = 256 * 2**20  # decoded samples kept, so that a day file is decoded once for all its hours


class SampleSource(ABC):
    """Samples of pieces of a record.

    Attributes:
        lost: Files that lost a part of their content, and which.
    """

    lost: dict[Path, str]

    @abstractmethod
    def samples(self, piece: Piece, channel_id: str, start: int, end: int) -> list[tuple[int, np.ndarray]]:
        """Return (time in ns, samples) of a piece's channel that may touch [start, end] ns.

        Raises:
            OSError: The file cannot be read; the message is a short reason.
        """


class FileCache(SampleSource):
    """Decoded files, the last used first, up to a number of bytes; of larger files only the time asked for is read.

    They are read in a process beside this one, which is started here.

    Args:
        limit: Bytes of decoded samples to keep.
        bounds: What is too much to be read.

    Attributes:
        lost: Files that lost a part of their content, and which.
    """

    def __init__(self, limit: int = CACHE_BYTES, bounds: Bounds = Bounds()) -> None:  # noqa: B008 (frozen)
        self.limit, self.bounds, self.held = limit, bounds, 0
        self.lost: dict[Path, str] = {}
        start_reader()
        self.files: OrderedDict[tuple[Path, int, int], dict[str, list[tuple[int, np.ndarray]]]] = OrderedDict()
        self.bad: dict[tuple[Path, int, int], str] = {}
        self.part: tuple[object, dict[str, list[tuple[int, np.ndarray]]]] = (None, {})

    def samples(self, piece: Piece, channel_id: str, start: int, end: int) -> list[tuple[int, np.ndarray]]:
        """Samples of the piece's file; see :class:`SampleSource`."""
        try:
            state = piece.path.stat()
        except OSError as error:
            raise OSError(f"{piece.path.name} cannot be read ({error.strerror})") from error
        key = (piece.path, state.st_size, state.st_mtime_ns)
        if key in self.bad:
            raise OSError(self.bad[key])
        if key not in self.files:
            try:
                # packed files decode to several times their size
                if 4 * max(state.st_size, 2 * piece.n_samples) > self.limit:
                    if self.part[0] != (key, start, end):  # the next component asks for the same
                        self.part = (key, start, end), self._read(piece.path, (start, end))
                    return self.part[1].get(channel_id, [])
                self._keep(key, self._read(piece.path))
            except OSError as error:
                self.bad[key] = str(error)
                raise
        self.files.move_to_end(key)
        return self.files[key].get(channel_id, [])

    def _keep(self, key: tuple[Path, int, int], traces: dict[str, list[tuple[int, np.ndarray]]]) -> None:
        self.files[key] = traces
        self.held += _n_bytes(traces)
        while self.held > self.limit and len(self.files) > 1:
            self.held -= _n_bytes(self.files.popitem(last=False)[1])

    def _read(self, path: Path, span: tuple[int, int] | None = None) -> dict[str, list[tuple[int, np.ndarray]]]:
        try:
            file = read_isolated(path, span, self.bounds)
        except Unusable as reason:
            raise OSError(f"{path.name} cannot be read ({reason})") from reason
        if file.lost:
            self.lost[path] = file.lost
        traces: dict[str, list[tuple[int, np.ndarray]]] = defaultdict(list)
        for trace in file.traces:
            traces[trace.id].append((trace.start, trace.samples))
        return dict(traces)


class TraceSamples(SampleSource):
    """Traces in memory; what would be a file's name is a trace's number.

    Args:
        traces: Unbroken ones; gaps are between them.
    """

    def __init__(self, traces: Sequence[RawTrace]) -> None:
        self.lost = {}
        self._traces = {Path(f"trace {number}"): trace for number, trace in enumerate(traces)}

    def samples(self, piece: Piece, channel_id: str, start: int, end: int) -> list[tuple[int, np.ndarray]]:
        """The whole trace."""
        trace = self._traces[piece.path]
        return [(trace.start, trace.samples)]

    def index(self) -> WaveformIndex:
        """Which instruments have data when."""
        return build_index(((path, [segment_of(path, trace)]) for path, trace in self._traces.items()), 0.0)


def _n_bytes(traces: dict[str, list[tuple[int, np.ndarray]]]) -> int:
    return sum(samples.nbytes for parts in traces.values() for _, samples in parts)
