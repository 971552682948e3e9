"""``seisml predict``: continuous streams -> probabilities, detections, pictures; or a contest's segments -> times."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seisml.commands import submission
from seisml.commands.devices import check_device
from seisml.detection.busy_stations import busy_remarks
from seisml.detection.closing import summary, write_results
from seisml.detection.coincidence import network_events
from seisml.detection.collect import collect
from seisml.detection.day_figures import draw
from seisml.detection.detections import DetectionRule
from seisml.errors import UserError, nearest
from seisml.evaluation.decision import Decision
from seisml.inference.archive import work_off
from seisml.inference.scan import PRECISIONS, Scanner
from seisml.inference.station_day import DayReport, ScanSettings, finished
from seisml.inference.trained import load_classifier, network_preprocessing
from seisml.inference.window_grid import WindowGrid
from seisml.methods.classifier import Classifier
from seisml.run.bundle import model_hash
from seisml.run.precision import choose_precision
from seisml.terminal.progress import Progress
from seisml.waveforms.preprocessing import TRENDS, Preprocessing, WrongStep
from seisml.waveforms.streams import StationDay, index_streams, station_days
from seisml.waveforms.traces import Bounds

WITHIN = 10.0  # seconds
THRESHOLD = 0.5  # where neither the user nor the checkpoint names one
LEAST_THRESHOLD = 0.2  # for bfloat16: twice what it leaves to float32
EXAMPLE = "seisml predict runs/convnetquake/checkpoints/best.ckpt archive/2020 --out detections --step 1"


@dataclass(frozen=True)
class PredictOptions:
    """Options of :func:`predict`; see ``seisml predict --help``."""

    step: float = 1.0
    threshold: float | None = None  # the checkpoint's, else THRESHOLD
    min_length: float = 0.0
    join: float = 0.0
    stations_at_least: int | None = None
    within: float = WITHIN
    classes: tuple[str, ...] | None = None
    noise_class: str | None = None
    components: str | None = None
    missing: str = "skip"
    bandpass: tuple[float, float] | None = None
    detrend: str | None = None
    precision: str = "float32"
    device: str = "cpu"
    quakeml: bool = False
    plots: bool = True
    scheduler: str | None = None
    workers: int | None = None
    trust: tuple[str, ...] = ()
    progress: bool = False
    largest_record: float = Bounds.largest_record


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
        out: Output folder: ``detections.csv``, ``report.csv``, ``days/`` and ``figures/``.
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
    index = index_streams(streams, options.progress, out, options.workers or os.cpu_count() or 1)
    grid, components = settings.grid_options(), settings.preprocessing.components
    reach = max(grid.margin(rate) for rate in index.sampling_rates()) + settings.grid.length + 1
    tasks, refused = station_days(index, components, reach, scanner.in_channels == 1, grid.longest_gap)
    reports, computed = _predict_days(tasks, settings, out, options)
    found = collect(tasks, reports, settings, rule, out, options.progress)
    events = network_events(found, options.stations_at_least, options.within) if options.stations_at_least else None
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
    tasks: Sequence[StationDay], settings: ScanSettings, out: Path, options: PredictOptions
) -> tuple[dict[str, DayReport], int]:
    """Predict the station-days that no earlier run has finished: the reports of all, and how many were computed."""
    done = {task.name: report for task in tasks if (report := finished(task, settings, out)) is not None}
    waiting = [task for task in tasks if task.name not in done]
    with Progress("predicting", "station-day", len(waiting), shown=options.progress) as progress:
        for task, report in work_off(waiting, settings, out, options.scheduler, options.workers):
            done[task.name] = report
            progress.update()
    return done, len(waiting)


def _settings(method: Classifier, checkpoint: str | Path, options: PredictOptions, rule: DetectionRule) -> ScanSettings:
    """What the checkpoint was trained with, with what the options put in its place."""
    if options.stations_at_least is not None and options.stations_at_least < 2:
        raise UserError(f"--stations-at-least: {options.stations_at_least} is not a number of stations; give 2 or more")
    if not 0 < options.within < float("inf"):
        raise UserError(f"--within: {options.within:g} s is not a length of time; give more than 0")
    if options.missing not in ("skip", "zeros"):
        raise UserError(f"--missing: {options.missing!r} is unknown; {nearest(options.missing, ('skip', 'zeros'))}")
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


# -- command line ------------------------------------------------------------------------------------------------------
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a run's checkpoints/best.ckpt, or a bundle's folder")
    parser.add_argument("streams", metavar="STREAM", nargs="+", help="miniSEED or SAC files, folders, an SDS archive")
    parser.add_argument("--out", help="output folder; finished station-days in it are not done again")
    parser.add_argument(
        "--submission", metavar="FILE",
        help="for a checkpoint of dataset=lanl and a folder of seg_*.csv: write their times to failure to this file",
    )  # fmt: skip
    _add_what_counts(parser)
    parser.add_argument("--components", help="components in the network's order (default: the checkpoint's, or ZNE)")
    parser.add_argument(
        "--missing", default="skip", choices=("skip", "zeros"),
        help="windows that lack a component: skip them, or give zeros for it (default: skip)",
    )  # fmt: skip
    parser.add_argument(
        "--bandpass", nargs=2, type=float, metavar=("LOW", "HIGH"), help="Hz (default: the checkpoint's, or none)"
    )
    parser.add_argument(
        "--detrend", choices=("none", *TRENDS), help="of each window (default: the checkpoint's, or none)"
    )
    parser.add_argument(
        "--precision", default="float32", choices=(*PRECISIONS, "auto"),
        help="bfloat16 is faster where the processor has instructions for it, which auto finds out (default: float32)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--quakeml", action="store_true", help="write detections.xml (and events.xml) too")
    parser.add_argument("--no-plots", action="store_true", help="leave out the day plots")
    parser.add_argument(
        "--scheduler", nargs="?", const="local", metavar="ADDRESS",
        help="work on a Dask cluster: at this address, or (local, the default) of processes on this computer",
    )  # fmt: skip
    parser.add_argument(
        "--largest-record", metavar="GIB", type=float, default=Bounds.largest_record,
        help="most that one file may take up in memory at once, in GiB of float32 (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="processes of the local cluster (default: one per core)")
    parser.add_argument(
        "--trust", nargs="+", default=(), metavar="PACKAGE",
        help="packages whose classes the checkpoint may name: their code runs (default: seisml alone)",
    )  # fmt: skip


def _add_what_counts(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is an event."""
    parser.add_argument("--step", type=float, default=1.0, help="seconds between windows (default: 1)")
    parser.add_argument(
        "--threshold", type=float,
        help=f"least event probability (default: what the checkpoint chose on its dev part, or {THRESHOLD:g})",
    )  # fmt: skip
    parser.add_argument(
        "--min-length", type=float, default=0.0, help="least seconds over which windows say event (default: 0)"
    )
    parser.add_argument(
        "--join", type=float, default=0.0,
        help="join event windows with so many seconds between them, beside those that overlap (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--stations-at-least", type=int, metavar="N", help="write events that so many stations detected: events.csv"
    )
    parser.add_argument(
        "--within", type=float, default=WITHIN, metavar="S",
        help="seconds from the first onset of such an event to the last (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--classes", nargs="+", metavar="CLASS", help="classes to detect (default: all but noise)")
    parser.add_argument(
        "--noise-class", metavar="CLASS", help="class that means no event (default: the checkpoint's, or noise)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command: returns the exit code."""
    if arguments.submission is not None:
        return submission.run(arguments)
    if arguments.out is None:
        raise UserError("--out: name the folder for what is found, or --submission FILE for a contest's segments")
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers: {arguments.workers} is not a number of processes; give 1 or more")
    if not arguments.largest_record > 0:
        raise UserError(f"--largest-record {arguments.largest_record:g}: must be greater than 0")
    if arguments.workers is not None and arguments.scheduler != "local":
        raise UserError("--workers: sets the size of a local cluster; add --scheduler local")
    options = PredictOptions(
        arguments.step, arguments.threshold, arguments.min_length, arguments.join, arguments.stations_at_least,
        arguments.within,
        tuple(arguments.classes) if arguments.classes else None, arguments.noise_class, arguments.components,
        arguments.missing, tuple(arguments.bandpass) if arguments.bandpass else None, arguments.detrend,
        arguments.precision, arguments.device, arguments.quakeml, not arguments.no_plots, arguments.scheduler,
        arguments.workers, tuple(arguments.trust), True, arguments.largest_record,
    )  # fmt: skip
    started = time.perf_counter()
    result = predict(arguments.checkpoint, arguments.streams, arguments.out, options)
    print(summary(result, arguments.out, time.perf_counter() - started))
    if not result["preprocessing"].known:
        print("the checkpoint does not say how its data were preprocessed: give --bandpass and --detrend if they were")
    return 1 if any(report.status == "failed" for report in result["reports"].values()) else 0
