"""Stations that detect all day: most often a bad sensor, and seldom that many events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from seisml.detection.detections import Detection
from seisml.inference.station_day import DayReport
from seisml.waveforms.index import Instrument
from seisml.waveforms.streams import StationDay
from seisml.waveforms.times import DAY_NS

MOST_SHARE = 0.5  # of the recorded time in detections
TIMES_THE_OTHERS = 5.0  # detections an hour, against the median of the other instruments
LEAST_RECORD = 3600.0  # seconds: files that a trigger cut are full of events
FEW = 10  # detections of a day that are never too many


def busy_remarks(
    tasks: Sequence[StationDay], reports: dict[str, DayReport], found: Sequence[tuple[Instrument, Detection]]
) -> dict[str, str]:
    """Remark on station-days with far more detections than an instrument in order has.

    A station-day is remarked on where detections cover half of an hour or more of record, or where it has more than ten
    of them, at five times the hourly rate that the other instruments have in the median (at least one in their record).

    Args:
        tasks: The station-days.
        reports: What became of each, by name.
        found: Instrument and detection.

    Returns:
        Name of the station-day -> remark.
    """
    spans: dict[tuple[Instrument, int], list[tuple[int, int]]] = defaultdict(list)
    for instrument, detection in found:
        for day in range(detection.start // DAY_NS, detection.end // DAY_NS + 1):
            part = max(detection.start, day * DAY_NS), min(detection.end, (day + 1) * DAY_NS)
            spans[instrument, day * DAY_NS].append(part)
    hours: dict[Instrument, float] = defaultdict(float)
    counts: dict[Instrument, int] = defaultdict(int)
    for task in tasks:
        hours[task.instrument] += reports[task.name].recorded / 3600
        counts[task.instrument] += len(spans[task.instrument, task.day])
    rates = {instrument: max(counts[instrument], 1) / time for instrument, time in hours.items() if time > 0}
    remarks = {}
    for task in tasks:
        detected, recorded = spans[task.instrument, task.day], reports[task.name].recorded
        if not detected or recorded <= 0:
            continue
        words = []
        share = sum(end - start for start, end in detected) * 1e-9 / recorded
        if share >= MOST_SHARE and recorded >= LEAST_RECORD:
            words.append(f"detections cover {min(share, 1.0):.0%} of what was recorded")
        others = [rate for instrument, rate in rates.items() if instrument != task.instrument]
        usual = float(np.median(others)) if others else np.inf
        rate = len(detected) / (recorded / 3600)
        if len(detected) > FEW and rate >= TIMES_THE_OTHERS * usual:
            words.append(f"{rate:.3g} detections an hour, where the other instruments have {usual:.3g} in the median")
        if words:
            remarks[task.name] = f"detects all day ({'; '.join(words)}): is the sensor in order?"
    return remarks
