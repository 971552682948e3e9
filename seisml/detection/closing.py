"""The end of a prediction: tables of what was found and of what was not looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from seisml.detection.busy_stations import busy_remarks
from seisml.detection.coincidence import NetworkEvent
from seisml.detection.detections import Detection
from seisml.detection.quakeml import detections_catalog, events_catalog
from seisml.detection.tables import (
    DETECTION_COLUMNS,
    EVENT_COLUMNS,
    REPORT_COLUMNS,
    detection_row,
    event_row,
)
from seisml.files import write_atomically, write_table
from seisml.inference.station_day import DayReport
from seisml.terminal.text_table import text_table
from seisml.values.file_names import DETECTIONS_FILE, EVENTS_FILE, STATION_DAYS_FILE
from seisml.waveforms.index import Instrument, WaveformIndex
from seisml.waveforms.streams import StationDay
from seisml.waveforms.times import DAY_NS


def write_results(
    out: Path,
    index: WaveformIndex,
    refused: Sequence[tuple[str, str]],
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    found: Sequence[tuple[Instrument, Detection]],
    events: Sequence[NetworkEvent] | None,
    checkpoint: str,
    as_quakeml: bool,
) -> None:
    """Write ``detections.csv``, ``report.csv``, and where asked ``events.csv`` and the catalogues as QuakeML.

    What an earlier run left of the tables and catalogues that are not asked for now goes: it would not fit the rest.
    """
    write_table(out / DETECTIONS_FILE, DETECTION_COLUMNS, (detection_row(*pair) for pair in found))
    write_table(out / STATION_DAYS_FILE, REPORT_COLUMNS, _report_rows(index, refused, tasks, reports, found))
    if events is not None:
        write_table(out / EVENTS_FILE, EVENT_COLUMNS, (event_row(*pair) for pair in enumerate(events, 1)))
    else:
        (out / EVENTS_FILE).unlink(missing_ok=True)
    name = Path(checkpoint).stem
    catalogs = {
        "detections.xml": detections_catalog(found, name) if as_quakeml else None,
        "events.xml": events_catalog(events, name) if as_quakeml and events is not None else None,
    }
    for file, catalog in catalogs.items():
        if catalog is None:
            (out / file).unlink(missing_ok=True)
        else:
            write_atomically(out / file, partial(catalog.write, format="QUAKEML"))


def _report_rows(
    index: WaveformIndex,
    refused: Sequence[tuple[str, str]],
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    found: Sequence[tuple[Instrument, Detection]],
) -> list[tuple[Any, ...]]:
    busy = busy_remarks(tasks, reports, found)
    counts = Counter((instrument, detection.start // DAY_NS) for instrument, detection in found)
    rows: list[tuple[Any, ...]] = []
    for task in tasks:
        instrument, report = task.instrument, reports[task.name]
        names = (instrument.network, instrument.station, instrument.location, instrument.band, task.date)
        notes = [*([busy[task.name]] if task.name in busy else ()), *report.notes]
        numbers = (report.n_windows, f"{report.recorded:.3f}", counts[instrument, task.day // DAY_NS])
        rows.append((*names, report.status, *numbers, "; ".join(notes)))
    empty = ("",) * 5
    rows += [(*empty, "skipped", 0, 0, 0, f"{name}: {reason}") for name, reason in (*refused, *index.skipped)]
    return rows


def summary(result: dict[str, Any], out: str | Path, seconds: float) -> str:
    """What was found and what was not looked at, in lines of text."""
    found = Counter((instrument, detection.label) for instrument, detection in result["detections"])
    labels = sorted({label for _, label in found})
    reports = result["reports"]
    rows = []
    for instrument, tasks in groupby(result["tasks"], key=lambda task: task.instrument):
        days = list(tasks)
        windows = sum(reports[task.name].n_windows for task in days)
        counts = {label: found[instrument, label] for label in labels}
        rows.append({"stream": days[0].stream_id, "days": len(days), "windows": windows, **counts})
    text = [text_table(rows)] if rows else []
    text += [f"{name}: {remark}" for name, remark in result["busy"].items()]
    for status, words in (("empty", "without a window to predict"), ("failed", "failed")):
        such = [report for report in reports.values() if report.status == status]
        text += [f"{words}: {report.name}: {'; '.join(report.notes)}" for report in such[:10]]
        text += [f"... and {len(such) - 10} more, see report.csv"] * (len(such) > 10)
    skipped = result["skipped"]
    text += [f"skipped: {name}: {reason}" for name, reason in skipped[:10]]
    text += [f"... and {len(skipped) - 10} more, see report.csv"] * (len(skipped) > 10)
    n_old = len(reports) - result["computed"]
    n_notes = sum(bool(report.notes or name in result["busy"]) for name, report in reports.items())
    events = "" if result["events"] is None else f"{len(result['events'])} events of several stations, "
    text.append(
        f"{len(reports)} station-days ({n_old} from an earlier run), {len(result['detections'])} detections, {events}"
        f"{seconds:.1f} s; {n_notes} station-days with remarks in {STATION_DAYS_FILE}"
    )
    out = Path(out)
    files = {"events": EVENTS_FILE, "detections": DETECTIONS_FILE, "report": STATION_DAYS_FILE, "figures": "figures"}
    text += [f"{kind:<12}{out / name}" for kind, name in files.items() if (out / name).exists()]
    return "\n".join(text)
