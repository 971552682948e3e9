"""Which stations, on which days, in which files: the index of headers seen as tasks for continuous records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seisml.errors import UserError
from seisml.files import safe_name
from seisml.terminal.progress import follow
from seisml.waveforms.components import choose_sensor
from seisml.waveforms.index import Instrument, Segment, WaveformIndex, build_index, place_segments
from seisml.waveforms.isolated import read_all_segments
from seisml.waveforms.times import DAY_NS, format_day
from seisml.workers.cluster import Cluster


@dataclass(frozen=True)
class Piece:
    """Samples of one channel in one file, and their place in the stretch of the record that they belong to.

    A stretch is an unbroken part of the record, over as many files as it takes. All times come from its start, so that
    the same record gives the same samples at the same times however it is cut into files.

    Attributes:
        path: The file.
        code: Channel code.
        start: Time of the first sample, in ns since 1970.
        n_samples: Number of samples.
        sampling_rate: In Hz.
        stretch: Time of the first sample of the stretch, in ns.
        offset: Samples from there to the piece's first.
    """

    path: Path
    code: str
    start: int
    n_samples: int
    sampling_rate: float
    stretch: int
    offset: int

    @property
    def end(self) -> int:
        """Time of the last sample, in ns."""
        return self.start + round((self.n_samples - 1) * 1e9 / self.sampling_rate)


@dataclass(frozen=True)
class StationDay:
    """One instrument on one day: a task that a worker can do by itself.

    Attributes:
        instrument: Network, station, location and band of the channels.
        day: Midnight in ns since 1970.
        components: Asked component -> its pieces, those of the days before and after included where windows reach them.
        notes: Remarks on the channels.
    """

    instrument: Instrument
    day: int
    components: dict[str, tuple[Piece, ...]]
    notes: tuple[str, ...] = ()

    @property
    def stream_id(self) -> str:
        """Name of the instrument, fit for files: NET.STA.LOC.BAND, other letters than a code's as percent codes."""
        code = self.instrument
        return safe_name(code.network, code.station, code.location, code.band)

    @property
    def date(self) -> str:
        """The day as year.day-of-year, as in SDS file names."""
        return format_day(self.day)

    @property
    def name(self) -> str:
        """Name of the task."""
        return f"{self.stream_id}.{self.date}"

    def files(self) -> list[Path]:
        """The files it reads."""
        return sorted({piece.path for pieces in self.components.values() for piece in pieces})


def station_days(
    index: WaveformIndex, components: str | None, reach: float, single: bool = False, longest_gap: float = 0.0
) -> tuple[list[StationDay], list[tuple[str, str]]]:
    """List the tasks that an index holds.

    Args:
        index: Headers of all files.
        components: Components that the network takes, in its order, like ``"ZNE"``; None takes whatever is there.
        reach: Seconds beyond the day's ends in which samples are needed.
        single: The network looks at one trace at a time, so that any of the components will do.
        longest_gap: Gaps up to this many seconds are filled, and do not end a stretch.

    Returns:
        The tasks by instrument and day; and (instrument, reason) of instruments that have none.
    """
    tasks, refused = [], []
    for instrument in sorted(index.segments):
        present: dict[str, list[Segment]] = defaultdict(list)
        for segment in index.segments[instrument]:
            present[segment.component].append(segment)
        chosen = {c: c for c in sorted(present)} if components is None else choose_sensor(present, components, {})
        notes = _channel_notes(instrument, present, chosen, components, single)
        if not chosen:
            have = ", ".join(repr(instrument.band + letter) for letter in sorted(present))
            refused.append((str(instrument), f"none of the components {components} (has {have})"))
            continue
        by_day: dict[int, dict[str, list[Piece]]] = defaultdict(lambda: defaultdict(list))
        for asked, letter in chosen.items():
            for piece in join_segments(present[letter], longest_gap):
                first = (piece.start - round(reach * 1e9)) // DAY_NS
                last = (piece.end + round(reach * 1e9)) // DAY_NS
                for number in range(first, last + 1):
                    by_day[number * DAY_NS][asked].append(piece)
        for day in sorted(by_day):
            asked_for = chosen if components is None or single else components
            pieces = {asked: tuple(by_day[day].get(asked, ())) for asked in asked_for}
            if any(p.start < day + DAY_NS and p.end >= day for held in pieces.values() for p in held):
                tasks.append(StationDay(instrument, day, pieces, notes))
    return tasks, refused


def index_streams(
    streams: Iterable[str | Path],
    progress: bool = False,
    leave_out: Path | None = None,
    workers: int = 1,
    cluster: Cluster | None = None,
) -> WaveformIndex:
    """Read the headers of waveform files.

    Args:
        streams: Files of any format ObsPy reads, and folders (also an SDS archive), which are searched for files.
        progress: Show a bar.
        leave_out: A folder not to look into: the output's, where it lies within a stream's folder.
        workers: Processes that read.
        cluster: Reads in their place.

    Returns:
        The index; every file counts as continuous.

    Raises:
        UserError: A path is missing, or there is no waveform at all.
    """
    paths = list_files(streams)
    if leave_out is not None:
        paths = [path for path in paths if not path.is_relative_to(leave_out.resolve())]
    read = follow(read_all_segments(paths, workers, cluster), "reading headers", "file", len(paths), shown=progress)
    index = build_index(zip(paths, read, strict=True), longest_event_file=0.0)
    if not index.spans:
        path, reason = index.skipped[0] if index.skipped else (None, "")
        what = f"{path}: {reason}" if path else f"no file in {', '.join(map(str, streams))}"
        raise UserError(f"no waveform to predict on ({what}); give miniSEED or SAC files, folders or an SDS archive")
    return index


def list_files(streams: Iterable[str | Path]) -> list[Path]:
    """List the files that paths name; folders are searched, hidden files left out."""
    paths: list[Path] = []
    for stream in streams:
        path = Path(stream)
        if path.is_dir():
            found = (p for p in path.rglob("*") if not any(part.startswith(".") for part in p.relative_to(path).parts))
            paths.extend(sorted(p for p in found if p.is_file()))
        elif path.is_file():
            paths.append(path)
        else:
            raise UserError(f"{path}: no such file or folder; give miniSEED or SAC files, folders or an SDS archive")
    return list(dict.fromkeys(path.resolve() for path in paths))


def join_segments(segments: Iterable[Segment], longest_gap: float = 0.0) -> list[Piece]:
    """Give the segments of one channel their places in unbroken stretches."""
    ordered = sorted(segments, key=lambda s: (s.start, s.path))
    return [
        Piece(
            s.path, s.instrument.band + s.component, s.start, s.n_samples, place.sampling_rate, place.stretch,
            place.offset,
        )
        for s, place in zip(ordered, place_segments(ordered, longest_gap), strict=True)
    ]  # fmt: skip


def _channel_notes(
    instrument: Instrument,
    present: Mapping[str, list[Segment]],
    chosen: dict[str, str],
    components: str | None,
    single: bool,
) -> tuple[str, ...]:
    band, notes = instrument.band, []
    renamed = [f"{band}{letter} as {asked}" for asked, letter in chosen.items() if asked != letter]
    if renamed:
        notes.append(f"took {', '.join(renamed)}")
    extra = sorted(set(present) - set(chosen.values()))
    if extra:
        notes.append(f"did not use {', '.join(band + letter for letter in extra)}")
    lacking = [c for c in components or "" if c not in chosen]
    if lacking and not single:
        notes.append(f"no component {', '.join(lacking)}")
    return tuple(notes)
