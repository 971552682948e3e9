"""The closing table of ``seisml prepare catalog``: classes, and how catalogue and waveforms fit together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from seisml.catalogs.association import Association
from seisml.catalogs.events import CatalogReading
from seisml.prepare.outcome import Outcome
from seisml.prepare.report import PrepareReport
from seisml.waveforms.index import WaveformIndex

_MAX_NAMES = 5


class CatalogReport:
    """Counts what was made, what was left out and what found no partner.

    Args:
        catalog: What the catalogue held.
        index: What the waveform files held.
        found: How they were associated.
        root: Folder that file names are relative to.
    """

    def __init__(self, catalog: CatalogReading, index: WaveformIndex, found: Association, root: Path) -> None:
        self._catalog, self._index, self._found = catalog, index, found
        self._classes = PrepareReport([])
        self._flat: Counter[str] = Counter()
        self._with: Counter[str] = Counter()
        self._events: set[str] = set()
        self._stations: set[str] = set()
        self.n_rows = 0
        self.skipped: list[tuple[str, str]] = []
        as_waveforms = {path.resolve() for path in (*index.spans, *(path for path, _ in index.skipped))}
        self._skip((path.relative_to(root).as_posix(), reason) for path, reason in index.skipped)
        self._skip((path.name, why) for path, why in catalog.unreadable if path.resolve() not in as_waveforms)
        self._skip(catalog.skipped)
        self._skip(found.skipped)

    def add(self, outcome: Outcome) -> None:
        """Count what came of a planned record."""
        self._skip((outcome.name, reason) for reason in outcome.reasons)
        self._flat.update(outcome.flat)
        for record in outcome.records:
            row = record.metadata
            self._classes.add(row["trace_category"], record)
            self.n_rows += 1
            phases = [phase for phase in "ps" if f"trace_{phase}_arrival_sample" in row]
            self._with.update(phases + ["ps"] * (len(phases) == 2))
            self._events.add(row["source_id"])
            self._stations.add(f"{row['station_network_code']}.{row['station_code']}")

    def facts(self) -> dict[str, Any]:
        """Return the counts for ``prepare.json``."""
        found = self._found
        return {
            "events": len(self._events),
            "stations": len(self._stations),
            "with_p": self._with["p"],
            "with_s": self._with["s"],
            "with_p_and_s": self._with["ps"],
            "records_without_event": found.records_without_event,
            "events_without_waveforms": [event.source_id for event in found.events_without_waveforms],
            "picks_without_waveforms": found.picks_without_waveforms,
            "flat_traces": dict(self._flat),
            "unused_channels": dict(found.unused_channels),
            "missing_components": dict(found.missing_components),
        }

    def text(self, detrended: bool) -> str:
        """Lay out the table.

        Args:
            detrended: Whether traces were detrended, so that zeros appended to them make no step.
        """
        catalog, index, found = self._catalog, self._index, self._found
        n_events = len({entry.source_id for entry in catalog.events})
        n_picks = sum(len(entry.picks) for entry in catalog.events)
        lines = [
            f"catalogue: {len(catalog.events)} entries, {n_events} events, {n_picks} P and S picks"
            + _also(catalog.repeated_files, "files met twice count once"),
            f"waveforms: {len(index.spans)} files" + _also(index.repeated, "files met twice count once"),
            f"events: {len(self._events)}, stations: {len(self._stations)}; with P: {self._with['p']}, "
            f"with S: {self._with['s']}, with both: {self._with['ps']}",
        ]
        if found.records_without_event:
            lines.append(f"{found.records_without_event} records have no event in the catalogue: unlabelled")
        if found.events_without_waveforms:
            names = [str(event.time)[:19] for event in found.events_without_waveforms]
            lines.append(f"{len(names)} events without waveforms: {_some(names)}")
        unused = [path.name for path in index.spans if path not in {p for plan in found.plans for p in plan.paths}]
        if unused:
            lines.append(f"{len(unused)} waveform files without an event: {_some(unused)}")
        if found.picks_without_waveforms:
            lines.append(f"{found.picks_without_waveforms} picks without waveforms (no record of the station)")
        if found.picks_outside:
            lines.append(f"{found.picks_outside} picks outside their record")
        if found.several_events:
            lines.append(
                f"{len(found.several_events)} files hold several events and gave a record to each "
                f"(--before and --after cut one window for each): {_some(found.several_events)}"
            )
        lines += [f"{count} records lack component {name}" for name, count in sorted(found.missing_components.items())]
        if found.unused_channels:
            names = [f"{name} ({count})" for name, count in sorted(found.unused_channels.items())]
            lines.append(f"channels left aside for another sensor or component: {_some(names)}")
        if self._flat:
            names = [f"{name} ({count})" for name, count in sorted(self._flat.items())]
            lines.append(f"{sum(self._flat.values())} flat traces, kept: {_some(names)}")
        return "\n".join([self._classes.text(detrended), *lines])

    def _skip(self, entries: Any) -> None:
        for name, reason in entries:
            self.skipped.append((name, reason))
            self._classes.skip("", name, reason)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"


def _also(count: int, what: str) -> str:
    return f"; {count} {what}" if count else ""
