"""One file that ObsPy reads -> one record (C, T) for the store, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seisml.waveforms.components import component_letters
from seisml.waveforms.process import RATE_TOLERANCE, Unusable, bandpass, cut_or_pad, detrend, join_pieces, resample
from seisml.waveforms.read import Bounds, RawTrace, read_waveforms


@dataclass(frozen=True)
class ReadOptions:
    """What is done to each recording.

    Attributes:
        sampling_rate: Resample to this rate in Hz; None keeps the file's.
        length: Cut or pad to this many seconds; None keeps the common window of the traces.
        detrend: ``"constant"`` removes each trace's mean, ``"linear"`` its trend.
        bandpass: Corners in Hz of a zero-phase Butterworth filter.
        components: Component codes to take, in this order, like ``"ZNE"``; None takes every trace.
        fill_gaps: Put zeros or a straight line into gaps; None refuses recordings with gaps.
    """

    sampling_rate: float | None = None
    length: float | None = None
    detrend: Literal["constant", "linear"] | None = None
    bandpass: tuple[float, float] | None = None
    components: str | None = None
    fill_gaps: Literal["zero", "interpolate"] | None = None


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


@dataclass
class _Trace:
    """One continuous trace; ``start`` in nanoseconds."""

    identity: str
    start: int
    sampling_rate: float
    samples: np.ndarray
    dead: bool = False

    @property
    def component(self) -> str:
        return self.identity.rsplit(".", 1)[-1][-1:]


def read_record(
    path: str | Path,
    options: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> Record:
    """Read one file and make it a record.

    Traces are joined where they continue each other, detrended, resampled, filtered, and cut to one window that starts
    at the latest start of a trace.

    Args:
        path: A waveform file of any format ObsPy reads.
        options: What to do to it.
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
    traces, filled = _continuous_traces(file.traces, options.fill_gaps, bounds)
    notes = file.remarks + (["gaps filled"] if filled else [])
    if options.components:
        traces = _choose_components(traces, options.components)
    _check_samples(traces)
    rate = _common_rate(traces, options.sampling_rate)
    longest = max(len(trace.samples) / trace.sampling_rate for trace in traces)
    bounds.check(max(longest, options.length or 0.0) * rate * len(traces))
    for trace in traces:
        _process(trace, rate, options)
    waveform, start, padded, trimmed = _one_window(traces, rate, options.length)
    notes += ["traces of unequal start or length trimmed to their common window"] if trimmed else []
    begin = str(UTCDateTime(ns=start))
    metadata = {"trace_start_time": begin, "trace_sampling_rate_hz": rate, **describe_traces(traces)}
    return Record(waveform, metadata, sum(trace.dead for trace in traces), padded, notes)


def describe_traces(traces: list[Any]) -> dict[str, str]:
    """Columns that name the traces of a record.

    Args:
        traces: Objects with ``identity`` ("NET.STA.LOC.CHA", "..." where unknown) and ``component``.

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


def _continuous_traces(
    raw: Sequence[RawTrace], fill: Literal["zero", "interpolate"] | None, bounds: Bounds
) -> tuple[list[_Trace], bool]:
    """Join the pieces of each id; traces without an id (SEG-2) each stand for themselves."""
    groups: dict[Any, list[RawTrace]] = {}
    for number, trace in enumerate(raw):
        groups.setdefault(trace.id if trace.id.strip(".") else number, []).append(trace)
    traces, filled = [], False
    for pieces in groups.values():
        identity = pieces[0].id
        rate = float(f"{pieces[0].sampling_rate:.7g}")  # 99.999998 Hz is float32's 100 Hz
        spans = {(piece.start, piece.n_samples) for piece in pieces}
        if len(spans) == 1 and len(pieces) > 1:  # several sensors under one id
            samples = [piece.samples for piece in pieces]
            distinct = [x for i, x in enumerate(samples) if not any(np.array_equal(x, y) for y in samples[:i])]
            traces += [_Trace(identity, pieces[0].start, rate, np.asarray(x, dtype=float)) for x in distinct]
            continue
        if any(abs(piece.sampling_rate / rate - 1) > RATE_TOLERANCE for piece in pieces):
            raise Unusable(f"the sampling rate of {identity} changes within the file")
        parts = [(piece.start, np.asarray(piece.samples, dtype=float)) for piece in pieces]
        start, samples, here = join_pieces(parts, rate, fill, identity, bounds.longest_gap)
        traces.append(_Trace(identity, start, rate, samples))
        filled |= here
    if not traces:
        raise Unusable("no samples in the file")
    return traces, filled


def _choose_components(traces: list[_Trace], components: str) -> list[_Trace]:
    """Take the wanted components of every station that has them all, in the wanted order."""
    if not any(trace.component for trace in traces):
        raise Unusable("the file has no channel codes to choose components by; leave --components out")
    stations: dict[str, dict[str, _Trace]] = {}
    for trace in traces:
        station = stations.setdefault(trace.identity.rsplit(".", 1)[0], {})
        station.setdefault(trace.component, trace)
    chosen = [[found[c] for c in components] for found in stations.values() if set(components) <= set(found)]
    if not chosen:
        present = "".join(sorted({trace.component for trace in traces}))
        missing = ", ".join(c for c in components if c not in present) or f"{components} at any one station"
        raise Unusable(f"missing component {missing} (has {present})")
    return [trace for station in chosen for trace in station]


def _check_samples(traces: list[_Trace]) -> None:
    for i, trace in enumerate(traces):
        if not np.isfinite(trace.samples).all():
            raise Unusable(f"NaN or infinite samples in trace {i + 1} of {len(traces)}")
        trace.dead = bool(np.ptp(trace.samples) == 0)
    if all(trace.dead for trace in traces):
        raise Unusable("dead: all samples of every trace are the same")


def _common_rate(traces: list[_Trace], wanted: float | None) -> float:
    rates = sorted({trace.sampling_rate for trace in traces})
    if wanted is None and rates[-1] / rates[0] - 1 > RATE_TOLERANCE:
        listed = ", ".join(f"{rate:.10g}" for rate in rates)
        raise Unusable(f"mixed sampling rates ({listed} Hz); --sampling-rate would bring them to one")
    return wanted if wanted is not None else traces[0].sampling_rate


def _process(trace: _Trace, rate: float, options: ReadOptions) -> None:
    if options.detrend:
        trace.samples = detrend(trace.samples, options.detrend)
    trace.samples = resample(trace.samples, trace.sampling_rate, rate)
    if options.bandpass:
        trace.samples = bandpass(trace.samples, rate, *options.bandpass)
    trace.sampling_rate = rate
    if trace.dead and (options.detrend or options.bandpass):
        trace.samples[:] = 0.0  # not the rounding errors of a filter, which would look like noise once normalised


def _one_window(traces: list[_Trace], rate: float, length: float | None) -> tuple[np.ndarray, int, float, bool]:
    """Cut all traces to one window: (C, T), its start in ns, seconds of zeros appended, whether spans differed."""
    start = max(trace.start for trace in traces)
    firsts = [round((start - trace.start) * 1e-9 * rate) for trace in traces]
    left = [len(trace.samples) - first for trace, first in zip(traces, firsts, strict=True)]
    if min(left) < 1:
        raise Unusable("its traces do not overlap in time")
    n_samples = max(1, round(length * rate)) if length is not None else min(left)
    rows = [cut_or_pad(trace.samples, first, n_samples) for trace, first in zip(traces, firsts, strict=True)]
    padded = max(0, n_samples - min(left)) / rate
    trimmed = length is None and (max(firsts) > 0 or max(left) > min(left))
    return np.stack(rows).astype(np.float32), start, padded, trimmed
