"""``seisml prepare folder``: a folder of classes, one waveform file per event, becomes a store."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from seisml.errors import UserError
from seisml.prepare.files import Listing, PrepareOptions, SourceFile, prepare_files
from seisml.waveforms.listing import is_store, walk
from seisml.waveforms.record import ReadOptions

EXAMPLE = "seisml prepare folder recordings --out data/mine --sampling-rate 100 --length 30 --detrend constant"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="SRC", type=Path, help="folder with one sub-folder per class")
    parser.add_argument("--out", metavar="STORE", type=Path, required=True, help="folder of the store to make")
    parser.add_argument(
        "--event",
        metavar="REGEX",
        help="pattern searched in the file name whose group 'event' names the event, e.g. '(?P<event>.+)_OL\\d+' where "
        "many sensors recorded one event (default: every file is an event of its own)",
    )
    add_reading_arguments(parser)
    add_store_arguments(parser)


def add_reading_arguments(parser: ArgumentParser) -> None:
    """Declare what can be done to each recording."""
    group = parser.add_argument_group(
        "processing, in this order: gaps, components, detrend, resample, band-pass, length"
    )
    group.add_argument(
        "--fill-gaps", choices=("zero", "interpolate"), help="keep recordings with gaps, filled this way"
    )
    group.add_argument("--components", metavar="ZNE", help="take these components, in this order (default: all traces)")
    group.add_argument("--detrend", choices=("constant", "linear"), help="remove each trace's mean or linear trend")
    group.add_argument("--sampling-rate", metavar="HZ", type=float, help="resample to this rate, with anti-aliasing")
    group.add_argument(
        "--bandpass",
        metavar=("LOW", "HIGH"),
        nargs=2,
        type=float,
        help="zero-phase band-pass in Hz (Butterworth, 4 corners)",
    )
    group.add_argument(
        "--length", metavar="SECONDS", type=float, help="cut to this length, or pad with zeros at the end"
    )


def add_store_arguments(parser: ArgumentParser) -> None:
    """Declare how the store is made."""
    parser.add_argument("--unit", default="counts", help="unit of the samples (default: %(default)s)")
    parser.add_argument("--measurement", default="velocity", help="what they measure (default: %(default)s)")
    parser.add_argument(
        "--workers", metavar="N", type=int, default=os.cpu_count(), help="processes (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="rebuild the store where it exists")


def run(arguments: Namespace) -> int:
    """Prepare a store from a folder of classes.

    Returns:
        Exit code 0.

    Raises:
        UserError: The folder or an option is wrong, or no file could be used.
    """
    reading, how = reading_options(arguments), store_options(arguments)
    classes = class_folders(arguments.source, arguments.out)
    pattern = _event_pattern(arguments.event)
    listing = Listing(classes=list(classes))
    for entry in sorted(arguments.source.iterdir()):
        if entry.is_file() and not entry.name.startswith("."):
            listing.skipped.append(("", entry.name, "not in a class folder"))
    for label, folder in classes.items():
        paths = sorted(walk(folder, arguments.out), key=lambda path: path.as_posix())
        if not paths:
            listing.skipped.append((label, f"{label}/", "empty class folder"))
        for path in paths:
            name = path.relative_to(arguments.source).as_posix()
            event = os.path.splitext(name)[0]
            if pattern is not None:
                match = pattern.search(path.name)
                if match is None or not match["event"]:
                    listing.skipped.append((label, name, f"its name does not match --event {arguments.event}"))
                    continue
                event = match["event"]
            listing.files.append(SourceFile(path, name, label, event))
    options = {
        "command": "folder",
        "event": arguments.event,
        **asdict(reading),
        "unit": how.unit,
        "measurement": how.measurement,
    }
    return prepare_files(listing, how, reading, options)


def reading_options(arguments: Namespace) -> ReadOptions:
    """Check and collect what :func:`add_reading_arguments` declared.

    Raises:
        UserError: An option that makes no sense, by name.
    """
    for name in ("sampling_rate", "length"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name.replace('_', '-')} {value:g}: must be greater than 0")
    band = tuple(arguments.bandpass) if arguments.bandpass else None
    if band is not None and not 0 < band[0] < band[1]:
        raise UserError(f"--bandpass {band[0]:g} {band[1]:g}: want 0 < LOW < HIGH, in Hz")
    if band is not None and arguments.sampling_rate and band[1] >= arguments.sampling_rate / 2:
        nyquist = arguments.sampling_rate / 2
        raise UserError(
            f"--bandpass {band[0]:g} {band[1]:g}: HIGH must be below {nyquist:g} Hz, half of --sampling-rate"
        )
    components = arguments.components.upper() if arguments.components else None
    if components is not None and (not components.isalnum() or len(set(components)) < len(components)):
        raise UserError(f"--components {arguments.components}: want one letter per component without repeats, like ZNE")
    return ReadOptions(
        arguments.sampling_rate, arguments.length, arguments.detrend, band, components, arguments.fill_gaps
    )


def store_options(arguments: Namespace) -> PrepareOptions:
    """Check and collect what :func:`add_store_arguments` declared, and ``--out``."""
    if arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: want at least 1")
    return PrepareOptions(arguments.out, arguments.overwrite, arguments.workers, arguments.unit, arguments.measurement)


def class_folders(source: Path, out: Path) -> dict[str, Path]:
    """Find the class folders directly below ``source``: name -> folder, sorted.

    Raises:
        UserError: There is none.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; give the folder that holds one sub-folder per class")
    found = {
        entry.name: entry
        for entry in sorted(source.iterdir())
        if entry.is_dir() and not entry.name.startswith(".") and not is_store(entry, out)
    }
    if not found:
        raise UserError(f"{source}: has no class folders; put the files into {source}/<class>/")
    return found


def _event_pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UserError(f"--event {text!r}: not a regular expression ({error})") from error
    if "event" not in pattern.groupindex:
        raise UserError(f"--event {text!r}: has no group named event; write it like '(?P<event>.+)_OL\\d+'")
    return pattern
