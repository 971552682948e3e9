"""Which event a record belongs to, and which picks: catalogue entries meet waveform headers; nothing is read here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seisml.catalogs.event_files import EventFinder, best_parts, file_names, picks_at
from seisml.catalogs.events import CatalogEvent, Pick, merge_entries
from seisml.waveforms.components import choose_sensor
from seisml.waveforms.index import Instrument, WaveformIndex

MISSING_COMPONENTS = ("keep", "zeros", "skip")
_LONGEST_TRAVEL_TIME = 3600.0  # s, more than any P or S wave takes


@dataclass(frozen=True)
class RecordPlan:
    """One record to be read: one instrument's components over one event.

    Attributes:
        instrument: Whose traces.
        paths: Files they lie in.
        channels: Component asked for -> component letter in the files.
        start: First sample wanted (ns since 1970).
        end: Time by which the record must end, exclusive for a window cut from continuous data (ns).
        is_window: Whether it is cut from continuous data (all of [start, end) must be there) or a whole event file.
        source_id: Event, or the file's identity where the catalogue knows none.
        event: The event; None where the catalogue knows none.
        p: First P arrival.
        s: First S arrival.
        beside: Further files, in which the record goes on before and behind a window.
        margin: Time (ns) that is wanted of them, so that filters have settled in the window.
    """

    instrument: Instrument
    paths: tuple[Path, ...]
    channels: Mapping[str, str]
    start: int
    end: int
    is_window: bool
    source_id: str
    event: CatalogEvent | None = None
    p: Pick | None = None
    s: Pick | None = None
    beside: tuple[Path, ...] = ()
    margin: int = 0

    @property
    def name(self) -> str:
        """How messages call the record."""
        return f"{f'event {self.event.time}' if self.is_window else self.paths[0].name} {self.instrument}"


@dataclass
class Association:
    """Planned records, and what found no partner.

    Attributes:
        plans: Records to read, in order of file and station.
        skipped: (record or file, reason) of what was left out already here.
        missing_components: Number of records lacking a component, by the components they lack.
        unused_channels: Number of records of each channel left aside for another sensor of the instrument.
        events_without_waveforms: Events that no record shows.
        picks_without_waveforms: Number of picks at stations that no record of the event shows.
        picks_outside: Number of picks that lie before or after their record.
        records_without_event: Number of records the catalogue knows no event for.
        several_events: Files that gave a record to each of several events.
    """

    plans: list[RecordPlan] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    missing_components: Counter[str] = field(default_factory=Counter)
    unused_channels: Counter[str] = field(default_factory=Counter)
    events_without_waveforms: list[CatalogEvent] = field(default_factory=list)
    picks_without_waveforms: int = 0
    picks_outside: int = 0
    records_without_event: int = 0
    several_events: list[str] = field(default_factory=list)


def associate(
    index: WaveformIndex,
    entries: Sequence[CatalogEvent],
    order: str,
    missing: str,
    before: float,
    after: float,
    root: Path,
    margin: Callable[[float], float] = lambda sampling_rate: 0.0,
) -> Association:
    """Plan one record per instrument and event.

    An event file shows the entries that name it, else the events whose origin or pick lies within it; each event gets
    one record for each instrument, from the file that shows it best. From continuous data a window is cut around each
    event's P pick at the station, else around its origin time.

    Args:
        index: Headers of the waveform files.
        entries: Catalogue entries with united ids, in order of time.
        order: Components of a record, in order.
        missing: For a record that lacks a component: ``keep`` it with those it has, fill ``zeros``, or ``skip`` it.
        before: Seconds of a window before the P pick or origin.
        after: Seconds after it.
        root: Folder that file names in ids are relative to.
        margin: Seconds wanted beside a window of a recording of this sampling rate (Hz).
    """
    groups: dict[str, list[CatalogEvent]] = defaultdict(list)
    for entry in entries:
        groups[entry.source_id].append(entry)
    events = {source_id: merge_entries(group) for source_id, group in groups.items()}
    planner = _Planner(index, entries, order, missing)
    planner.plan_event_files(root)
    planner.plan_windows(events.values(), before, after, margin)
    _count_unmatched(planner.result, entries, events)
    return planner.result


class _Planner:
    """Plans records: of event files, and of windows of continuous data; arguments as in :func:`associate`."""

    def __init__(self, index: WaveformIndex, entries: Sequence[CatalogEvent], order: str, missing: str) -> None:
        self.result = Association()
        self._index, self._entries, self._order, self._missing = index, entries, order, missing
        self._picked = _picked_components(entries)

    def plan_event_files(self, root: Path) -> None:
        """One record for each event that a file shows best, and one for each file that shows none."""
        parts, result = self._index.event_parts, self.result
        names = file_names(parts, root)
        finder = EventFinder(self._entries, parts, names)
        shown = {id(part): finder.find(part) for part in parts}
        best = best_parts(parts, shown)
        for part in parts:
            chosen = [found for found in shown[id(part)] if best[found[0].source_id, part.instrument] is part]
            if len(chosen) > 1 and part.paths[0].name not in result.several_events:
                result.several_events.append(part.paths[0].name)
            plan = {"paths": part.paths, "start": part.start, "end": part.end, "is_window": False}
            for event in map(merge_entries, chosen):
                picks = picks_at(event, part.instrument)
                plan_of_event = {**plan, "event": event, "source_id": event.source_id, **picks}
                self._add(part.instrument, part.components, plan_of_event)
            if shown[id(part)] and not chosen:
                first = shown[id(part)][0][0]
                other = best[first.source_id, part.instrument].paths[0].name
                name = f"{part.paths[0].name} {part.instrument}"
                result.skipped.append((name, f"{other} shows the event of {first.time}, too, and better"))
            if not shown[id(part)]:
                self._add(part.instrument, part.components, {**plan, "source_id": names[part.paths[0]]})

    def plan_windows(
        self, events: Iterable[CatalogEvent], before: float, after: float, margin: Callable[[float], float]
    ) -> None:
        """One window of continuous data around each event, at each instrument that has any."""
        index = self._index
        reach = round((max(before, after) + _LONGEST_TRAVEL_TIME) * 1e9)
        for event in events:
            for instrument in sorted(index.segments):
                if not index.overlapping(instrument, event.time.ns - reach, event.time.ns + reach):
                    continue
                picks = picks_at(event, instrument)
                reference = picks["p"].time.ns if picks["p"] else event.time.ns
                start, end = reference - round(before * 1e9), reference + round(after * 1e9)
                segments = index.overlapping(instrument, start, end)
                if not segments:
                    continue
                paths = tuple(dict.fromkeys(segment.path for segment in segments))
                around = round(max(margin(segment.sampling_rate) for segment in segments) * 1e9)
                wider = index.overlapping(instrument, start - around, end + around) if around else ()
                beside = tuple(dict.fromkeys(segment.path for segment in wider if segment.path not in paths))
                plan = {"paths": paths, "start": start, "end": end, "is_window": True, "event": event}
                plan |= {"beside": beside, "margin": around, "source_id": event.source_id, **picks}
                self._add(instrument, dict.fromkeys(segment.component for segment in segments), plan)

    def _add(self, instrument: Instrument, components: Iterable[str], plan: dict[str, Any]) -> None:
        components = list(components)
        counts = self._picked[instrument.station, instrument.network] + self._picked[instrument.station, ""]
        record = RecordPlan(instrument=instrument, channels=choose_sensor(components, self._order, counts), **plan)
        _add_plan(self.result, record, components, self._order, self._missing)


def _add_plan(result: Association, plan: RecordPlan, components: list[str], order: str, missing: str) -> None:
    unused = [letter for letter in components if letter not in plan.channels.values()]
    result.unused_channels.update(plan.instrument.channel_id(letter) for letter in unused)
    lacking = "".join(letter for letter in order if letter not in plan.channels)
    if lacking == order:
        result.skipped.append((plan.name, f"none of the components {order}, only {''.join(sorted(components))}"))
        return
    if lacking:
        result.missing_components[lacking] += 1
        if missing == "skip":
            result.skipped.append((plan.name, f"lacks component {lacking}"))
            return
    result.records_without_event += plan.event is None
    for pick in (plan.p, plan.s):
        result.picks_outside += pick is not None and not plan.start <= pick.time.ns <= plan.end
    result.plans.append(plan)


def _picked_components(entries: Iterable[CatalogEvent]) -> dict[tuple[str, str], Counter[str]]:
    """How often each component of a station was picked on, over the whole catalogue."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry in entries:
        for pick in entry.picks:
            if pick.channel:
                counts[pick.station, pick.network][pick.channel[-1]] += 1
    return counts


def _count_unmatched(result: Association, entries: Sequence[CatalogEvent], events: Mapping[str, CatalogEvent]) -> None:
    shown: dict[str, set[str]] = defaultdict(set)
    for plan in result.plans:
        if plan.event is not None:
            shown[plan.source_id].add(plan.instrument.station)
    result.events_without_waveforms = [event for source_id, event in events.items() if source_id not in shown]
    result.picks_without_waveforms = sum(
        pick.station not in shown[entry.source_id] for entry in entries for pick in entry.picks
    )
