"""Which events of a catalogue a waveform file shows, and which file shows an event best."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seisml.catalogs.events import CatalogEvent, Pick, first_pick, merge_entries
from seisml.waveforms.index import EventPart, Instrument


class EventFinder:
    """Finds the entries that event files show.

    Files that share most of their time show the same event, even those of stations where nothing was picked and whose
    records begin after the origin: otherwise records of one event would carry different ids and part in a split.

    Args:
        entries: Catalogue entries in order of time.
        parts: All records of event files.
        together: For each file, a name that files of the same time share.
    """

    def __init__(
        self, entries: Sequence[CatalogEvent], parts: Iterable[EventPart], together: Mapping[Path, str]
    ) -> None:
        self._entries, self._together = entries, together
        self._times = [entry.time.ns for entry in entries]
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._picks: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, entry in enumerate(entries):
            for name in entry.waveform_names:
                self._by_name[name].append(number)
            for pick in entry.picks:
                self._picks[pick.station].append((pick.time.ns, number))
        for times in self._picks.values():
            times.sort()
        self._shared: dict[str, set[int]] = defaultdict(set)
        for part in parts:
            self._shared[together[part.paths[0]]].update(self._named(part) or self._within(part))

    def find(self, part: EventPart) -> list[list[CatalogEvent]]:
        """Return the entries of each event that a file shows, most picks first."""
        found = self._named(part) or self._within(part) or self._shared[self._together[part.paths[0]]]
        groups: dict[str, list[CatalogEvent]] = defaultdict(list)
        for number in sorted(found):
            groups[self._entries[number].source_id].append(self._entries[number])
        return sorted(groups.values(), key=lambda group: -sum(len(entry.picks) for entry in group))

    def _named(self, part: EventPart) -> set[int]:
        return {number for path in part.paths for number in self._by_name.get(path.name, ())}

    def _within(self, part: EventPart) -> set[int]:
        """Entries whose origin, or a pick at the station, lies within the record."""
        origins = range(bisect_left(self._times, part.start), bisect_right(self._times, part.end))
        picks = self._picks.get(part.instrument.station, [])
        first, last = bisect_left(picks, (part.start, -1)), bisect_right(picks, (part.end, len(self._times)))
        return {*origins, *(number for _, number in picks[first:last])}


def best_parts(
    parts: Iterable[EventPart], shown: Mapping[int, list[list[CatalogEvent]]]
) -> dict[tuple[str, Instrument], EventPart]:
    """The file that shows an event best at an instrument, so that each event is cut, and once.

    That is the one that the catalogue names, else one that holds the P pick, else the one with most time on either side
    of the origin: where neighbours share two files, each event gets the one that was cut around it.
    """
    best: dict[tuple[str, Instrument], tuple[tuple[bool, bool, int], EventPart]] = {}
    for part in parts:
        names = {path.name for path in part.paths}
        for entries in shown[id(part)]:
            event = merge_entries(entries)
            p = picks_at(event, part.instrument)["p"]
            is_named = any(names & set(entry.waveform_names) for entry in entries)
            holds_p = p is not None and part.start <= p.time.ns <= part.end
            room = min(event.time.ns - part.start, part.end - event.time.ns)
            key, value = (event.source_id, part.instrument), (is_named, holds_p, room)
            if key not in best or value > best[key][0]:
                best[key] = value, part
    return {key: part for key, (_, part) in best.items()}


def picks_at(event: CatalogEvent | None, instrument: Instrument) -> dict[str, Pick | None]:
    """The first P and the first S pick of an event at an instrument: ``p`` and ``s``."""
    codes = (instrument.network, instrument.station, instrument.location)
    picks = event.picks if event else ()
    return {"p": first_pick(picks, "P", *codes), "s": first_pick(picks, "S", *codes)}


def file_names(parts: Iterable[EventPart], root: Path) -> dict[Path, str]:
    """Identities for files without an event: those that share most of their time are one event, named by the first."""
    spans: dict[Path, tuple[int, int]] = {}
    for part in parts:
        for path in part.paths:
            start, end = spans.get(path, (part.start, part.end))
            spans[path] = (min(start, part.start), max(end, part.end))
    identities: dict[Path, str] = {}
    current, name = (0, -1), ""
    for path, (start, end) in sorted(spans.items(), key=lambda item: (item[1], item[0])):
        shared = min(end, current[1]) - start
        if shared <= 0.5 * min(end - start, current[1] - current[0]):
            current, name = (start, end), path.relative_to(root).as_posix() if root.is_dir() else path.name
        identities[path] = name
    return identities
