"""Reading planned records: from files to aligned, preprocessed components with their metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from obspy import UTCDateTime
from obspy.geodetics import gps2dist_azimuth

from seisml.catalogs.association import RecordPlan
from seisml.catalogs.stations import StationPlace
from seisml.prepare.outcome import Outcome
from seisml.prepare.pick_windows import WindowOptions, place_windows, window_samples
from seisml.store.tables import UNLABELED
from seisml.waveforms.channels import Channel, CommonWindow, common_rate, common_window, finish
from seisml.waveforms.joining import join_around, join_pieces
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import RATE_TOLERANCE, Unusable, plain_rate
from seisml.waveforms.read import first_line, read_waveforms
from seisml.waveforms.record import Record
from seisml.waveforms.traces import Bounds, RawTrace


@dataclass(frozen=True)
class RecordOptions:
    """How records are made.

    Attributes:
        preprocessing: What is done to each; ``components`` are the record's, in order, ``length`` is the windows' where
            there are any.
        zeros: Fill components that a record lacks with zeros.
        label: Label of every record with an event; None for the event's type.
        windows: How labelled windows are cut; None for whole records.
        bounds: What is too much to be read.
    """

    preprocessing: Preprocessing
    zeros: bool = False
    label: str | None = None
    windows: WindowOptions | None = None
    bounds: Bounds = Bounds()


@dataclass(frozen=True)
class Job:
    """Records that share files, read together.

    Attributes:
        root: Folder that file names are relative to.
        plans: The records.
        quiet_from: For each, the time (ns since 1970) from which on no earlier event disturbs it.
        places: Coordinates of each record's station, None where unknown.
        bad: Files not to touch, with the reason.
    """

    root: Path
    plans: Sequence[RecordPlan]
    quiet_from: Sequence[int]
    places: Sequence[StationPlace | None]
    bad: Mapping[Path, str] = field(default_factory=dict)

    def paths(self) -> list[Path]:
        """The files it reads, each once."""
        return list(dict.fromkeys(path for plan in self.plans for path in (*plan.paths, *plan.beside)))


def read_job(job: Job, options: RecordOptions) -> list[Outcome]:
    """Read the records of a job; one that cannot be made is an outcome with a reason, never an exception."""
    streams = {path: job.bad.get(path) or _read_span(job, path, options.bounds) for path in job.paths()}
    outcomes = []
    for plan, quiet_from, place in zip(job.plans, job.quiet_from, job.places, strict=True):
        outcome = Outcome(plan.name)
        try:
            _make(outcome, plan, streams, quiet_from, place, options, job.root)
        except Unusable as reason:
            outcome.reasons.append(str(reason))
        except Exception as error:  # of a header or samples that nobody thought of; it must not end the run
            outcome.reasons.append(f"could not be processed ({type(error).__name__}: {first_line(error)})")
        outcomes.append(outcome)
    return outcomes


def try_file(job: Job, path: Path, bounds: Bounds) -> None:
    """Read one of a job's files and do nothing with it: whoever calls it wants to know whether that is survived."""
    _read_span(job, path, bounds)


def _make(
    outcome: Outcome,
    plan: RecordPlan,
    streams: Mapping[Path, list[RawTrace] | str],
    quiet_from: int,
    place: StationPlace | None,
    options: RecordOptions,
    root: Path,
) -> None:
    steps = options.preprocessing
    channels = {asked: _channel(plan, letter, streams, options) for asked, letter in plan.channels.items()}
    rate = common_rate(list(channels.values()), steps.sampling_rate)
    longest = max(len(channel.samples) / channel.sampling_rate for channel in channels.values())
    options.bounds.check(max(longest, steps.length or 0.0) * rate * len(channels))
    outcome.flat = [channel.identity for channel in channels.values() if channel.is_dead]
    whole = replace(steps, length=None) if options.windows else steps  # the length is that of the windows within
    cut = _event_window if plan.is_window else _event_file
    window = cut(plan, list(channels.values()), rate, whole)
    names = {asked: channel.identity for asked, channel in channels.items()}
    rows, dead = window.rows, [channel.is_dead for channel in channels.values()]
    if options.zeros:
        order = steps.components or "".join(channels)
        row_of = dict(zip(channels, zip(rows, dead, strict=True), strict=True))
        rows, dead = zip(*(row_of.get(asked, (np.zeros(window.n_samples), True)) for asked in order), strict=True)
        names = {asked: names.get(asked, "") for asked in order}
    columns = _columns(plan, names, rate, place, options, root)
    start = window.start
    if options.windows is None:
        times = {"trace_start_time": str(UTCDateTime(ns=start)), **_arrivals(plan, start, rate, 0, window.n_samples)}
        waveform = finish(rows, window.n_samples, steps, dead)
        outcome.records.append(Record(waveform, {**columns, **times}, len(outcome.flat), window.padded))
        return
    p_sample = None if plan.p is None else (plan.p.time.ns - start) * 1e-9 * rate
    if p_sample is not None and not 0 <= p_sample < window.n_samples:
        raise Unusable("its P pick lies outside the record")
    key = f"{columns['trace_source_file']}|{plan.source_id}|{plan.instrument}"
    quiet_sample = (quiet_from - start) * 1e-9 * rate
    windows, outcome.reasons = place_windows(window.n_samples, rate, p_sample, options.windows, key, quiet_sample)
    length = window_samples(options.windows.length, rate)
    for placed in windows:
        times = {
            "trace_category": placed.label or UNLABELED,
            "trace_start_time": str(UTCDateTime(ns=start + round(placed.start / rate * 1e9))),
            **_arrivals(plan, start, rate, placed.start, length),
        }
        waveform = finish([row[placed.start : placed.start + length] for row in rows], length, steps, dead)
        n_dead = int((np.ptp(waveform, axis=1) == 0).sum())
        outcome.records.append(Record(waveform, {**columns, **times}, n_dead))


def _read_span(job: Job, path: Path, bounds: Bounds) -> list[RawTrace] | str:
    """Read a file, only the time that the plans need where these are windows; or the reason why not."""
    plans, span = [plan for plan in job.plans if path in (*plan.paths, *plan.beside)], None
    if all(plan.is_window for plan in plans):
        starts, ends = [plan.start - plan.margin for plan in plans], [plan.end + plan.margin for plan in plans]
        span = min(starts) - 10**9, max(ends) + 10**9
    try:
        file = read_waveforms(path, span, bounds)
    except Unusable as reason:
        return str(reason)
    return file.lost or file.traces


def _channel(
    plan: RecordPlan, letter: str, streams: Mapping[Path, list[RawTrace] | str], options: RecordOptions
) -> Channel:
    """Join the pieces of one channel; of a window those in it, and what goes on beside it for filters to settle."""
    steps, identity = options.preprocessing, plan.instrument.channel_id(letter)
    pieces, rates = [], set()
    for path in (*plan.paths, *plan.beside):
        stream = streams[path]
        if isinstance(stream, str):
            if path in plan.beside:  # ends the stretch there, and costs the window nothing
                continue
            raise Unusable(stream if len(plan.paths) == 1 else f"{path.name}: {stream}")
        for trace in stream:
            if trace.id != identity:
                continue
            rate = plain_rate(trace.sampling_rate)
            start, samples = trace.start, np.asarray(trace.samples, dtype=float)
            if plan.is_window:
                first = max(0, round((plan.start - plan.margin - start) * 1e-9 * rate))
                samples = samples[first : max(first, round((plan.end + plan.margin - start) * 1e-9 * rate) + 1)]
                start += round(first / rate * 1e9)
            if len(samples):
                rates.add(rate)
                pieces.append((start, samples))
    if not pieces:
        raise Unusable(f"no samples of {identity} within the window")
    if max(rates) / min(rates) - 1 > RATE_TOLERANCE:
        raise Unusable(f"the sampling rate of {identity} changes")
    if plan.is_window:
        start, samples = join_around(pieces, max(rates), (plan.start, plan.end), steps.gaps, identity)
    else:
        start, samples, _ = join_pieces(pieces, max(rates), steps.gaps, identity, options.bounds.longest_gap)
    if not np.isfinite(samples).all():
        raise Unusable(f"NaN or infinite samples in {identity}")
    rate, inside = max(rates), samples
    if plan.is_window:
        inside = samples[max(0, round((plan.start - start) * 1e-9 * rate)) : round((plan.end - start) * 1e-9 * rate)]
    return Channel(identity, start, rate, samples, bool(np.ptp(inside) == 0) if len(inside) else False)


def _event_file(plan: RecordPlan, channels: Sequence[Channel], rate: float, steps: Preprocessing) -> CommonWindow:
    """The channels of an event file over their common time."""
    return common_window(channels, rate, steps)


def _event_window(plan: RecordPlan, channels: Sequence[Channel], rate: float, steps: Preprocessing) -> CommonWindow:
    """The channels over the window, which they must cover (to half a sample)."""
    n_samples = round((plan.end - plan.start) * 1e-9 * rate)
    firsts = [round((plan.start - channel.start) * 1e-9 * channel.sampling_rate) for channel in channels]
    late = max(0.0, *(-first / channel.sampling_rate for channel, first in zip(channels, firsts, strict=True)))
    rows = [
        steps.part(channel.samples, channel.sampling_rate, max(0, first), n_samples)
        for channel, first in zip(channels, firsts, strict=True)
    ]
    at_hand = min(map(len, rows))
    if late or at_hand < n_samples:
        covered = max(0.0, at_hand / rate - late)
        raise Unusable(f"the data cover {covered:.1f} of the {n_samples / rate:.1f} s around the event")
    begin = channels[0].start + round(firsts[0] / channels[0].sampling_rate * 1e9)
    if steps.length is None:
        return CommonWindow(rows, begin, n_samples)
    wanted = max(1, round(steps.length * rate))
    return CommonWindow([row[:wanted] for row in rows], begin, wanted, max(0, wanted - n_samples) / rate)


def _columns(
    plan: RecordPlan,
    names: Mapping[str, str],
    rate: float,
    place: StationPlace | None,
    options: RecordOptions,
    root: Path,
) -> dict[str, Any]:
    """Columns of the record, but for times and picks."""
    path, event, instrument = plan.paths[0], plan.event, plan.instrument
    row: dict[str, Any] = {
        "trace_category": UNLABELED if event is None else options.label or event.event_type or "earthquake",
        "trace_source_file": path.relative_to(root).as_posix() if root.is_dir() else path.name,
        "trace_sampling_rate_hz": rate,
        "trace_component_order": "".join(names),
        "trace_channels": ";".join(names.values()),
        "station_network_code": instrument.network,
        "station_code": instrument.station,
        "station_location_code": instrument.location,
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
    """Pick columns of the stretch [first, first + n_samples) of a record that starts at ``start`` (ns).

    ``path_ps_time_s`` is the time from P to S, where both are in the stretch.
    """
    columns: dict[str, Any] = {}
    for phase, pick in (("p", plan.p), ("s", plan.s)):
        sample = None if pick is None else (pick.time.ns - start) * 1e-9 * rate - first
        if sample is not None and 0 <= sample <= n_samples - 1:
            columns[f"trace_{phase}_arrival_sample"] = round(sample, 3)
            columns[f"trace_{phase}_status"] = pick.status or None
            columns[f"trace_{phase}_phase_hint"] = pick.hint
    if "trace_p_status" in columns and "trace_s_status" in columns:
        columns["path_ps_time_s"] = round((plan.s.time.ns - plan.p.time.ns) * 1e-9, 3)
    return columns
