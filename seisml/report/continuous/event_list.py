"""A list of events that are known: what continuous records are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.errors import UserError, shown
from seisml.report.reading import read_table

TIMES = ("time", "onset", "origin_time", "source_origin_time", "datetime", "occurrence_time_utc", "start")
CLASSES = ("class", "label", "type", "event_type", "trace_category")


@dataclass(frozen=True)
class EventList:
    """Events.

    Attributes:
        times: In ns since 1970, (E,).
        labels: Their classes, empty where the list has none, (E,).
    """

    times: np.ndarray
    labels: list[str]

    def between(self, spans: list[tuple[int, int]]) -> EventList:
        """Those that lie in one of some spans of time in ns."""
        inside = np.zeros(len(self.times), dtype=bool)
        for start, end in spans:
            inside |= (self.times >= start) & (self.times < end)
        return EventList(self.times[inside], [label for label, kept in zip(self.labels, inside, strict=True) if kept])


def read_event_list(path: Path) -> EventList:
    """Read a CSV table with a column of times (UTC) and, where there is one, a column of classes.

    Raises:
        UserError: There is no such column, or a line holds no time.
    """
    table = read_table(path)
    lower = {str(name).strip().lower(): str(name) for name in table.columns}
    column = next((lower[name] for name in TIMES if name in lower), None)
    if column is None:
        raise UserError(f"{shown(path)}: has no column of times; call one of {', '.join(table.columns)} time")
    times = pd.to_datetime(table[column], errors="coerce", utc=True, format="ISO8601")
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        said = table[column].iloc[row][:40]
        raise UserError(f"{shown(path)}: line {row + 2}: {said!r} is not a time; write 2020-03-28T13:07:21")
    if not len(times):
        raise UserError(f"{shown(path)}: lists no event")
    kind = next((lower[name] for name in CLASSES if name in lower), None)
    labels = table[kind].str.slice(0, 200).tolist() if kind else [""] * len(table)
    return EventList(times.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64), labels)
