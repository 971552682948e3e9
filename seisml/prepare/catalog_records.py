"""Reading planned records: from files to aligned, preprocessed components with their metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from obspy import UTCDateTime
from obspy.geodetics import gps2dist_azimuth

from seisml.catalogs.association import RecordPlan
from seisml.catalogs.stations import StationPlace
from seisml.prepare.pick_windows import WindowOptions, place_windows, window_samples
from seisml.store.tables import UNLABELED
from seisml.waveforms.process import RATE_TOLERANCE, Unusable, bandpass, cut_or_pad, detrend, join_pieces, resample
from seisml.waveforms.read import RawTrace, read_waveforms
from seisml.waveforms.record import ReadOptions, Record


@dataclass(frozen=True)
class RecordOptions:
    """How records are made.

    Attributes:
        reading: Gaps, detrend, sampling rate, band-pass and length; ``components`` are the record's, in order.
        zeros: Fill components that a record lacks with zeros.
        label: Label of every record with an event; None for the event's type.
        windows: How labelled windows are cut; None for whole records.
    """

    reading: ReadOptions
    zeros: bool = False
    label: str | None = None
    windows: WindowOptions | None = None


@dataclass(frozen=True)
class Job:
    """Records that share files, read together.

    Attributes:
        root: Folder that file names are relative to.
        plans: The records.
        quiet_from: For each, the time (ns since 1970) from which on no earlier event disturbs it.
        places: Coordinates of each record's station, None where unknown.
    """

    root: Path
    plans: Sequence[RecordPlan]
    quiet_from: Sequence[int]
    places: Sequence[StationPlace | None]


@dataclass
class Outcome:
    """What came of one planned record.

    Attributes:
        name: How messages call it.
        records: The record, or its windows; empty where there is a reason.
        reasons: Why nothing, or not every window, could be made.
        flat: Channels without any signal, which are kept.
    """

    name: str
    records: list[Record] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)


@dataclass
class _Channel:
    """One continuous channel; ``start`` in ns since 1970."""

    identity: str
    start: int
    sampling_rate: float
    samples: np.ndarray
    is_flat: bool = False


def read_job(job: Job, options: RecordOptions) -> list[Outcome]:
    """Read the records of a job; one that cannot be made is an outcome with a reason, never an exception."""
    streams = {}
    for path in dict.fromkeys(path for plan in job.plans for path in plan.paths):
        streams[path] = _read_span(path, [plan for plan in job.plans if path in plan.paths])
    outcomes = []
    for plan, quiet_from, place in zip(job.plans, job.quiet_from, job.places, strict=True):
        outcome = Outcome(plan.name)
        try:
            _make(outcome, plan, streams, quiet_from, place, options, job.root)
        except Unusable as reason:
            outcome.reasons.append(str(reason))
        outcomes.append(outcome)
    return outcomes


def _make(
    outcome: Outcome,
    plan: RecordPlan,
    streams: Mapping[Path, list[RawTrace] | str],
    quiet_from: int,
    place: StationPlace | None,
    options: RecordOptions,
    root: Path,
) -> None:
    channels = {asked: _channel(plan, letter, streams, options.reading) for asked, letter in plan.channels.items()}
    rates = sorted({channel.sampling_rate for channel in channels.values()})
    rate = options.reading.sampling_rate or rates[0]
    if options.reading.sampling_rate is None and rates[-1] / rates[0] - 1 > RATE_TOLERANCE:
        raise Unusable(f"components of {rates[0]:g} and {rates[-1]:g} Hz; --sampling-rate would bring them to one")
    for channel in channels.values():
        _process(channel, rate, options.reading)
    outcome.flat = [channel.identity for channel in channels.values() if channel.is_flat]
    waveform, start, padded = _aligned(plan, list(channels.values()), rate, options.reading.length)
    names = {asked: channel.identity for asked, channel in channels.items()}
    if options.zeros:
        order = options.reading.components or "".join(channels)
        row_of = {asked: row for asked, row in zip(channels, waveform, strict=True)}
        waveform = np.stack([row_of.get(asked, np.zeros_like(waveform[0])) for asked in order])
        names = {asked: names.get(asked, "") for asked in order}
    columns = _columns(plan, names, rate, place, options, root)
    if options.windows is None:
        times = {"trace_start_time": str(UTCDateTime(ns=start)), **_arrivals(plan, start, rate, 0, waveform.shape[1])}
        outcome.records.append(Record(waveform, {**columns, **times}, len(outcome.flat), padded))
        return
    p_sample = None if plan.p is None else (plan.p.time.ns - start) * 1e-9 * rate
    if p_sample is not None and not 0 <= p_sample < waveform.shape[1]:
        raise Unusable("its P pick lies outside the record")
    key = f"{columns['trace_source_file']}|{plan.source_id}|{plan.instrument}"
    quiet_sample = (quiet_from - start) * 1e-9 * rate
    windows, outcome.reasons = place_windows(waveform.shape[1], rate, p_sample, options.windows, key, quiet_sample)
    length = window_samples(options.windows.length, rate)
    for window in windows:
        times = {
            "trace_category": window.label or UNLABELED,
            "trace_start_time": str(UTCDateTime(ns=start + round(window.start / rate * 1e9))),
            **_arrivals(plan, start, rate, window.start, length),
        }
        part = waveform[:, window.start : window.start + length]
        outcome.records.append(Record(part, {**columns, **times}, int((np.ptp(part, axis=1) == 0).sum())))


def _read_span(path: Path, plans: Sequence[RecordPlan]) -> list[RawTrace] | str:
    """Read a file, only the time that the plans need where these are windows; or the reason why not."""
    span = None
    if all(plan.is_window for plan in plans):
        span = min(plan.start for plan in plans) - 10**9, max(plan.end for plan in plans) + 10**9
    try:
        file = read_waveforms(path, span)
    except Unusable as reason:
        return str(reason)
    return file.lost or file.traces


def _channel(
    plan: RecordPlan, letter: str, streams: Mapping[Path, list[RawTrace] | str], reading: ReadOptions
) -> _Channel:
    """Join the pieces of one channel, within the window where the record is one."""
    own = plan.instrument
    identity = f"{own.network}.{own.station}.{own.location}.{own.band}{letter}"
    pieces, rates = [], set()
    for path in plan.paths:
        stream = streams[path]
        if isinstance(stream, str):
            raise Unusable(stream if len(plan.paths) == 1 else f"{path.name}: {stream}")
        for trace in stream:
            if trace.id != identity:
                continue
            rate = float(f"{trace.sampling_rate:.7g}")  # 99.999998 Hz is float32's 100 Hz
            start, samples = trace.start, np.asarray(trace.samples, dtype=float)
            if plan.is_window:
                first = max(0, round((plan.start - start) * 1e-9 * rate))
                samples = samples[first : max(first, round((plan.end - start) * 1e-9 * rate) + 1)]
                start += round(first / rate * 1e9)
            if len(samples):
                rates.add(rate)
                pieces.append((start, samples))
    if not pieces:
        raise Unusable(f"no samples of {identity} within the window")
    if max(rates) / min(rates) - 1 > RATE_TOLERANCE:
        raise Unusable(f"the sampling rate of {identity} changes")
    start, samples, _ = join_pieces(pieces, max(rates), reading.fill_gaps, identity)
    if not np.isfinite(samples).all():
        raise Unusable(f"NaN or infinite samples in {identity}")
    return _Channel(identity, start, max(rates), samples, bool(np.ptp(samples) == 0))


def _process(channel: _Channel, rate: float, reading: ReadOptions) -> None:
    """Detrend, resample and filter, in the order of ``seisml prepare folder``."""
    if reading.detrend:
        channel.samples = detrend(channel.samples, reading.detrend)
    channel.samples = resample(channel.samples, channel.sampling_rate, rate)
    if reading.bandpass:
        channel.samples = bandpass(channel.samples, rate, *reading.bandpass)
    channel.sampling_rate = rate
    if channel.is_flat and (reading.detrend or reading.bandpass):
        channel.samples[:] = 0.0  # not the rounding errors of a filter, which would look like noise once normalised


def _aligned(
    plan: RecordPlan, channels: Sequence[_Channel], rate: float, length: float | None
) -> tuple[np.ndarray, int, float]:
    """Cut the channels to their common time, or to the window, which they must cover (to half a sample).

    Returns:
        (C, T) float32, the time of its first sample (ns), seconds of zeros appended.
    """
    start = plan.start if plan.is_window else max(channel.start for channel in channels)
    firsts = [round((start - channel.start) * 1e-9 * rate) for channel in channels]
    at_hand = min(len(channel.samples) - first for channel, first in zip(channels, firsts, strict=True))
    n_samples = round((plan.end - plan.start) * 1e-9 * rate) if plan.is_window else at_hand
    if n_samples < 1:
        raise Unusable("its components do not overlap in time")
    if min(firsts) < 0 or at_hand < n_samples:
        covered = max(0, min(at_hand, n_samples) + min(0, *firsts)) / rate
        raise Unusable(f"the data cover {covered:.1f} of the {n_samples / rate:.1f} s around the event")
    if length is not None:
        n_samples = max(1, round(length * rate))
    rows = [cut_or_pad(channel.samples, first, n_samples) for channel, first in zip(channels, firsts, strict=True)]
    begin = channels[0].start + round(firsts[0] / rate * 1e9)
    return np.stack(rows).astype(np.float32), begin, max(0, n_samples - at_hand) / rate


def _columns(
    plan: RecordPlan,
    names: Mapping[str, str],
    rate: float,
    place: StationPlace | None,
    options: RecordOptions,
    root: Path,
) -> dict[str, Any]:
    """Columns of the record, but for times and picks."""
    path, event, own = plan.paths[0], plan.event, plan.instrument
    row: dict[str, Any] = {
        "trace_category": UNLABELED if event is None else options.label or event.event_type or "earthquake",
        "trace_source_file": path.relative_to(root).as_posix() if root.is_dir() else path.name,
        "trace_sampling_rate_hz": rate,
        "trace_component_order": "".join(names),
        "trace_channels": ";".join(names.values()),
        "station_network_code": own.network,
        "station_code": own.station,
        "station_location_code": own.location,
        **(event.metadata() if event else {}),
        "source_id": plan.source_id,
    }
    if place is not None:
        row |= {"station_latitude_deg": round(place.latitude, 6), "station_longitude_deg": round(place.longitude, 6)}
        if place.elevation is not None:
            row["station_elevation_m"] = place.elevation
        if event is not None and event.latitude is not None and event.longitude is not None:
            path_of_rays = (event.latitude, event.longitude, place.latitude, place.longitude)
            metres, _, back_azimuth = gps2dist_azimuth(*path_of_rays)
            row |= {"path_ep_distance_km": round(metres / 1000.0, 3), "path_back_azimuth_deg": round(back_azimuth, 2)}
    return row


def _arrivals(plan: RecordPlan, start: int, rate: float, first: int, n_samples: int) -> dict[str, Any]:
    """Pick columns of the stretch [first, first + n_samples) of a record that starts at ``start`` (ns)."""
    columns: dict[str, Any] = {}
    for phase, pick in (("p", plan.p), ("s", plan.s)):
        sample = None if pick is None else (pick.time.ns - start) * 1e-9 * rate - first
        if sample is not None and 0 <= sample <= n_samples - 1:
            columns[f"trace_{phase}_arrival_sample"] = round(sample, 3)
            columns[f"trace_{phase}_status"] = pick.status or None
            columns[f"trace_{phase}_phase_hint"] = pick.hint
    return columns
