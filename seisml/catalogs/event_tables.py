"""Lists of events and stations: CSV tables, or whatever catalogue or inventory ObsPy reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from obspy import UTCDateTime

from seisml.catalogs.events import CatalogEvent, read_catalog, unite_events
from seisml.catalogs.stations import StationPlace, StationTable, read_stations
from seisml.errors import UserError
from seisml.waveforms.listing import walk

# Names that catalogues give their columns; those of the ANSS (USGS) and the FDSN text format among them.
EVENT_COLUMNS = {
    "time": ("time", "origin_time", "origintime", "source_origin_time", "datetime"),
    "latitude": ("latitude", "lat", "source_latitude_deg"),
    "longitude": ("longitude", "lon", "long", "source_longitude_deg"),
    "magnitude": ("magnitude", "mag", "source_magnitude"),
    "id": ("id", "eventid", "event_id", "source_id"),
    "tremor": ("tremor", "label", "y"),
}
STATION_COLUMNS = {
    "station": ("station", "station_code", "sta", "code"),
    "network": ("network", "station_network_code", "net"),
    "latitude": ("latitude", "lat", "station_latitude_deg"),
    "longitude": ("longitude", "lon", "long", "station_longitude_deg"),
}


@dataclass
class EventTable:
    """Events in order of time.

    Attributes:
        events: The events.
        tremor: source_id -> whether the list says that it triggered tremor; only of those it says it of.
        files: Files it was read from.
        skipped: (entry, reason) of what was left out.
    """

    events: list[CatalogEvent]
    tremor: dict[str, bool] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def read_events(path: Path, same_event: tuple[float, float] = (2.0, 50.0)) -> EventTable:
    """Read an event list.

    Args:
        path: CSV table, or a file or folder of catalogues that ObsPy reads.
        same_event: Entries of catalogues this close in origin time (s) and epicentre (km) are one event.

    Raises:
        UserError: There is none, or it lacks a column or holds a wrong value.
    """
    if path.suffix.lower() in (".csv", ".txt") and path.is_file():
        return _events_of_csv(path)
    if not path.exists():
        raise UserError(f"{path}: no such event list; give a CSV table, or a catalogue that ObsPy reads")
    files = [path] if path.is_file() else sorted(walk(path, path / "."), key=lambda file: file.as_posix())
    reading = read_catalog(path, files)
    return EventTable(unite_events(reading.events, *same_event), {}, files, list(reading.skipped))


def read_station_table(path: Path) -> StationTable:
    """Read station coordinates: a CSV table, StationXML (or another inventory of ObsPy), or a SEISAN station file.

    Raises:
        UserError: There is none, or it lacks a column or holds a wrong value.
    """
    if path.suffix.lower() not in (".csv", ".txt") or not path.is_file():
        return read_stations(path)
    table = _table(path, STATION_COLUMNS, ("station", "latitude", "longitude"))
    places = {}
    for line, row in _lines(table):
        latitude, longitude = _degrees(path, line, row, "latitude", 90), _degrees(path, line, row, "longitude", 360)
        places[row["network"], row["station"], ""] = StationPlace(latitude, longitude, None)
    return StationTable(places)


def _events_of_csv(path: Path) -> EventTable:
    table = _table(path, EVENT_COLUMNS, ("time", "latitude", "longitude"))
    found = EventTable([], files=[path])
    for line, row in _lines(table):
        try:
            time = UTCDateTime(row["time"])
        except Exception as error:  # ObsPy raises many kinds
            raise UserError(f"{path}: line {line}: {row['time']!r} is not a time; write 2012-04-11T08:38:36") from error
        event = CatalogEvent(
            source_id=row["id"] or time.strftime("%Y%m%dT%H%M%S"),
            time=time,
            latitude=_degrees(path, line, row, "latitude", 90),
            longitude=_degrees(path, line, row, "longitude", 360),
            magnitude=_magnitude(path, line, row["magnitude"]),
            file=path.name,
        )
        label = row["tremor"].strip().lower()
        if label not in ("", "0", "1", "true", "false", "none", "tremor"):
            raise UserError(f"{path}: line {line}: tremor is {label!r}; write 1, 0 or nothing")
        if label:
            found.tremor[event.source_id] = label in ("1", "true", "tremor")
        found.events.append(event)
    if not found.events:
        raise UserError(f"{path}: lists no event; give time, latitude and longitude, a line each")
    if len({event.source_id for event in found.events}) < len(found.events):
        raise UserError(f"{path}: two events have one id; give each its own, or leave the column out")
    found.events.sort(key=lambda event: event.time.ns)
    return found


def _table(path: Path, known: dict[str, tuple[str, ...]], needed: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV table as text, its columns renamed to ours; those it lacks are empty."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, sep=None, engine="python")
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a table of columns ({str(error).splitlines()[0]})") from error
    lower = {str(column).strip().lstrip("#").strip().lower(): column for column in table.columns}
    names = {}
    for name, aliases in known.items():
        column = next((lower[alias] for alias in aliases if alias in lower), None)
        if column is not None:
            names[column] = name
        elif name in needed:
            raise UserError(f"{path}: has no column {name!r}; its columns are {', '.join(map(str, table.columns))}")
    return table[list(names)].rename(columns=names).reindex(columns=list(known), fill_value="")


def _lines(table: pd.DataFrame) -> Iterator[tuple[int, dict[str, str]]]:
    """Number in the file and cells of each line; the heading is line 1."""
    return enumerate(table.to_dict("records"), start=2)


def _degrees(path: Path, line: int, row: Mapping[str, str], name: str, most: float) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not abs(value) <= most:
        raise UserError(f"{path}: line {line}: {name} is {row[name]!r}; give degrees, up to {most:g}")
    return value


def _magnitude(path: Path, line: int, text: str) -> float | None:
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise UserError(f"{path}: line {line}: magnitude is {text!r}; give a number, or nothing")
    return value
