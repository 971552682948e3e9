"""``seisml predict``: continuous streams -> probabilities, detections, pictures; or a contest's segments -> times."""

from __future__ import annotations

import argparse
import time

from seisml.detection.options import MISSING, THRESHOLD, WITHIN, PredictOptions
from seisml.errors import UserError
from seisml.waveforms.preprocessing import TRENDS
from seisml.waveforms.traces import Bounds

EXAMPLE = "seisml predict runs/convnetquake/checkpoints/best.ckpt archive/2020 --out detections --step 1"


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
        "--missing", default=MISSING[0], choices=MISSING,
        help="windows that lack a component: skip them, or give zeros for it (default: skip)",
    )  # fmt: skip
    parser.add_argument(
        "--bandpass", nargs=2, type=float, metavar=("LOW", "HIGH"), help="Hz (default: the checkpoint's, or none)"
    )
    parser.add_argument(
        "--detrend", choices=("none", *TRENDS), help="of each window (default: the checkpoint's, or none)"
    )
    parser.add_argument(
        "--precision", default="float32", choices=("float32", "bfloat16", "auto"),
        help="bfloat16 is faster where the processor has instructions for it, which auto finds out (default: float32)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--quakeml", action="store_true", help="write detections.xml (and events.xml) too")
    parser.add_argument("--no-plots", action="store_true", help="leave out the day plots")
    parser.add_argument(
        "--scheduler", nargs="?", const="local", metavar="ADDRESS",
        help="work on a Dask cluster: at this address, of processes on this computer (local, the default), or of jobs "
        "that SLURM starts (slurm)",
    )  # fmt: skip
    parser.add_argument(
        "--largest-record", metavar="GIB", type=float, default=Bounds.largest_record,
        help="most that one file may take up in memory at once, in GiB of float32 (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, help="processes of the local cluster (default: one per core), or jobs of SLURM"
    )
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
    # here, so that --help and a wrong option need not wait for PyTorch
    if arguments.submission is not None:
        from seisml.commands import submission

        return submission.run(arguments)
    if arguments.out is None:
        raise UserError("--out: name the folder for what is found, or --submission FILE for a contest's segments")
    options = PredictOptions(
        arguments.step, arguments.threshold, arguments.min_length, arguments.join, arguments.stations_at_least,
        arguments.within,
        tuple(arguments.classes) if arguments.classes else None, arguments.noise_class, arguments.components,
        arguments.missing, tuple(arguments.bandpass) if arguments.bandpass else None, arguments.detrend,
        arguments.precision, arguments.device, arguments.quakeml, not arguments.no_plots, arguments.scheduler,
        arguments.workers, tuple(arguments.trust), True, arguments.largest_record,
    )  # fmt: skip
    from seisml.detection.closing import summary
    from seisml.detection.predict import predict

    started = time.perf_counter()
    result = predict(arguments.checkpoint, arguments.streams, arguments.out, options)
    print(summary(result, arguments.out, time.perf_counter() - started))
    if not result["preprocessing"].known:
        print("the checkpoint does not say how its data were preprocessed: give --bandpass and --detrend if they were")
    return 1 if any(report.status == "failed" for report in result["reports"].values()) else 0
