"""``seisml predict``: continuous streams -> probabilities, detections, pictures."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seisml.errors import UserError, nearest
from seisml.evaluation.figures.style import save
from seisml.inference.archive import work_off
from seisml.inference.closing import summary, write_results
from seisml.inference.dayplot import day_plot
from seisml.inference.detections import Detection, DetectionRule, Detector
from seisml.inference.output import read_probabilities, write_atomically
from seisml.inference.scan import PRECISIONS, Scanner
from seisml.inference.station_day import DayReport, ScanSettings, day_files, finished
from seisml.inference.window_grid import WindowGrid
from seisml.methods.classifier import Classifier
from seisml.progress import Progress, follow
from seisml.run.build import load_method
from seisml.waveforms.continuous import GridOptions
from seisml.waveforms.streams import StationDay, index_streams
from seisml.waveforms.times import DAY_NS

LEAST_THRESHOLD = 0.2  # for bfloat16: twice what it leaves to float32
EXAMPLE = "seisml predict runs/convnetquake/checkpoints/best.ckpt archive/2020 --out detections --step 1"


@dataclass(frozen=True)
class PredictOptions:
    """Options of :func:`predict`; see ``seisml predict --help``."""

    step: float = 1.0
    threshold: float = 0.5
    min_length: float = 0.0
    join: float = 0.0
    classes: tuple[str, ...] | None = None
    noise_class: str | None = None
    components: str | None = None
    missing: str = "skip"
    bandpass: tuple[float, float] | None = None
    precision: str = "float32"
    device: str = "cpu"
    quakeml: bool = False
    plots: bool = True
    scheduler: str | None = None
    workers: int | None = None
    trust: tuple[str, ...] = ()
    progress: bool = False


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
        checkpoint: A run's checkpoint.
        streams: Waveform files, folders, SDS archives.
        out: Output folder: ``detections.csv``, ``report.csv``, ``days/`` and ``figures/``.
        options: See there.

    Returns:
        ``detections`` (list of (StationDay's instrument, Detection)), ``reports`` (name -> DayReport), ``computed``
        (number of station-days computed now), ``skipped`` (files and instruments with the reason).

    Raises:
        UserError: Bad input: the checkpoint, a path or an option.
    """
    out = Path(out).resolve()  # workers may have another working folder
    method = load_method(checkpoint, options.trust)
    if not isinstance(method, Classifier):
        raise UserError(
            f"checkpoint {checkpoint} gives {method.task.gives}, and continuous records want class probabilities; "
            "give one that finetune.py trained on classes"
        )
    own_noise = method.task.noise_class  # what the checkpoint was trained to call noise
    rule = DetectionRule.of(
        method.facts.classes,
        options.noise_class or (own_noise if own_noise in method.facts.classes else None),
        options.classes,
        options.threshold,
        options.min_length,
        options.join,
    )
    settings, components = _settings(method, checkpoint, options, rule)
    scanner = Scanner(method, settings.grid, settings.precision, device=settings.device)  # refuses what cannot work
    index = index_streams(streams, options.progress, leave_out=out)
    grid = GridOptions(settings.grid.sampling_rate, settings.grid.length, settings.bandpass)
    single = scanner.in_channels == 1
    tasks, refused = index.station_days(components, settings.grid.length + grid.margin + 1, single)
    reports = {}
    waiting = []
    for task in tasks:
        if (done := finished(task, settings, out)) is not None:
            reports[task.name] = done
        else:
            waiting.append(task)
    with Progress("predicting", "station-day", len(waiting), shown=options.progress) as progress:
        for task, report in work_off(waiting, settings, out, options.scheduler, options.workers):
            reports[task.name] = report
            progress.update()
    found = collect(tasks, reports, settings, rule, out)
    write_results(out, index, refused, tasks, reports, found, str(checkpoint), options.quakeml)
    if options.plots:
        draw(tasks, reports, found, settings, rule, out, options.progress)
    return {
        "detections": found,
        "reports": reports,
        "computed": len(waiting),
        "skipped": [(str(path), reason) for path, reason in index.skipped] + refused,
    }


def collect(
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    settings: ScanSettings,
    rule: DetectionRule,
    out: Path,
) -> list[tuple[StationDay, Detection]]:
    """Merge the probabilities of all days into detections, one instrument after the other, a day at a time.

    Returns:
        Each detection with the day on which it starts, by start time.
    """
    found: list[tuple[StationDay, Detection]] = []
    step, length = settings.grid.step, settings.grid.length
    detector, previous = Detector(rule, step, length), None
    for task in tasks:
        if previous is not None and task.instrument != previous.instrument:
            found.extend((previous, detection) for detection in detector.close())
        previous = task
        if reports[task.name].status == "done":
            path = day_files(out, task)["probability"]
            times, probability = read_probabilities(path, len(rule.classes), step)
            found.extend((task, detection) for detection in detector.feed(times, probability))
    if previous is not None:
        found.extend((previous, detection) for detection in detector.close())
    return sorted(found, key=lambda pair: (pair[1].start, pair[0].instrument))


def draw(
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    found: Sequence[tuple[StationDay, Detection]],
    settings: ScanSettings,
    rule: DetectionRule,
    out: Path,
    progress: bool = False,
) -> None:
    """Draw each station-day; those whose picture would be the same are left as they are."""
    by_instrument: dict[Any, list[Detection]] = {}
    for task, detection in found:
        by_instrument.setdefault(task.instrument, []).append(detection)
    ledger = out / "figures" / ".drawn.json"
    try:
        drawn = json.loads(ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        drawn = {}
    for task in follow(tasks, "drawing", "station-day", shown=progress):
        files, path = day_files(out, task), out / "figures" / f"{task.name}.png"
        if reports[task.name].status == "failed" or not files["envelope"].exists():
            continue
        own = [d for d in by_instrument.get(task.instrument, ()) if d.start < task.day + DAY_NS and d.end > task.day]
        state = [repr(own), repr(rule), files["report"].stat().st_mtime_ns]
        key = hashlib.sha256(json.dumps(state).encode()).hexdigest()
        if drawn.get(task.name) == key and path.exists():
            continue
        with np.load(files["envelope"]) as arrays:
            envelope = dict(arrays)
        times, probability = read_probabilities(files["probability"], len(rule.classes), settings.grid.step)
        title = f"{task.instrument}, {task.date}"
        save(day_plot(title, task.day, envelope, times, probability, own, rule, settings.grid.length), path)
        drawn[task.name] = key
        write_atomically(ledger, lambda part: part.write_text(json.dumps(drawn), encoding="utf-8"))


def _settings(
    method: Any, checkpoint: str | Path, options: PredictOptions, rule: DetectionRule
) -> tuple[ScanSettings, str | None]:
    """The checkpoint's own preprocessing, with what the options put in its place."""
    if options.missing not in ("skip", "zeros"):
        raise UserError(f"--missing: {options.missing!r} is unknown; {nearest(options.missing, ('skip', 'zeros'))}")
    if options.device != "cpu" and not (options.device.startswith("cuda") and torch.cuda.is_available()):
        raise UserError(f"--device: there is no {options.device!r} here; use cpu")
    trained = method.run_record.get("data") or {}
    components = options.components or trained.get("components")
    if components is None and method.in_channels == 3:
        components = "ZNE"
    if components is None and method.in_channels > 1:
        raise UserError(f"the checkpoint's network takes {method.in_channels} components; name them with --components")
    if components is not None and method.in_channels not in (1, len(components)):
        raise UserError(
            f"--components: {components} are {len(components)}, the checkpoint's network takes {method.in_channels}; "
            "name that many"
        )
    if components is not None and len(set(components)) < len(components):
        raise UserError(f"--components: {components} names one twice; name each once")
    bandpass = options.bandpass or trained.get("bandpass")
    facts = method.facts
    if bandpass and not 0 < bandpass[0] < bandpass[1] < facts.sampling_rate / 2:
        raise UserError(
            f"--bandpass: {bandpass[0]:g} to {bandpass[1]:g} Hz do not lie in order between 0 and half the "
            f"checkpoint's {facts.sampling_rate:g} Hz; give a lower and an upper corner"
        )
    if options.precision == "bfloat16" and options.threshold < LEAST_THRESHOLD:
        raise UserError(
            f"--threshold: bfloat16 tells events from noise above {LEAST_THRESHOLD:g}, {options.threshold:g} is less; "
            "raise it or use --precision float32"
        )
    grid = WindowGrid.every(options.step, facts.sampling_rate, facts.n_samples)
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    settings = ScanSettings(
        str(Path(checkpoint).resolve()), digest, grid, options.precision,
        rule.events if options.precision != "float32" else (), options.device,
        tuple(bandpass) if bandpass else None, options.missing, options.trust,
    )  # fmt: skip
    return settings, components


# -- command line ------------------------------------------------------------------------------------------------------
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a run's checkpoints/best.ckpt or last.ckpt")
    parser.add_argument("streams", metavar="STREAM", nargs="+", help="miniSEED or SAC files, folders, an SDS archive")
    parser.add_argument("--out", required=True, help="output folder; finished station-days in it are not done again")
    parser.add_argument("--step", type=float, default=1.0, help="seconds between windows (default: 1)")
    parser.add_argument("--threshold", type=float, default=0.5, help="least event probability (default: 0.5)")
    parser.add_argument(
        "--min-length", type=float, default=0.0, help="least seconds over which windows say event (default: 0)"
    )
    parser.add_argument(
        "--join", type=float, default=0.0, help="join detections with so many seconds between them (default: 0)"
    )
    parser.add_argument("--classes", nargs="+", metavar="CLASS", help="classes to detect (default: all but noise)")
    parser.add_argument(
        "--noise-class", metavar="CLASS", help="class that means no event (default: the checkpoint's, or noise)"
    )
    parser.add_argument("--components", help="components in the network's order (default: the checkpoint's, or ZNE)")
    parser.add_argument(
        "--missing", default="skip", choices=("skip", "zeros"),
        help="windows that lack a component: skip them, or give zeros for it (default: skip)",
    )  # fmt: skip
    parser.add_argument(
        "--bandpass", nargs=2, type=float, metavar=("LOW", "HIGH"), help="Hz (default: the checkpoint's, or none)"
    )
    parser.add_argument("--precision", default="float32", choices=tuple(PRECISIONS), help="(default: float32)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--quakeml", action="store_true", help="write detections.xml too")
    parser.add_argument("--no-plots", action="store_true", help="leave out the day plots")
    parser.add_argument(
        "--scheduler", nargs="?", const="local", metavar="ADDRESS",
        help="work on a Dask cluster: at this address, or (local, the default) of processes on this computer",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="processes of the local cluster (default: one per core)")
    parser.add_argument(
        "--trust", nargs="+", default=(), metavar="PACKAGE",
        help="packages whose classes the checkpoint may name: their code runs (default: seisml alone)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the command: returns the exit code."""
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers: {arguments.workers} is no number of processes; give 1 or more")
    if arguments.workers is not None and arguments.scheduler != "local":
        raise UserError("--workers: sets the size of a local cluster; add --scheduler local")
    options = PredictOptions(
        arguments.step, arguments.threshold, arguments.min_length, arguments.join,
        tuple(arguments.classes) if arguments.classes else None, arguments.noise_class, arguments.components,
        arguments.missing, tuple(arguments.bandpass) if arguments.bandpass else None, arguments.precision,
        arguments.device, arguments.quakeml, not arguments.no_plots, arguments.scheduler, arguments.workers,
        tuple(arguments.trust), True,
    )  # fmt: skip
    started = time.perf_counter()
    result = predict(arguments.checkpoint, arguments.streams, arguments.out, options)
    print(summary(result, arguments.out, time.perf_counter() - started))
    return 1 if any(report.status == "failed" for report in result["reports"].values()) else 0
