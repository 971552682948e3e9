"""What lies in a collection of waveform files: which station, when, in which file; from the headers alone."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seisml.waveforms.joining import Place, place_pieces
from seisml.waveforms.process import Unusable, plain_rate
from seisml.waveforms.read import read_headers
from seisml.waveforms.traces import TraceHeader

_BEGINNING = 4096  # bytes
_JOIN_SECONDS = 2.0  # parts of one record in separate files begin and end this close together


@dataclass(frozen=True, order=True)
class Instrument:
    """One instrument of a station: the codes its components share (``band``: the channel code less its last letter)."""

    network: str
    station: str
    location: str
    band: str

    def __str__(self) -> str:
        return self.channel_id("*")

    def channel_id(self, component: str) -> str:
        """SEED identity of one of its channels: network, station, location and channel code, joined by dots."""
        return f"{self.network}.{self.station}.{self.location}.{self.band}{component}"


@dataclass(frozen=True)
class Segment:
    """A stretch of one channel in one file. Times are in ns since 1970, ``end`` that of the last sample."""

    path: Path
    instrument: Instrument
    component: str
    start: int
    end: int
    sampling_rate: float

    @property
    def n_samples(self) -> int:
        """Number of samples, by the header's rate, whose digits tell it."""
        return round((self.end - self.start) * 1e-9 * self.sampling_rate) + 1


@dataclass
class EventPart:
    """One instrument's traces over one event file, or over several where each component has a file."""

    instrument: Instrument
    paths: tuple[Path, ...]
    components: tuple[str, ...]
    start: int
    end: int


@dataclass
class WaveformIndex:
    """Headers of all waveform files.

    Attributes:
        segments: Stretches by instrument, in order of time.
        event_parts: Records of files short enough to be one event each.
        spans: Start and end (ns) of each file.
        skipped: Files left out, with the reason.
        repeated: Number of files left out because another holds the same bytes.
    """

    segments: dict[Instrument, list[Segment]] = field(default_factory=dict)
    event_parts: list[EventPart] = field(default_factory=list)
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    repeated: int = 0

    def overlapping(self, instrument: Instrument, start: int, end: int) -> list[Segment]:
        """Return the instrument's continuous stretches that share time with [start, end] (ns)."""
        segments = self.segments[instrument]
        last = bisect_left(segments, end + 1, key=lambda segment: segment.start)
        longest = self._longest[instrument]
        first = bisect_left(segments, start - longest, key=lambda segment: segment.start)
        return [segment for segment in segments[first:last] if segment.end >= start]

    def sampling_rates(self) -> set[float]:
        """Rates in Hz of the continuous stretches."""
        return {segment.sampling_rate for segments in self.segments.values() for segment in segments}

    def __post_init__(self) -> None:
        self._longest: dict[Instrument, int] = {}

    def close(self) -> None:
        """Sort the stretches, once all files are in."""
        for instrument, segments in self.segments.items():
            segments.sort(key=lambda segment: (segment.start, segment.component, segment.path))
            self._longest[instrument] = max(segment.end - segment.start for segment in segments)


def read_segments(path: Path) -> list[Segment] | str:
    """Read the headers of one waveform file.

    Returns:
        Its stretches, or the reason why there is none.
    """
    try:
        headers = read_headers(path)
    except Unusable as reason:
        return str(reason)
    return [segment_of(path, header) for header in headers]


def segment_of(path: Path, header: TraceHeader) -> Segment:
    """The stretch that one trace of a file is."""
    instrument = Instrument(header.network, header.station, header.location, header.channel[:-1])
    return Segment(path, instrument, header.channel[-1:], header.start, header.end, header.sampling_rate)


def drop_repeated(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """Keep the first of files that hold the same bytes.

    Days of a packed archive are whole blocks, and many of one size: of those the beginnings are read, where a header
    tells them apart, and only files that begin alike are read to the end.

    Returns:
        The files kept, in their order, and how many were dropped.
    """
    sizes = [path.stat().st_size for path in paths]
    beginnings = _only_repeated(sizes, lambda number: _digest(paths[number], _BEGINNING))
    contents = _only_repeated(beginnings, lambda number: _digest(paths[number]))
    kept, seen = [], set()
    for path, key in zip(paths, contents, strict=True):
        if key not in seen:
            kept.append(path)
        seen.add(key)
    return kept, len(paths) - len(kept)


def _only_repeated(keys: Sequence[Hashable], more: Callable[[int], Hashable]) -> list[tuple[Hashable, Hashable]]:
    """Keys with what tells equal ones apart, by number; one that stands alone needs no more than that."""
    counts = Counter(keys)
    return [(key, more(number) if counts[key] > 1 else number) for number, key in enumerate(keys)]


def build_index(read: Iterable[tuple[Path, list[Segment] | str]], longest_event_file: float) -> WaveformIndex:
    """Sort files by their headers into event files and continuous ones.

    Args:
        read: Each file with what :func:`read_segments` returned.
        longest_event_file: Files up to this many seconds are one event each, longer ones continuous; 0 for none.
    """
    index = WaveformIndex()
    parts: dict[Instrument, list[EventPart]] = defaultdict(list)
    for path, segments in read:
        if isinstance(segments, str):
            index.skipped.append((path, segments))
            continue
        start, end = min(segment.start for segment in segments), max(segment.end for segment in segments)
        index.spans[path] = (start, end)
        by_instrument: dict[Instrument, list[Segment]] = defaultdict(list)
        for segment in segments:
            by_instrument[segment.instrument].append(segment)
        for instrument, held in by_instrument.items():
            if not longest_event_file or end - start > longest_event_file * 1e9:
                index.segments.setdefault(instrument, []).extend(held)
            else:
                components = tuple(dict.fromkeys(segment.component for segment in held))
                times = (min(segment.start for segment in held), max(segment.end for segment in held))
                parts[instrument].append(EventPart(instrument, (path,), components, *times))
    for instrument in parts:
        index.event_parts.extend(_join_parts(parts[instrument]))
    index.event_parts.sort(key=lambda part: (part.paths[0], part.instrument))
    index.close()
    return index


def place_segments(segments: Sequence[Segment], longest_gap: float = 0.0) -> list[Place]:
    """Places of one channel's segments, in order of start; see :func:`seisml.waveforms.joining.place_pieces`."""
    return place_pieces([(s.start, s.n_samples, plain_rate(s.sampling_rate)) for s in segments], longest_gap)


def _join_parts(parts: list[EventPart]) -> list[EventPart]:
    """Join parts that complement each other: other components over the same time from other files."""
    parts.sort(key=lambda part: (part.start, part.paths))
    joined: list[EventPart] = []
    for part in parts:
        for other in reversed(joined):
            if part.start - other.start > _JOIN_SECONDS * 1e9:
                joined.append(part)
                break
            if abs(part.end - other.end) <= _JOIN_SECONDS * 1e9 and not set(part.components) & set(other.components):
                other.paths += part.paths
                other.components += part.components
                other.start, other.end = max(other.start, part.start), min(other.end, part.end)
                break
        else:
            joined.append(part)
    return joined


def _digest(path: Path, first: int | None = None) -> bytes:
    """Hash of a file's bytes, or of the first so many."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if first is not None:
            return hashlib.sha256(file.read(first)).digest()
        while block := file.read(2**20):
            digest.update(block)
    return digest.digest()
