"""Continuous streams -> probabilities of windows, detections, events of several stations, pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from seisml.detection.busy_stations import busy_remarks
from seisml.detection.closing import write_results
from seisml.detection.coincidence import network_events
from seisml.detection.collect import collect
from seisml.detection.day_figures import draw
from seisml.detection.detections import DetectionRule
from seisml.detection.options import THRESHOLD, PredictOptions
from seisml.detection.record import write_prediction
from seisml.errors import UserError
from seisml.evaluation.decision import Decision
from seisml.inference.archive import work_off
from seisml.inference.devices import check_device
from seisml.inference.scan import Scanner
from seisml.inference.station_day import DayReport, ScanSettings, finished
from seisml.inference.trained import load_classifier, network_preprocessing
from seisml.inference.window_grid import WindowGrid
from seisml.methods.classifier import Classifier
from seisml.run.bundle import model_hash
from seisml.run.precision import choose_precision
from seisml.terminal.progress import Progress
from seisml.waveforms.preprocessing import Preprocessing, WrongStep
from seisml.waveforms.streams import StationDay, index_streams, station_days
from seisml.workers.cluster import Cluster, open_cluster

LEAST_THRESHOLD = 0.2  # for bfloat16: twice what it leaves to float32


def predict(
    checkpoint: str | Path,
    streams: Sequence[str | Path],
    out: str | Path,
    options: PredictOptions = PredictOptions(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Find events in continuous records.

    Station-days that an earlier run finished from the same files with the same settings are not computed again;
    detections are merged anew from all of them, over midnight too.

    Args:
        checkpoint: A run's checkpoint or a bundle.
        streams: Waveform files, folders, SDS archives.
        out: Output folder: ``detections.csv``, ``report.csv``, ``prediction.json`` (what they were made
            with), ``days/`` and ``figures/``.
        options: See there.

    Returns:
        ``detections`` (list of (instrument, Detection)), ``events`` (of several stations; None where not asked for),
        ``tasks`` (the station-days), ``reports`` (name -> DayReport), ``busy`` (station-days that detect all day ->
        remark), ``computed`` (number of station-days computed now), ``skipped`` (files and instruments with the
        reason), ``preprocessing``.

    Raises:
        UserError: Bad input: the checkpoint, a path or an option.
    """
    out = Path(out).resolve()  # workers may have another working folder
    method = load_classifier(checkpoint, options.trust)
    rule = _rule(method, options)
    settings = _settings(method, checkpoint, options, rule)
    scanner = Scanner(method, settings.grid, settings.precision, device=settings.device)  # refuses what cannot work
    with open_cluster(options.scheduler, options.workers) if options.scheduler else nullcontext() as cluster:
        index = index_streams(streams, options.progress, out, os.cpu_count() or 1, cluster)
        grid, components = settings.grid_options(), settings.preprocessing.components
        reach = max(grid.margin(rate) for rate in index.sampling_rates()) + settings.grid.length + 1
        tasks, refused = station_days(index, components, reach, scanner.in_channels == 1, grid.longest_gap)
        reports, computed = _predict_days(tasks, settings, out, options.progress, cluster)
        found = collect(tasks, reports, settings, rule, out, options.progress, cluster)
    events = network_events(found, options.stations_at_least, options.within) if options.stations_at_least else None
    write_prediction(out, streams, settings, rule, scanner.in_channels == 1)
    write_results(out, index, refused, tasks, reports, found, events, str(checkpoint), options.quakeml)
    if options.plots:
        draw(tasks, reports, found, settings, rule, out, options.progress)
    return {
        "detections": found,
        "events": events,
        "busy": busy_remarks(tasks, reports, found),
        "tasks": tasks,
        "reports": reports,
        "computed": computed,
        "skipped": [(str(path), reason) for path, reason in index.skipped] + refused,
        "preprocessing": settings.preprocessing,
    }


def _rule(method: Classifier, options: PredictOptions) -> DetectionRule:
    """What counts as a detection; noise is what the checkpoint was trained to call so, unless an option names it."""
    noise = method.task.noise_class
    rule = DetectionRule.of(
        method.facts.classes,
        options.noise_class or (noise if noise in method.facts.classes else None),
        options.classes,
        THRESHOLD if options.threshold is None else options.threshold,
        options.min_length,
        options.join,
    )
    chosen = Decision.from_record(method.run_record)
    if options.threshold is not None or chosen is None or not rule.asks(chosen):
        return rule
    print(f"threshold {chosen}; --threshold sets another", flush=True)
    return replace(rule, threshold=chosen.threshold)


def _predict_days(
    tasks: Sequence[StationDay], settings: ScanSettings, out: Path, progress: bool, cluster: Cluster | None
) -> tuple[dict[str, DayReport], int]:
    """Predict the station-days that no earlier run has finished: the reports of all, and how many were computed."""
    done = {task.name: report for task in tasks if (report := finished(task, settings, out)) is not None}
    waiting = [task for task in tasks if task.name not in done]
    with Progress("predicting", "station-day", len(waiting), shown=progress) as shown:
        for task, report in work_off(waiting, settings, out, cluster):
            done[task.name] = report
            shown.update()
    return done, len(waiting)


def _settings(method: Classifier, checkpoint: str | Path, options: PredictOptions, rule: DetectionRule) -> ScanSettings:
    """What the checkpoint was trained with, with what the options put in its place."""
    check_device(options.device)
    steps, facts = _preprocessing(method, checkpoint, options), method.facts
    precision = _precision(options, rule.threshold)
    if precision == "bfloat16" and rule.threshold < LEAST_THRESHOLD:
        raise UserError(
            f"--threshold: bfloat16 tells events from noise above {LEAST_THRESHOLD:g}, {rule.threshold:g} is less; "
            "raise it or use --precision float32"
        )
    grid = WindowGrid.every(options.step, facts.sampling_rate, facts.n_samples)
    settings = ScanSettings(
        str(Path(checkpoint).resolve()), model_hash(checkpoint), grid, precision,
        rule.events if precision != "float32" else (), options.device, steps, options.missing, options.trust,
        options.largest_record,
    )  # fmt: skip
    return settings


def _precision(options: PredictOptions, threshold: float) -> str:
    """What ``auto`` means here; says so, and where bfloat16 is the slower choice."""
    if options.precision == "auto" and threshold < LEAST_THRESHOLD:
        return "float32"
    chosen, words = choose_precision(options.precision, options.device)
    if words:
        print(words, flush=True)
    return chosen


def _preprocessing(method: Classifier, checkpoint: str | Path, options: PredictOptions) -> Preprocessing:
    """The network's preprocessing, with what the options put in its place."""
    changes: dict[str, Any] = {}
    if options.bandpass:
        changes |= {"bandpass": tuple(options.bandpass), "known": True}
    if options.detrend:
        changes |= {"detrend": None if options.detrend == "none" else options.detrend, "known": True}
    try:
        return network_preprocessing(method, checkpoint, options.components, changes)
    except WrongStep as error:
        raise UserError(f"--{error.step.replace('_', '-')} {error.problem}") from error
