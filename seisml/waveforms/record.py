"""One file that ObsPy reads, or several -> one record (C, T) for the store, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seisml.waveforms.channels import Channel, CommonWindow, common_rate, common_window, finish
from seisml.waveforms.components import component_letters
from seisml.waveforms.joining import Fill, join_pieces
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import RATE_TOLERANCE, Unusable, plain_rate
from seisml.waveforms.read import first_line, read_waveforms
from seisml.waveforms.sac_header import DepthUnit, shared_facts
from seisml.waveforms.traces import Bounds, RawTrace

_COMPONENTS = ("Z", "N", "E", "1", "2", "3")  # in this order


@dataclass
class Record:
    """A recording ready for the store.

    Attributes:
        waveform: (C, T) float32.
        metadata: SeisBench columns that the files tell.
        n_dead: Traces that are constant.
        padded: Seconds of zeros appended, 0 for none.
        notes: Further things done to it, for the closing table.
        left_out: Its files that could not be used, with the reason.
    """

    waveform: np.ndarray
    metadata: dict[str, Any]
    n_dead: int = 0
    padded: float = 0.0
    notes: list[str] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)


def read_record(
    path: str | Path | Sequence[Path],
    preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    sac_depth: DepthUnit = "km",
) -> Record:
    """Read one file, or several of one event or station, and make them a record.

    Traces are joined where they continue each other, and after preprocessing are one window that starts at the latest
    start of a trace. Of several files, one that cannot be used is left out.

    Args:
        path: A waveform file of any format ObsPy reads, or several.
        preprocessing: What to do to it.
        bounds: What is too much to be meant, of all files together.
        sac_depth: Unit of the source depth in SAC headers.

    Returns:
        The record; all traces of the file in the file's order, of several files by station and component (Z, N, E, 1,
        2, 3, others), or the chosen components.

    Raises:
        Unusable: With a short reason, where the file is not a waveform file, damaged, has gaps, NaN or mixed rates...;
            of several files, where none can be used, or they do not fit together.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else list(path)
    return _record(_read_files(paths, preprocessing, bounds), preprocessing, bounds, sac_depth)


def record_of(
    traces: Sequence[RawTrace],
    preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> Record:
    """Make a record of traces in memory, as :func:`read_record` does of those of one file."""
    joined, filled = _continuous(_channels(traces), preprocessing.gaps, bounds)
    return _record(_Files(joined, [], filled), preprocessing, bounds, "km")


def _record(files: _Files, preprocessing: Preprocessing, bounds: Bounds, sac_depth: DepthUnit) -> Record:
    from obspy import UTCDateTime  # slow to import, and not needed by who only reads the help

    traces = files.traces
    notes = files.notes + (["gaps filled"] if files.filled else [])
    if preprocessing.components:
        traces = _choose_components(traces, preprocessing.components)
    _check_samples(traces)
    rate = common_rate(traces, preprocessing.sampling_rate)
    longest = max(len(trace.samples) / trace.sampling_rate for trace in traces)
    bounds.check(max(longest, preprocessing.length or 0.0) * rate * len(traces))
    window, dead = common_window(traces, rate, preprocessing), [trace.is_dead for trace in traces]
    notes += ["traces of unequal start or length trimmed to their common window"] if window.trimmed else []
    begin = str(UTCDateTime(ns=window.start))
    metadata = {"trace_start_time": begin, "trace_sampling_rate_hz": rate, **describe_traces(traces)}
    notes += _add_facts(metadata, traces, window, rate, sac_depth)
    waveform = finish(window.rows, window.n_samples, preprocessing, dead)
    return Record(waveform, metadata, sum(dead), window.padded, notes, files.left_out)


def try_record(
    paths: Sequence[Path], preprocessing: Preprocessing, bounds: Bounds, sac_depth: DepthUnit = "km"
) -> Record | dict[Path, str]:
    """:func:`read_record`, or the reason why each file is in no record, whatever one made it stumble over."""
    try:
        return read_record(paths, preprocessing, bounds, sac_depth)
    except _NoneUsable as error:
        return error.reasons
    except Unusable as reason:
        return dict.fromkeys(paths, str(reason))
    except Exception as error:  # of a header or samples that nobody thought of; it must not end the run
        return dict.fromkeys(paths, _stumbled(error))


def describe_traces(traces: Sequence[Channel]) -> dict[str, str]:
    """Columns that name the traces of a record.

    Args:
        traces: In the record's order.

    Returns:
        ``trace_component_order`` (component codes where they are distinct, else letters A, B, C...), ``trace_channels``
        (";"-joined ids), and station, network and location where all traces share them.
    """
    codes = [trace.component for trace in traces]
    distinct = all(codes) and len(set(codes)) == len(codes)
    names = ["" if not trace.identity.strip(".") else trace.identity for trace in traces]
    columns = {
        "trace_component_order": "".join(codes) if distinct else component_letters(len(codes)),
        "trace_channels": ";".join(names),
    }
    for i, column in enumerate(("station_network_code", "station_code", "station_location_code")):
        values = {trace.identity.split(".")[i] for trace in traces}
        columns[column] = values.pop() if len(values) == 1 else ""
    return columns


@dataclass
class _Files:
    """Unbroken channels of a record's files, and what happened on the way to them."""

    traces: list[Channel]
    notes: list[str]
    filled: bool = False
    left_out: dict[Path, str] = field(default_factory=dict)


class _NoneUsable(Unusable):
    """Of several files none could be used; ``reasons`` says why."""

    def __init__(self, reasons: dict[Path, str]) -> None:
        super().__init__("; ".join(f"{path.name}: {reason}" for path, reason in reasons.items()))
        self.reasons = reasons


def _read_files(paths: Sequence[Path], preprocessing: Preprocessing, bounds: Bounds) -> _Files:
    if len(paths) == 1:
        return _read_file(paths[0], preprocessing, bounds)
    together = _Files([], [])
    for path in paths:
        try:
            file = _read_file(path, preprocessing, bounds)
            wanted = preprocessing.components
            _check_samples([trace for trace in file.traces if not wanted or trace.component in wanted])
        except Unusable as reason:
            together.left_out[path] = str(reason)
        except Exception as error:  # as in try_record, but it costs the one file
            together.left_out[path] = _stumbled(error)
        else:
            together.traces += file.traces
            together.notes += [note for note in file.notes if note not in together.notes]
            together.filled |= file.filled
            bounds.check(sum(len(trace.samples) for trace in together.traces), f"the record of {paths[0].name}")
    if not together.traces:
        raise _NoneUsable(together.left_out)
    traces, filled = _continuous(together.traces, preprocessing.gaps, bounds)
    together.traces, together.filled = sorted(traces, key=_place), together.filled or filled
    return together


def _read_file(path: Path, preprocessing: Preprocessing, bounds: Bounds) -> _Files:
    file = read_waveforms(path, bounds=bounds)
    if file.lost:
        raise Unusable(file.lost)
    traces, filled = _continuous(_channels(file.traces), preprocessing.gaps, bounds)
    return _Files(traces, list(file.remarks), filled)


def _channels(traces: Sequence[RawTrace]) -> list[Channel]:
    return [
        Channel(
            raw.id, raw.start, plain_rate(raw.sampling_rate), np.asarray(raw.samples, dtype=float),
            headers=() if raw.sac is None else (raw.sac,),
        )
        for raw in traces
    ]  # fmt: skip


def _continuous(pieces: Sequence[Channel], fill: Fill | None, bounds: Bounds) -> tuple[list[Channel], bool]:
    """Join the pieces of each id; those without an id (SEG-2) each stand for themselves."""
    groups: dict[Any, list[Channel]] = {}
    for number, piece in enumerate(pieces):
        groups.setdefault(piece.identity if piece.identity.strip(".") else number, []).append(piece)
    traces, filled = [], False
    for group in groups.values():
        first = group[0]
        spans = {(piece.start, len(piece.samples)) for piece in group}
        if len(spans) == 1 and len(group) > 1:  # several sensors under one id
            traces += [
                piece
                for i, piece in enumerate(group)
                if not any(np.array_equal(piece.samples, other.samples) for other in group[:i])
            ]
            continue
        if any(abs(piece.sampling_rate / first.sampling_rate - 1) > RATE_TOLERANCE for piece in group):
            raise Unusable(f"the sampling rate of {first.identity} changes within the record")
        parts = [(piece.start, piece.samples) for piece in group]
        start, samples, here = join_pieces(parts, first.sampling_rate, fill, first.identity, bounds.longest_gap)
        headers = tuple(header for piece in group for header in piece.headers)
        traces.append(Channel(first.identity, start, first.sampling_rate, samples, headers=headers))
        filled |= here
    if not traces:
        raise Unusable("no samples in the file")
    return traces, filled


def _place(trace: Channel) -> tuple[str, int, str]:
    """Sorts traces by station and component."""
    place = _COMPONENTS.index(trace.component) if trace.component in _COMPONENTS else len(_COMPONENTS)
    return trace.identity.removesuffix(trace.component), place, trace.component


def _add_facts(
    metadata: dict[str, Any], traces: Sequence[Channel], window: CommonWindow, rate: float, sac_depth: DepthUnit
) -> list[str]:
    """Add the columns that SAC headers tell; returns remarks."""
    facts = shared_facts([(trace.identity.rsplit(".", 2)[0], trace.headers) for trace in traces], sac_depth)
    metadata.update(facts.columns)
    for phase, (time, kind) in facts.arrivals.items():
        sample = (time - window.start) * 1e-9 * rate
        if 0 <= sample <= window.n_samples - 1:
            metadata[f"trace_{phase}_arrival_sample"] = round(sample, 3)
            metadata[f"trace_{phase}_phase_hint"] = kind or None
    return facts.remarks


def _stumbled(error: Exception) -> str:
    return f"could not be processed ({type(error).__name__}: {first_line(error)})"


def _choose_components(traces: list[Channel], components: str) -> list[Channel]:
    """Take the wanted components of every station that has them all, in the wanted order."""
    if not any(trace.component for trace in traces):
        raise Unusable("the file has no channel codes to choose components by; leave --components out")
    stations: dict[str, dict[str, Channel]] = {}
    for trace in traces:
        station = stations.setdefault(trace.identity.rsplit(".", 1)[0], {})
        station.setdefault(trace.component, trace)
    chosen = [[found[c] for c in components] for found in stations.values() if set(components) <= set(found)]
    if not chosen:
        present = "".join(sorted({trace.component for trace in traces}))
        missing = ", ".join(c for c in components if c not in present) or f"{components} at any one station"
        raise Unusable(f"missing component {missing} (has {present})")
    return [trace for station in chosen for trace in station]


def _check_samples(traces: list[Channel]) -> None:
    for i, trace in enumerate(traces):
        if not np.isfinite(trace.samples).all():
            raise Unusable(f"NaN or infinite samples in trace {i + 1} of {len(traces)}")
        trace.is_dead = bool(np.ptp(trace.samples) == 0)
