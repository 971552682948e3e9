"""``seisml classify``: recordings of events, or a store -> classes, and how right they are where labels exist."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from seisml.errors import UserError
from seisml.waveforms.traces import Bounds

EXAMPLE = "seisml classify runs/nz_2013/checkpoints/best.ckpt recordings --out classified"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a run's checkpoints/best.ckpt or last.ckpt")
    parser.add_argument(
        "sources", metavar="FILES|FOLDER|STORE", nargs="+",
        help="waveform files of one event each, a folder of them (sub-folders named after classes are labels), or a "
        "prepared store",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FOLDER", required=True, help="where predictions.csv and the figures go")
    parser.add_argument(
        "--labels", metavar="CSV", type=Path, help="table with the columns file and class, for files in one folder"
    )
    parser.add_argument(
        "--event", metavar="REGEX",
        help="pattern searched in the file name whose group 'event' names the event, where several files show one "
        "(default: every file is an event)",
    )  # fmt: skip
    parser.add_argument("--embedding", action="store_true", help="add the network's features to predictions.csv")
    parser.add_argument("--components", metavar="ZNE", help="components in the network's order (default: the model's)")
    parser.add_argument("--batch-size", type=int, default=64, help="records at once (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--workers", metavar="N", type=int, default=os.cpu_count() or 1, help="processes that read files (default: all)"
    )
    parser.add_argument("--no-plots", action="store_true", help="leave out the figures")
    parser.add_argument(
        "--keep-records", action="store_true", help="keep the recordings as the network saw them, a store"
    )
    parser.add_argument(
        "--largest-record", metavar="GIB", type=float, default=Bounds.largest_record,
        help="most that one file may take up in memory at once, in GiB of float32 (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--trust", nargs="+", default=(), metavar="PACKAGE",
        help="packages whose classes the checkpoint may name: their code runs (default: seisml alone)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the command: returns the exit code."""
    for name in ("batch_size", "workers"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name.replace('_', '-')}: {getattr(arguments, name)} is too few; give 1 or more")
    if not arguments.largest_record > 0:
        raise UserError(f"--largest-record {arguments.largest_record:g}: must be greater than 0")
    # here, so that --help and a wrong option need not wait for PyTorch
    from seisml.inference.classify import ClassifyOptions, classify
    from seisml.values.file_names import PREDICTIONS_FILE

    options = ClassifyOptions(
        arguments.labels, arguments.event, arguments.embedding, arguments.components, arguments.batch_size,
        arguments.device, arguments.workers, not arguments.no_plots, arguments.keep_records, tuple(arguments.trust),
        True, arguments.largest_record,
    )  # fmt: skip
    started = time.perf_counter()
    result = classify(arguments.checkpoint, arguments.sources, arguments.out, options)
    n, skipped = len(result["predictions"].output), len(result["skipped"])
    print(f"\n{n} records classified in {time.perf_counter() - started:.1f} s"
          + (f", {skipped} files skipped" if skipped else ""))  # fmt: skip
    print(f"predictions  {Path(arguments.out) / PREDICTIONS_FILE}")
    return 0
