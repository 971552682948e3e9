"""A prediction of continuous records as parts of the page."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.errors import UserError, shown
from seisml.evaluation.alarms import AlarmCurve, alarm_curve
from seisml.report.budget import Budget
from seisml.report.continuous.charts import alarm_charts, time_chart
from seisml.report.continuous.event_list import EventList
from seisml.report.continuous.picture import detection_picture
from seisml.report.continuous.records import CODES, Found, Record
from seisml.report.continuous.samples import Samples
from seisml.report.parts import Browser, Cell, Item, Part, Picture, Table, Tile, number_cell, number_text, text_cell
from seisml.report.reading import read_picture, read_table
from seisml.terminal.progress import follow
from seisml.values.file_names import EVENTS_FILE
from seisml.waveforms.times import DAY_NS, format_day, format_time

MOST_ITEMS = 1000  # detections of a page, with or without a picture
MOST_STATION_DAYS = 400
MOST_EVENTS = 200
MOST_DAY_PICTURES = 12
DAY_COLORS = 20  # black, grey, and a few tints: those pictures are large
WITHIN = 10.0  # seconds, where the length of the window is not known
FALSE = "no known event"
MOST_REASONS = 5


def record_parts(
    record: Record, key: str, budget: Budget, events: EventList | None, within: float | None, recordings: Sequence[Path]
) -> list[Part]:
    """Overview, false alarms, detections to choose from, station-days, how to reproduce.

    Args:
        record: What was read.
        key: Name of the parts in links, before that of each.
        budget: Pictures that the page may still take.
        events: Known events; None without a list.
        within: Seconds that such an event may lie beside a detection; None for the length of a window.
        recordings: Where the recordings are, where they have moved.
    """
    alarms, known = None, None
    if events is not None and record.found:
        known = events.between(_spans(record))
        reach = within if within is not None else record.about.window_s if record.about else WITHIN
        arrays = [np.array([getter(it) for it in record.found]) for getter in (_start, _end, _probability)]
        alarms = alarm_curve(*arrays, known.times, reach, record.station_days)
    parts = [_overview(record, f"{key}-overview", known, alarms)]
    if alarms is not None and known is not None:
        parts.append(_alarms(record, f"{key}-alarms", alarms, known, reach))
    parts += [
        _browse(record, f"{key}-detections", budget, alarms, known, recordings),
        _events(record, f"{key}-events"),
        _station_days(record, f"{key}-days", budget),
        _reproduce(record, f"{key}-again"),
    ]
    return [part for part in parts if part.facts or part.tables or part.charts or part.browser or part.code]


def _start(found: Found) -> int:
    return found.start


def _end(found: Found) -> int:
    return found.end


def _probability(found: Found) -> float:
    return found.probability


def _spans(record: Record) -> list[tuple[int, int]]:
    """Days with a record, else those with a detection."""
    days = {found.day for found in record.found}
    if "day" in record.days:
        times = pd.to_datetime(record.days["day"], format="%Y.%j", errors="coerce").dropna()
        days |= set(times.to_numpy("datetime64[ns]").astype(np.int64).tolist())
    return [(day, day + DAY_NS) for day in sorted(days)]


# -- overview ----------------------------------------------------------------------------------------------------------
def _overview(record: Record, key: str, known: EventList | None, alarms: AlarmCurve | None) -> Part:
    part = Part("Overview", key)
    stations = record.stations
    part.tiles = [Tile("detections", number_text(float(len(record.found))))]
    if record.station_days > 0:
        part.tiles.append(Tile("station-days of record", number_text(record.station_days)))
        part.tiles.append(Tile("detections per station-day", number_text(len(record.found) / record.station_days, 1)))
    if alarms is not None and known is not None and len(known.times):
        found = len({int(number) for number in alarms.event if number >= 0})
        part.tiles.append(Tile("known events found", f"{found} of {len(known.times)}", value=found / len(known.times)))
    about = record.about
    part.facts = [("Folder", shown(record.folder)), ("Stations", str(len(stations)))]
    if about is not None:
        part.facts += [
            ("Model", Path(about.checkpoint).name), ("Threshold", number_text(about.threshold)),
            ("Windows", f"{number_text(about.window_s)} s, every {number_text(about.step_s)} s"),
            ("Sampling rate", f"{number_text(about.sampling_rate)} Hz"),
        ]  # fmt: skip
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for found in record.found:
        counts[found.station, found.label] += 1
    labels = sorted({label for _, label in counts})
    rows = []
    for station in stations:
        values = [counts[station, label] for label in labels]
        rows.append([text_cell(station), *(number_cell(float(value)) for value in (*values, sum(values)))])
    if rows and len(labels) <= 40:
        part.tables.append(Table("Detections of each station and class", ["station", *labels, "all"], rows[:200]))
    if len(record.found) > 1:
        part.charts.append(time_chart(record.found))
    return part


def _alarms(record: Record, key: str, alarms: AlarmCurve, known: EventList, within: float) -> Part:
    part = Part("False alarms", key)
    n_false = int((~alarms.is_true).sum())
    part.lead = [
        f"{len(known.times)} known events lie in the recorded days. A detection counts as one of them where the event "
        f"lies in it or up to {number_text(within)} s beside it; the other {n_false} of {len(record.found)} are false "
        "alarms, as far as the list is complete."
    ]
    part.charts = alarm_charts(alarms)
    found = {int(number) for number in alarms.event if number >= 0}
    rows = [
        [text_cell(format_time(int(time))), text_cell(known.labels[i] or "–"), text_cell("yes" if i in found else "no")]
        for i, time in enumerate(known.times[:MOST_EVENTS])
    ]
    note = f"{len(known.times) - MOST_EVENTS} more." if len(known.times) > MOST_EVENTS else ""
    table = Table("Events of the list", ["time (UTC)", "class", "found"], rows, note)
    part.inner = [Part("Known events", f"{key}-known", tables=[table], folded=True)] if rows else []
    return part


# -- detections --------------------------------------------------------------------------------------------------------
def _browse(
    record: Record,
    key: str,
    budget: Budget,
    alarms: AlarmCurve | None,
    known: EventList | None,
    recordings: Sequence[Path],
) -> Part:
    part = Part("Detections", key)
    if not record.found:
        return part
    order = in_turn(record.found)[:MOST_ITEMS]
    n_days = 0 if record.about is None else min(MOST_DAY_PICTURES, budget.left // 4)
    wanted = [record.found[number] for number in order[: max(0, budget.left - n_days)]]
    pictures = _pictures(record, wanted, budget, recordings)
    items = []
    for number in sorted(order):
        found = record.found[number]
        verdict = "" if alarms is None else _verdict(int(alarms.event[number]), known)
        items.append(_item(found, f"{key}-{found.row}", verdict, pictures.get(found.row)))
    choices = [("day", "Day", _values(items, "day")), ("station", "Station", _values(items, "station")),
               ("label", "Class", _values(items, "label"))]  # fmt: skip
    if alarms is not None:
        choices.append(("verdict", "Compared with the list", _values(items, "verdict")))
    note = ""
    if len(items) < len(record.found):
        note = (
            f"{len(record.found) - len(items)} more, the less certain ones of each day, station and class, are in "
            f"{shown(record.folder / 'detections.csv')}."
        )
    part.browser = Browser(items, choices, len(record.found), note)
    return part


def _values(items: Sequence[Item], name: str) -> list[str]:
    of = {"day": lambda it: it.day, "station": lambda it: it.station, "label": lambda it: it.label,
          "verdict": lambda it: it.verdict}[name]  # fmt: skip
    return sorted({of(item) for item in items})


def in_turn(found: Sequence[Found]) -> list[int]:
    """Numbers of detections: of each day, station and class in turn the most certain that is left."""
    place: list[tuple[int, tuple[str, str, int], int]] = []
    seen: dict[tuple[str, str, int], int] = defaultdict(int)
    for number in sorted(range(len(found)), key=lambda number: (-found[number].probability, found[number].onset)):
        group = (found[number].station, found[number].label, found[number].day)
        place.append((seen[group], group, number))
        seen[group] += 1
    return [number for _, _, number in sorted(place)]


def _verdict(event: int, known: EventList | None) -> str:
    if event < 0 or known is None:
        return FALSE
    return f"known: {known.labels[event]}" if known.labels[event] else "known event"


def _item(found: Found, key: str, verdict: str, picture: Picture | None) -> Item:
    lasts = f"{number_text((found.end - found.start) * 1e-9, 1)} s"
    return Item(key, format_day(found.day), found.station, found.label, verdict, format_time(found.onset),
                found.probability, [("lasts", lasts)], picture)  # fmt: skip


def _pictures(
    record: Record, wanted: Sequence[Found], budget: Budget, recordings: Sequence[Path]
) -> dict[int, Picture]:
    """Pictures of detections by their rows, read one station-day after the other."""
    if record.about is None or not wanted:
        return {}
    samples, made, reasons = Samples(record.folder, record.about, recordings), {}, {}
    ordered = sorted(wanted, key=lambda found: (found.codes, found.onset))
    for found in follow(ordered, "drawing", "detection", shown=len(ordered) > 10):
        try:
            made[found.row] = detection_picture(found, samples.around(found), record.about)
        except UserError as error:
            reasons[str(error)] = None
        except Exception as error:  # what nobody foresaw in a record costs this picture
            reasons[f"{found.station}, {found.date}: {type(error).__name__}: {str(error)[:120]}"] = None
        else:
            budget.take()
    record.problems += list(reasons)[:MOST_REASONS]
    if len(reasons) > MOST_REASONS:
        record.problems.append(f"{len(reasons) - MOST_REASONS} more station-days gave no pictures, for such reasons")
    return made


# -- station-days, events, how to do it again --------------------------------------------------------------------------
def _station_days(record: Record, key: str, budget: Budget) -> Part:
    part = Part("Station-days", key)
    if "status" not in record.days:
        return part
    done = record.days[record.days["status"] != "skipped"]
    passed = len(record.days) - len(done)
    rows = []
    for line in done.head(MOST_STATION_DAYS).to_dict("records"):
        numbers = (line.get(name) for name in ("seconds_recorded", "windows", "detections"))
        seconds, windows, detections = (float(pd.to_numeric(value, errors="coerce")) for value in numbers)
        rows.append([
            text_cell(line["day"]), text_cell(".".join(line[name] for name in CODES)), text_cell(line["status"]),
            number_cell(seconds / 3600, digits=2), number_cell(windows), number_cell(detections),
            text_cell(line.get("notes", "")),
        ])  # fmt: skip
    note = f"{len(done) - MOST_STATION_DAYS} more are in report.csv. " if len(done) > MOST_STATION_DAYS else ""
    note += f"{passed} files or instruments were passed over; report.csv says why." if passed else ""
    head = ["day", "station", "status", "hours recorded", "windows", "detections", "remarks"]
    if rows:
        part.tables.append(Table("What became of each station-day", head, rows, note))
    figures = record.folder / "figures"
    files = sorted(figures.glob("*.png")) if figures.is_dir() and not figures.is_symlink() else []
    for file in files[:MOST_DAY_PICTURES]:
        if not budget.take():
            break
        words = f"{file.stem}: waveform in lines, probability below, detections in colour"
        try:
            part.pictures.append(read_picture(file, words, DAY_COLORS))
        except UserError as error:
            record.problems.append(str(error))
    return part


def _events(record: Record, key: str) -> Part:
    part = Part("Events of several stations", key)
    path = record.folder / EVENTS_FILE
    if not path.exists():
        return part
    try:
        table = read_table(path, ("time", "class", "probability", "n_stations", "stations"))
    except UserError as error:
        record.problems.append(str(error))
        return part
    rows = [
        [text_cell(line["time"]), text_cell(line["class"]), Cell(line["probability"][:12], number=True),
         Cell(line["n_stations"][:12], number=True), text_cell(line["stations"])]
        for line in table.head(MOST_EVENTS).to_dict("records")
    ]  # fmt: skip
    note = f"{len(table) - MOST_EVENTS} more are in events.csv." if len(table) > MOST_EVENTS else ""
    if rows:
        part.folded = len(rows) > 12
        head = ["first onset (UTC)", "class", "probability", "stations", "which"]
        part.tables.append(Table(f"{len(table)} events", head, rows, note))
    return part


def _reproduce(record: Record, key: str) -> Part:
    part, about = Part("How to reproduce", key), record.about
    if about is None:
        return part
    words = ["seisml", "predict", about.checkpoint, *about.streams[:20], "--out", shown(record.folder),
             "--step", f"{about.step_s:g}", "--threshold", f"{about.threshold:g}"]  # fmt: skip
    part.code = [("Command", shlex.join(words))]
    part.facts = [("Hash of the model", about.checkpoint_hash)]
    part.facts += [(f"{name} version", value) for name, value in about.versions.items() if value]
    return part
