"""The end of a prediction: tables of what was found and of what was not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seisml.inference.detections import Detection
from seisml.inference.output import (
    DETECTION_COLUMNS,
    REPORT_COLUMNS,
    detection_row,
    quakeml,
    write_atomically,
    write_table,
)
from seisml.inference.station_day import DayReport
from seisml.text_table import text_table
from seisml.waveforms.streams import StationDay, StreamIndex


def write_results(
    out: Path,
    index: StreamIndex,
    refused: Sequence[tuple[str, str]],
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    found: Sequence[tuple[StationDay, Detection]],
    checkpoint: str,
    as_quakeml: bool,
) -> None:
    """Write ``detections.csv``, ``report.csv`` and, where asked, ``detections.xml``."""
    rows = [detection_row(task.instrument, detection) for task, detection in found]
    write_table(out / "detections.csv", DETECTION_COLUMNS, rows)
    lines: list[tuple[Any, ...]] = []
    for task in tasks:
        own, report = task.instrument, reports[task.name]
        names = (own.network, own.station, own.location, own.band, task.date)
        lines.append((*names, report.status, report.n_windows, f"{report.recorded:.3f}", "; ".join(report.notes)))
    empty = ("",) * 5
    lines += [(*empty, "skipped", 0, 0, f"{name}: {reason}") for name, reason in (*refused, *index.skipped)]
    write_table(out / "report.csv", REPORT_COLUMNS, lines)
    if as_quakeml:
        catalog = quakeml(((task.instrument, detection) for task, detection in found), Path(checkpoint).stem)
        write_atomically(out / "detections.xml", lambda part: catalog.write(str(part), format="QUAKEML"))


def summary(result: dict[str, Any], out: str | Path, seconds: float) -> str:
    """What was found and what was not looked at, in lines of text."""
    counts: dict[str, dict[str, int]] = {}
    labels = sorted({detection.label for _, detection in result["detections"]})
    for task, detection in result["detections"]:
        own = counts.setdefault(task.stream_id, {})
        own[detection.label] = own.get(detection.label, 0) + 1
    days: dict[str, list[DayReport]] = {}
    for name, report in result["reports"].items():
        days.setdefault(name.rsplit(".", 2)[0], []).append(report)
    rows = []
    for stream in sorted(days):
        found = counts.get(stream, {})
        windows = sum(report.n_windows for report in days[stream])
        own = {label: found.get(label, 0) for label in labels}
        rows.append({"stream": stream, "days": len(days[stream]), "windows": windows, **own})
    text = [text_table(rows)] if rows else []
    reports = result["reports"]
    for status, words in (("empty", "without a window to predict"), ("failed", "failed")):
        own = [report for report in reports.values() if report.status == status]
        text += [f"{words}: {report.name}: {'; '.join(report.notes)}" for report in own[:10]]
        text += [f"... and {len(own) - 10} more, see report.csv"] * (len(own) > 10)
    skipped = result["skipped"]
    text += [f"skipped: {name}: {reason}" for name, reason in skipped[:10]]
    text += [f"... and {len(skipped) - 10} more, see report.csv"] * (len(skipped) > 10)
    n_old = len(reports) - result["computed"]
    n_notes = sum(bool(report.notes) for report in reports.values())
    text.append(
        f"{len(reports)} station-days ({n_old} from an earlier run), {len(result['detections'])} detections, "
        f"{seconds:.1f} s; {n_notes} station-days with remarks in report.csv"
    )
    out = Path(out)
    files = {"detections": "detections.csv", "report": "report.csv", "figures": "figures"}
    text += [f"{kind:<12}{out / name}" for kind, name in files.items() if (out / name).exists()]
    return "\n".join(text)
