"""One file that ObsPy reads -> one record (C, T) for the store, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seisml.waveforms.channels import Channel, common_rate, common_window, finish
from seisml.waveforms.components import component_letters
from seisml.waveforms.joining import Fill, join_pieces
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import RATE_TOLERANCE, Unusable, plain_rate
from seisml.waveforms.read import Bounds, RawTrace, first_line, read_waveforms


@dataclass
class Record:
    """A recording ready for the store.

    Attributes:
        waveform: (C, T) float32.
        metadata: SeisBench columns that the file tells.
        n_dead: Traces that are constant.
        padded: Seconds of zeros appended, 0 for none.
        notes: Further things done to it, for the closing table.
    """

    waveform: np.ndarray
    metadata: dict[str, Any]
    n_dead: int = 0
    padded: float = 0.0
    notes: list[str] = field(default_factory=list)


def read_record(
    path: str | Path,
    preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> Record:
    """Read one file and make it a record.

    Traces are joined where they continue each other, and after preprocessing are one window that starts at the latest
    start of a trace.

    Args:
        path: A waveform file of any format ObsPy reads.
        preprocessing: What to do to it.
        bounds: What is too much to be meant.

    Returns:
        The record; all traces of the file in the file's order, or the chosen components.

    Raises:
        Unusable: With a short reason, where the file is no waveform file, damaged, has gaps, NaN or mixed rates...
    """
    from obspy import UTCDateTime  # slow to import, and not needed by who only reads the help

    file = read_waveforms(path, bounds=bounds)
    if file.lost:
        raise Unusable(file.lost)
    traces, filled = _continuous_traces(file.traces, preprocessing.gaps, bounds)
    notes = file.remarks + (["gaps filled"] if filled else [])
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
    waveform = finish(window.rows, window.n_samples, preprocessing, dead)
    return Record(waveform, metadata, sum(dead), window.padded, notes)


def try_record(path: Path, preprocessing: Preprocessing, bounds: Bounds) -> Record | str:
    """:func:`read_record`, or the reason why there is no record, whatever the file made it stumble over."""
    try:
        return read_record(path, preprocessing, bounds)
    except Unusable as reason:
        return str(reason)
    except Exception as error:  # of a header or samples that nobody thought of; it must not end the run
        return f"could not be processed ({type(error).__name__}: {first_line(error)})"


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


def _continuous_traces(raw: Sequence[RawTrace], fill: Fill | None, bounds: Bounds) -> tuple[list[Channel], bool]:
    """Join the pieces of each id; traces without an id (SEG-2) each stand for themselves."""
    groups: dict[Any, list[RawTrace]] = {}
    for number, trace in enumerate(raw):
        groups.setdefault(trace.id if trace.id.strip(".") else number, []).append(trace)
    traces, filled = [], False
    for pieces in groups.values():
        identity = pieces[0].id
        rate = plain_rate(pieces[0].sampling_rate)
        spans = {(piece.start, piece.n_samples) for piece in pieces}
        if len(spans) == 1 and len(pieces) > 1:  # several sensors under one id
            samples = [piece.samples for piece in pieces]
            distinct = [x for i, x in enumerate(samples) if not any(np.array_equal(x, y) for y in samples[:i])]
            traces += [Channel(identity, pieces[0].start, rate, np.asarray(x, dtype=float)) for x in distinct]
            continue
        if any(abs(piece.sampling_rate / rate - 1) > RATE_TOLERANCE for piece in pieces):
            raise Unusable(f"the sampling rate of {identity} changes within the file")
        parts = [(piece.start, np.asarray(piece.samples, dtype=float)) for piece in pieces]
        start, samples, here = join_pieces(parts, rate, fill, identity, bounds.longest_gap)
        traces.append(Channel(identity, start, rate, samples))
        filled |= here
    if not traces:
        raise Unusable("no samples in the file")
    return traces, filled


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
