"""From the probabilities of all days on disk to the detections of each instrument."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from seisml.detection.detections import Detection, DetectionRule, Detector
from seisml.detection.onsets import refine_onsets
from seisml.inference.probabilities import read_probabilities
from seisml.inference.station_day import DayReport, ScanSettings, day_files
from seisml.inference.window_grid import WindowGrid
from seisml.terminal.progress import follow
from seisml.waveforms.index import Instrument
from seisml.waveforms.streams import StationDay
from seisml.workers.cluster import Cluster


def collect(
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    settings: ScanSettings,
    rule: DetectionRule,
    out: Path,
    progress: bool = False,
    cluster: Cluster | None = None,
) -> list[tuple[Instrument, Detection]]:
    """Merge the probabilities of all days into detections, and pick their onsets.

    Args:
        tasks: Station-days, in order of instrument and day.
        reports: What became of each, by name.
        settings: How they were predicted.
        rule: What counts as a detection.
        out: Output folder, which has the probabilities.
        progress: Show how far it is.
        cluster: Does it in place of this process, an instrument and then a station-day at a time.

    Returns:
        Each detection with its instrument, by start time; onsets picked on the waveforms.
    """
    apply = map if cluster is None else cluster.in_order
    done = [task for task in tasks if reports[task.name].status == "done"]
    instruments = [list(days) for _, days in groupby(done, key=lambda task: task.instrument)]
    files = ([day_files(out, task)["probability"] for task in days] for days in instruments)
    merged = apply(partial(merge, rule=rule, grid=settings.grid), files)
    merged = follow(merged, "merging windows", "instrument", len(instruments), shown=progress)
    rising = [of_day for days, found in zip(instruments, merged, strict=True) for of_day in _by_day(days, found)]
    picked = apply(partial(refine_onsets, settings=settings), rising)
    picked = follow(picked, "picking onsets", "station-day", len(rising), shown=progress)
    found = [
        (task.instrument, detection)
        for (task, _), of_day in zip(rising, picked, strict=True)
        for detection in of_day
    ]  # fmt: skip
    return sorted(found, key=lambda pair: (pair[1].start, pair[0]))


def merge(files: Sequence[Path], rule: DetectionRule, grid: WindowGrid) -> list[Detection]:
    """Merge the probabilities of an instrument's days into detections, over midnight too.

    Args:
        files: Probabilities of its days, in order; one is in memory at a time.
        rule: What counts as a detection.
        grid: The windows.

    Returns:
        The detections, in order of time, with the onsets that the probabilities give.
    """
    detector, found = Detector(rule, grid.step, grid.length), []
    for path in files:
        found += detector.feed(*read_probabilities(path, len(rule.classes), grid.step))
    return found + detector.close()


def _by_day(days: Sequence[StationDay], found: Sequence[Detection]) -> Iterator[tuple[StationDay, list[Detection]]]:
    """An instrument's days on which detections rise, and these."""
    starts = [task.day for task in days]
    for number, of_day in groupby(found, key=lambda one: max(0, bisect_right(starts, one.rise[0]) - 1)):
        yield days[number], list(of_day)
