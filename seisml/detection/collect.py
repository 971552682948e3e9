"""From the probabilities of all days on disk to the detections of each instrument."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from seisml.detection.detections import Detection, DetectionRule, Detector
from seisml.detection.onsets import refine_onsets
from seisml.inference.probabilities import read_probabilities
from seisml.inference.station_day import DayReport, ScanSettings, day_files
from seisml.terminal.progress import Progress
from seisml.waveforms.index import Instrument
from seisml.waveforms.streams import StationDay


def collect(
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    settings: ScanSettings,
    rule: DetectionRule,
    out: Path,
    progress: bool = False,
) -> list[tuple[Instrument, Detection]]:
    """Merge the probabilities of all days into detections, one instrument after the other, a day at a time.

    Args:
        tasks: Station-days, in order of instrument and day.
        reports: What became of each, by name.
        settings: How they were predicted.
        rule: What counts as a detection.
        out: Output folder, which has the probabilities.
        progress: Show how far it is.

    Returns:
        Each detection with its instrument, by start time; onsets picked on the waveforms.
    """
    found: list[tuple[Instrument, Detection]] = []
    with Progress("picking onsets", "station-day", len(tasks), shown=progress) as shown:
        for instrument, of_instrument in groupby(tasks, key=lambda task: task.instrument):
            days = list(of_instrument)
            detector, detections = Detector(rule, settings.grid.step, settings.grid.length), []
            done = [task for task in days if reports[task.name].status == "done"]
            for task in done:
                path = day_files(out, task)["probability"]
                times, probability = read_probabilities(path, len(rule.classes), settings.grid.step)
                detections += detector.feed(times, probability)
            detections += detector.close()
            found += [(instrument, detection) for detection in refine_onsets(detections, done, settings)]
            shown.update(len(days))
    return sorted(found, key=lambda pair: (pair[1].start, pair[0]))
