"""Columns and rows of the tables that ``seisml predict`` writes."""

from __future__ import annotations

from typing import Any

from seisml.detection.coincidence import NetworkEvent
from seisml.detection.detections import Detection
from seisml.waveforms.index import Instrument
from seisml.waveforms.times import format_time

DETECTION_COLUMNS = (
    "network", "station", "location", "channel", "onset", "onset_uncertainty_s", "onset_by", "start", "end",
    "peak_time", "class", "probability", "class_probability", "n_windows",
)  # fmt: skip
EVENT_COLUMNS = (
    "event", "time", "last_onset", "class", "probability", "n_stations", "stations", "detections",
)  # fmt: skip
REPORT_COLUMNS = (
    "network", "station", "location", "channel", "day", "status", "windows", "seconds_recorded", "detections", "notes",
)  # fmt: skip


def detection_row(instrument: Instrument, detection: Detection) -> tuple[Any, ...]:
    """One row of ``detections.csv``."""
    return (
        instrument.network, instrument.station, instrument.location, instrument.band, format_time(detection.onset),
        f"{detection.onset_uncertainty:.3f}", "picker" if detection.picked else "probability",
        format_time(detection.start), format_time(detection.end), format_time(detection.peak), detection.label,
        f"{detection.probability:.4f}", f"{detection.label_probability:.4f}", detection.n_windows,
    )  # fmt: skip


def event_row(number: int, event: NetworkEvent) -> tuple[Any, ...]:
    """One row of ``events.csv``."""
    return (
        number, format_time(event.time), format_time(event.detections[-1][1].onset), event.label,
        f"{event.probability:.4f}", len(event.detections), " ".join(event.stations),
        " ".join(f"{station}@{format_time(detection.onset)}"
                 for station, (_, detection) in zip(event.stations, event.detections, strict=True)),
    )  # fmt: skip
