"""What ``seisml predict`` has left, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field

from seisml.errors import UserError, shown
from seisml.report.reading import MOST_ROWS, read_json, read_table
from seisml.values.file_names import DETECTIONS_FILE, PREDICTION_FILE, STATION_DAYS_FILE
from seisml.values.stored import read_stored
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.times import DAY_NS, format_day

CODES = ("network", "station", "location", "channel")
NEEDED = (*CODES, "onset", "start", "end", "class", "probability")
Text = Annotated[str, Field(max_length=4000)]


@dataclass(frozen=True)
class About:
    """What the prediction was made with, as ``prediction.json`` says it.

    Attributes:
        checkpoint: The model's file.
        checkpoint_hash: Of its bytes.
        streams: What was read.
        classes: All classes, in the order of the probabilities.
        events: Those that are detected.
        threshold: Least probability of an event.
        window_s: Length of the network's window.
        step_s: Time between windows.
        sampling_rate: Of the network, in Hz.
        preprocessing: Of the samples, as stored.
        any_component: The network looks at one trace at a time.
        versions: Of what computed.
    """

    checkpoint: Text
    checkpoint_hash: Text
    streams: Annotated[list[Text], Field(max_length=10_000)]
    classes: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    events: Annotated[list[Text], Field(max_length=1000)]
    threshold: Annotated[float, Field(gt=0, le=1)]
    window_s: Annotated[float, Field(gt=0, le=86_400)]
    step_s: Annotated[float, Field(gt=0, le=86_400)]
    sampling_rate: Annotated[float, Field(gt=0, le=1e8)]
    preprocessing: dict[str, Any]
    any_component: bool
    versions: dict[str, str | None]

    __pydantic_config__ = ConfigDict(extra="ignore", allow_inf_nan=False)

    def steps(self, where: str) -> Preprocessing:
        """The preprocessing, checked."""
        return Preprocessing.from_dict(self.preprocessing, where)


@dataclass(frozen=True)
class Found:
    """A detection. Times in ns since 1970.

    Attributes:
        codes: Network, station, location and band.
        onset: When it began.
        start: From here on most windows say event.
        end: Until here.
        label: Its class.
        probability: Largest of an event.
        row: Its place in the table.
    """

    codes: tuple[str, str, str, str]
    onset: int
    start: int
    end: int
    label: str
    probability: float
    row: int

    @property
    def station(self) -> str:
        """Its instrument: NET.STA.LOC.BAND."""
        return ".".join(self.codes)

    @property
    def day(self) -> int:
        """Midnight before its onset."""
        return self.onset // DAY_NS * DAY_NS

    @property
    def date(self) -> str:
        """Its day as year.day-of-year."""
        return format_day(self.day)


@dataclass
class Record:
    """A folder of ``seisml predict``.

    Attributes:
        folder: Where it is.
        found: The detections, by time.
        days: ``report.csv``: a row for each station-day and for each file that was passed over.
        about: What it was made with; None where that is not known.
        problems: What could not be read, a line each.
    """

    folder: Path
    found: list[Found] = field(default_factory=list)
    days: pd.DataFrame = field(default_factory=pd.DataFrame)
    about: About | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def stations(self) -> list[str]:
        """Instruments with a detection."""
        return sorted({found.station for found in self.found})

    @property
    def station_days(self) -> float:
        """Days of record, summed over the stations."""
        if "seconds_recorded" not in self.days:
            return 0.0
        seconds = pd.to_numeric(self.days["seconds_recorded"], errors="coerce")
        return float(seconds[np.isfinite(seconds) & (seconds > 0)].sum() / 86_400)


def read_record(folder: Path) -> Record:
    """Read the tables; what is broken costs itself, and is said."""
    record = Record(folder)
    for part in (_found, _days, _about):
        try:
            part(record)
        except UserError as error:
            record.problems.append(str(error))
    return record


def _found(record: Record) -> None:
    path = record.folder / DETECTIONS_FILE
    table = read_table(path, NEEDED)
    times = {name: _times(table[name]) for name in ("onset", "start", "end")}
    probability = pd.to_numeric(table["probability"], errors="coerce").to_numpy(np.float64)
    good = np.isfinite(probability) & (probability >= 0) & (probability <= 1)
    for values in times.values():
        good &= values > 0
    good &= (times["start"] <= times["end"]) & (times["end"] - times["start"] < 100 * DAY_NS)
    if not good.all():
        first = int(np.flatnonzero(~good)[0]) + 2
        record.problems.append(f"{shown(path)}: {int((~good).sum())} rows are no detections, the first in line {first}")
    if len(table) == MOST_ROWS:
        record.problems.append(f"{shown(path)}: the first {MOST_ROWS} rows were read")
    codes = list(zip(*(table[name].str.slice(0, 40) for name in CODES), strict=True))
    labels = table["class"].str.slice(0, 200).tolist()
    record.found = sorted(
        (
            Found(codes[row], int(times["onset"][row]), int(times["start"][row]), int(times["end"][row]), labels[row],
                  float(probability[row]), int(row))
            for row in np.flatnonzero(good)
        ),
        key=lambda found: (found.onset, found.codes),
    )  # fmt: skip


def _days(record: Record) -> None:
    record.days = read_table(record.folder / STATION_DAYS_FILE, (*CODES, "day", "status", "seconds_recorded"))


def _about(record: Record) -> None:
    path = record.folder / PREDICTION_FILE
    if not path.exists():
        raise UserError(
            f"{shown(path)}: is not there, so that waveforms and probabilities are left out; run seisml predict again "
            "with the same --out: finished station-days are kept"
        )
    about = read_stored(About, read_json(path), shown(path))
    about.steps(shown(path))
    record.about = about


def _times(texts: pd.Series) -> np.ndarray:
    """Nanoseconds since 1970, 0 for what is no time."""
    times = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
    return times.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64).clip(0)
