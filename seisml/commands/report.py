"""``seisml report``: runs, sweeps, comparisons and continuous records as one page that can be read anywhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from seisml.errors import UserError, shown

EXAMPLE = "seisml report runs/finetune/2026-11-21_* --out report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path,
        help="folder of a run, a multirun, a sweep, a cross-validation, of seisml compare, classify or predict; "
        "several stand side by side",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("report.html"), help="the page (report.html)")
    parser.add_argument("--title", help="title of the page (default: what is in it)")
    parser.add_argument("--pictures", metavar="N", type=int, default=60, help="most pictures in it (default: 60)")
    parser.add_argument(
        "--labels", metavar="CSV", type=Path,
        help="for continuous records: events with the columns time and class, which tell false alarms",
    )  # fmt: skip
    parser.add_argument(
        "--within", metavar="S", type=float,
        help="seconds that such an event may lie beside a detection (default: the length of the network's window)",
    )  # fmt: skip
    parser.add_argument(
        "--recordings", metavar="STREAM", nargs="+", type=Path, default=(),
        help="files or folders of the continuous records, where they are no longer where seisml predict read them",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the command: returns the exit code."""
    if arguments.pictures < 0:
        raise UserError(f"--pictures: {arguments.pictures} is no number of pictures; give 0 or more")
    if arguments.within is not None and not 0 <= arguments.within < float("inf"):
        raise UserError(f"--within: {arguments.within:g} s is not a length of time; give 0 or more")
    if arguments.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {shown(arguments.out)}: is no page; name a file that ends in .html")
    # here, so that --help and a wrong option need not wait for tables and figures
    from seisml.report.compose import ReportOptions
    from seisml.report.write import write_report

    options = ReportOptions(
        arguments.title, arguments.pictures, arguments.labels, arguments.within, tuple(arguments.recordings)
    )
    page = write_report(arguments.runs, arguments.out, options)
    for problem in page.problems:
        print(f"left out: {problem}")
    print(f"report      {shown(arguments.out)} ({arguments.out.stat().st_size / 2**20:.1f} MiB)")
    return 0
