"""Which windows ConvNetQuake's data set takes: decided from headers and catalogue; nothing is read here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from obspy import UTCDateTime

from seisml.catalogs.clusters import find_clusters
from seisml.catalogs.distance import epicentral_distance
from seisml.catalogs.events import CatalogEvent, first_pick, merge_entries
from seisml.catalogs.stations import StationPlace, StationTable
from seisml.errors import UserError
from seisml.values.class_names import NOISE
from seisml.waveforms.components import choose_sensor
from seisml.waveforms.index import Instrument, WaveformIndex
from seisml.waveforms.intervals import side_by_side, spans, without

HOUR = 3600 * 10**9  # ns


@dataclass(frozen=True)
class PlanOptions:
    """How windows are chosen. Times in s; see the command's help, and :func:`spans` for ``longest_gap``."""

    n_clusters: int = 6
    length: float = 10.0
    components: str = "ZNE"
    velocity: float = 5.0
    picks_only: bool = False
    lead: tuple[float, float] = (0.0, 2.0)
    noise_ratio: float = 2.0
    gap: float = 2.0
    coda: float = 60.0
    longest_event_file: float = 900.0
    longest_gap: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class ClusterWindow:
    """A window to read.

    Attributes:
        start: First sample, in ns since 1970.
        instrument: Whose components.
        channels: Component asked for -> component letter in the files.
        label: ``noise`` or the cluster.
        source_id: The event; noise in event files belongs to the event it precedes, other noise to its hour.
        place: Coordinates of the station, None where unknown.
        event: The event; None for noise.
        arrival: P pick or estimated arrival in ns; None for noise.
        is_picked: Whether ``arrival`` is a pick.
        distance: Epicentral distance in km, None where unknown.
    """

    start: int
    instrument: Instrument
    channels: dict[str, str]
    label: str
    source_id: str
    place: StationPlace | None
    event: CatalogEvent | None = None
    arrival: int | None = None
    is_picked: bool = False
    distance: float | None = None


@dataclass(frozen=True)
class _Arrival:
    """What is known of an event at a station; times in ns, ``time`` None where the arrival cannot be told."""

    event: CatalogEvent
    time: int | None
    is_picked: bool
    distance: float | None


def plan_windows(
    index: WaveformIndex, entries: Sequence[CatalogEvent], stations: StationTable, options: PlanOptions
) -> tuple[list[ClusterWindow], list[tuple[str, str]]]:
    """Plan event windows and noise windows.

    An event window starts up to ``lead`` before the P pick of the station, else before origin time + distance /
    ``velocity``. Noise windows lie side by side where no event of the catalogue is under way: from ``gap`` before its
    origin or pick until ``coda`` after its arrival. In short stretches, as triggers cut them, there may be events that
    the catalogue does not know: there only what precedes a known event counts as noise, and it belongs to that event.

    Args:
        index: Headers of the waveform files.
        entries: Catalogue entries with united ids.
        stations: Where stations stand.
        options: Lengths and numbers.

    Returns:
        The windows in order of time, and (name, reason) of what was left out.

    Raises:
        UserError: No event window, or fewer epicentres than clusters.
    """
    groups: dict[str, list[CatalogEvent]] = defaultdict(list)
    for entry in entries:
        groups[entry.source_id].append(entry)
    events = sorted((merge_entries(group) for group in groups.values()), key=lambda event: event.time.ns)
    random = np.random.default_rng(options.seed)
    found: list[ClusterWindow] = []
    noise: list[ClusterWindow] = []
    skipped: list[tuple[str, str]] = []
    for instrument in sorted(index.segments):
        segments = index.segments[instrument]
        letters = {segment.component for segment in segments}
        channels = choose_sensor(letters, options.components, _picked(events, instrument))
        lacking = [asked for asked in options.components if asked not in channels]
        if lacking:
            skipped.append((str(instrument), f"lacks component {''.join(lacking)}"))
            continue
        place = stations.find(instrument.network, instrument.station, instrument.location)
        arrivals = [_arrival(event, instrument, place, options) for event in events]
        stretches = spans(segments, list(channels.values()), options.longest_gap)
        base = ClusterWindow(0, instrument, channels, NOISE, "", place)
        found += _event_windows(base, stretches, arrivals, options, random, skipped)
        noise += _noise_windows(base, stretches, arrivals, options, random)
    if not found:
        first = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise UserError(f"no event of the catalogue lies in the waveforms{first}; give its catalogue, and --stations")
    labelled = _with_clusters(found, options)
    chosen = random.permutation(len(noise))[: round(options.noise_ratio * len(labelled))]
    windows = [*labelled, *(noise[k] for k in chosen)]
    return sorted(windows, key=lambda w: (w.start // (24 * HOUR), w.instrument, w.start)), skipped


def _arrival(event: CatalogEvent, instrument: Instrument, place: StationPlace | None, options: PlanOptions) -> _Arrival:
    pick = first_pick(event.picks, "P", instrument.network, instrument.station, instrument.location)
    distance = epicentral_distance(event, place)
    if pick is not None:
        return _Arrival(event, pick.time.ns, True, distance)
    if distance is None or not event.has_origin:
        return _Arrival(event, None, False, distance)
    return _Arrival(event, event.time.ns + round(distance / options.velocity * 1e9), False, distance)


def _event_windows(
    base: ClusterWindow,
    stretches: Sequence[tuple[int, int]],
    arrivals: Iterable[_Arrival],
    options: PlanOptions,
    random: np.random.Generator,
    skipped: list[tuple[str, str]],
) -> list[ClusterWindow]:
    length, windows = round(options.length * 1e9), []
    for arrival in arrivals:
        lead = round(float(random.uniform(*options.lead)) * 1e9)
        event, time = arrival.event, arrival.time
        at = event.time.ns if time is None else time
        if not any(start <= at < end for start, end in stretches):
            continue
        name = f"{event.source_id} {base.instrument}"
        if options.picks_only and not arrival.is_picked:
            skipped.append((name, "no P pick"))
        elif time is None:
            skipped.append((name, "no P pick, and no coordinates of station and epicentre to estimate it"))
        elif event.latitude is None or event.longitude is None:
            skipped.append((name, "no epicentre"))
        elif not any(start <= time - lead and time - lead + length <= end for start, end in stretches):
            skipped.append((name, "data cover only a part of the window"))
        else:
            windows.append(
                replace(
                    base,
                    start=time - lead,
                    source_id=event.source_id,
                    event=event,
                    arrival=time,
                    is_picked=arrival.is_picked,
                    distance=arrival.distance,
                )
            )
    return windows


def _noise_windows(
    base: ClusterWindow,
    stretches: Sequence[tuple[int, int]],
    arrivals: Sequence[_Arrival],
    options: PlanOptions,
    random: np.random.Generator,
) -> list[ClusterWindow]:
    length, windows = round(options.length * 1e9), []
    loud = [_loud(arrival, options) for arrival in arrivals]
    for stretch in stretches:
        within = [a for a, (start, _) in zip(arrivals, loud, strict=True) if stretch[0] <= start < stretch[1]]
        limit, event_id = stretch[1], None
        if stretch[1] - stretch[0] <= options.longest_event_file * 1e9:
            if not within or (options.picks_only and not any(arrival.is_picked for arrival in within)):
                continue
            first = min(within, key=lambda arrival: _loud(arrival, options)[0])
            limit, event_id = _loud(first, options)[0], first.event.source_id
        for part in without((stretch[0], limit), loud):
            for start in side_by_side(part, length, random):
                hour = f"noise{UTCDateTime(ns=start).strftime('%Y%jT%H')}"
                windows.append(replace(base, start=start, source_id=event_id or hour))
    return windows


def _loud(arrival: _Arrival, options: PlanOptions) -> tuple[int, int]:
    """From when to when an event disturbs a station (ns): from its pick where there is one, else from its origin."""
    time = arrival.event.time.ns if arrival.time is None else arrival.time
    first = time if arrival.is_picked else min(arrival.event.time.ns, time)
    return first - round(options.gap * 1e9), time + round(options.coda * 1e9)


def _with_clusters(windows: list[ClusterWindow], options: PlanOptions) -> list[ClusterWindow]:
    events = {window.source_id: window.event for window in windows}
    places = [(event.latitude, event.longitude) for event in events.values() if event]
    clusters = find_clusters(*zip(*places, strict=True), options.n_clusters, options.seed)
    names = dict(zip(events, (clusters.names[k] for k in clusters.label), strict=True))
    return [replace(window, label=names[window.source_id]) for window in windows]


def _picked(events: Iterable[CatalogEvent], instrument: Instrument) -> Counter[str]:
    """How often each component of a station was picked on."""
    return Counter(
        pick.channel[-1]
        for event in events
        for pick in event.picks
        if pick.channel and pick.is_of(instrument.network, instrument.station, instrument.location)
    )
