"""``seisml prepare folder``: a folder of classes, one waveform file per event or several, becomes a store."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

from seisml.errors import UserError
from seisml.prepare.files import Listing, PrepareOptions, SourceFile, grouped, prepare_files
from seisml.waveforms.listing import is_store, walk
from seisml.waveforms.preprocessing import GAPS, TRENDS, Preprocessing, WrongStep
from seisml.waveforms.sac_header import DepthUnit
from seisml.waveforms.traces import Bounds

# a date, or a year with the day of the year
TIME = re.compile(r"(19|20)\d\d[-_.]?(0\d|1[0-2])[-_.]?[0-3]\d|(19|20)\d\d[-_.][0-3]\d\d(?!\d)")
MANY_CLASSES = 10  # so many folders with times for names are events
FEW_RECORDS = 2  # in each of so many folders, which then may be events, too
EXAMPLE = "seisml prepare folder recordings --out data/mine --sampling-rate 100 --length 30 --detrend constant"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="SRC", type=Path, help="folder with one sub-folder per class")
    parser.add_argument("--out", metavar="STORE", type=Path, required=True, help="folder of the store to make")
    parser.add_argument(
        "--event",
        metavar="REGEX",
        help="pattern searched in the file name whose group 'event' names the event, e.g. '(?P<event>.+)_OL\\d+' where "
        "many sensors recorded one event (default: every record is one event)",
    )
    parser.add_argument(
        "--group",
        metavar="REGEX",
        help="join files into one record of several traces: those of one class (and --event) for which this pattern, "
        "searched in the path below the class folder, finds the same in its named groups, or as a whole where it has "
        "none; '^[^/]+' for a folder per event, '(?P<event>.+)_(?P<station>.+)_HH.\\.sac' for a file per component",
    )
    parser.add_argument(
        "--sac-depth",
        choices=get_args(DepthUnit),
        default="km",
        help="unit of evdp in SAC headers; many older files give m (default: km)",
    )
    add_preprocessing_arguments(parser)
    add_store_arguments(parser)


def add_preprocessing_arguments(parser: ArgumentParser, default: Preprocessing = Preprocessing()) -> None:  # noqa: B008
    """Declare the steps of preprocessing.

    Args:
        parser: Gets a group of arguments.
        default: What the command does unasked.
    """

    def says(value: object, otherwise: str) -> str:
        shown = " ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else value
        return f"(default: {otherwise if value is None else shown})"

    group = parser.add_argument_group(
        "preprocessing, in this order: gaps, components, resample, band-pass, length, detrend (`seisml predict` does "
        "the same to continuous records)"
    )
    group.add_argument(
        "--fill-gaps", choices=GAPS, default=default.gaps, help="keep recordings with gaps, filled this way"
    )
    group.add_argument(
        "--components", metavar="ZNE", default=default.components,
        help=f"take these components, in this order {says(default.components, 'all traces')}",
    )  # fmt: skip
    group.add_argument(
        "--sampling-rate", metavar="HZ", type=float, default=default.sampling_rate,
        help=f"resample to this rate, with anti-aliasing {says(default.sampling_rate, 'as recorded')}",
    )  # fmt: skip
    group.add_argument(
        "--bandpass", metavar=("LOW", "HIGH"), nargs=2, type=float, default=default.bandpass,
        help=f"zero-phase band-pass in Hz (Butterworth, 4 corners) {says(default.bandpass, 'none')}",
    )  # fmt: skip
    group.add_argument(
        "--length", metavar="SECONDS", type=float, default=default.length,
        help=f"cut to this length, or pad with zeros at the end {says(default.length, 'whole recordings')}",
    )  # fmt: skip
    group.add_argument(
        "--detrend", choices=("none", *TRENDS), default=default.detrend or "none",
        help="remove each window's mean or linear trend (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--unit", default="counts", help="unit of the samples (default: %(default)s)")
    bounds = parser.add_argument_group("bounds", "a damaged header may promise anything; what goes beyond is left out")
    bounds.add_argument(
        "--largest-record", metavar="GIB", type=float, default=Bounds.largest_record,
        help="most that one recording may take up in memory, in GiB of float32 (default: %(default)g)",
    )  # fmt: skip
    bounds.add_argument(
        "--longest-gap", metavar="S", type=float, default=Bounds.longest_gap,
        help="longest gap that --fill-gaps fills (default: %(default)g)",
    )  # fmt: skip


def add_store_arguments(parser: ArgumentParser) -> None:
    """Declare how the store is made."""
    parser.add_argument("--measurement", default="velocity", help="what they measure (default: %(default)s)")
    parser.add_argument(
        "--workers", metavar="N", type=int, help=f"processes (default: one for each core, {os.cpu_count()})"
    )
    parser.add_argument(
        "--dead-traces", choices=("skip", "keep"), default="skip",
        help="records in which all traces keep one value: skip them, with a remark, or store them (default: skip)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="rebuild the store where it exists")


def run(arguments: Namespace) -> int:
    """Prepare a store from a folder of classes.

    Returns:
        Exit code 0.

    Raises:
        UserError: The folder or an option is wrong, or no file could be used.
    """
    steps = preprocessing_options(arguments)
    how = replace(store_options(arguments), sac_depth=arguments.sac_depth)
    classes = class_folders(arguments.source, arguments.out)
    event, group = event_pattern(arguments.event), _pattern("--group", arguments.group)
    listing = Listing(classes=list(classes))
    for entry in sorted(arguments.source.iterdir()):
        if entry.is_file() and not entry.name.startswith("."):
            listing.skipped.append(("", entry.name, "not in a class folder"))
    for label, folder in classes.items():
        paths = sorted(walk(folder, arguments.out), key=lambda path: path.as_posix())
        if not paths:
            listing.skipped.append((label, f"{label}/", "empty class folder"))
        for path in paths:
            place = path.relative_to(folder).as_posix()
            try:
                listing.files.append(_source_file(path, label, place, event, group))
            except _NoMatch as reason:
                listing.skipped.append((label, f"{label}/{place}", str(reason)))
    listing.notes += _few_per_class(arguments.source, listing)
    options = {"command": "folder", "event": arguments.event, "group": arguments.group}
    return prepare_files(listing, how, steps, {**options, "sac_depth": arguments.sac_depth})


class _NoMatch(Exception):
    """A pattern of the user's does not match a file; the message says which."""


def _source_file(
    path: Path, label: str, place: str, event: re.Pattern[str] | None, group: re.Pattern[str] | None
) -> SourceFile:
    """Find out a file's event and record from its name and its ``place`` below the class folder.

    Raises:
        _NoMatch: A pattern does not match.
    """
    name, shared = f"{label}/{place}", None
    source_id = os.path.splitext(name)[0]
    if group is not None:
        match = group.search(place)
        if match is None or not match[0]:
            raise _NoMatch(f"its path does not match --group {group.pattern}")
        shared = "/".join(part or "" for part in match.groupdict().values()) or match[0]
        source_id = f"{label}/{shared}"
    if event is not None:
        match = event.search(path.name)
        if match is None or not match["event"]:
            raise _NoMatch(f"its name does not match --event {event.pattern}")
        source_id = match["event"]
    return SourceFile(path, name, label, source_id, shared)


def _few_per_class(source: Path, listing: Listing) -> list[str]:
    """Say where folders look like events, whatever their names: many of them, with a record or two each."""
    counts = Counter(group[0].label for group in grouped(listing.files))
    if len(counts) < MANY_CLASSES or max(counts.values()) > FEW_RECORDS:
        return []
    return [
        f"{len(counts)} classes have at most {FEW_RECORDS} records each: if the folders are events and not classes, "
        f"put them into a folder for each class, {source}/<class>/{min(counts)}/..., and join the files of each with "
        "--group '^[^/]+'"
    ]


def preprocessing_options(arguments: Namespace) -> Preprocessing:
    """Check and collect what :func:`add_preprocessing_arguments` declared.

    Raises:
        UserError: An option that makes no sense, by name.
    """
    try:
        return Preprocessing(
            gaps=arguments.fill_gaps,
            components=arguments.components and arguments.components.upper(),
            sampling_rate=arguments.sampling_rate,
            bandpass=arguments.bandpass and tuple(arguments.bandpass),
            length=arguments.length,
            detrend=None if arguments.detrend == "none" else arguments.detrend,
            unit=arguments.unit,
        )
    except WrongStep as error:
        option = "fill-gaps" if error.step == "gaps" else error.step.replace("_", "-")
        raise UserError(f"--{option} {error.problem}") from error


def bounds_options(arguments: Namespace) -> Bounds:
    """Check and collect the bounds that :func:`add_preprocessing_arguments` declared.

    Raises:
        UserError: An option that makes no sense, by name.
    """
    for name, value in (("largest-record", arguments.largest_record), ("longest-gap", arguments.longest_gap)):
        if not value > 0:
            raise UserError(f"--{name} {value:g}: must be greater than 0")
    return Bounds(arguments.longest_gap, arguments.largest_record)


def store_options(arguments: Namespace) -> PrepareOptions:
    """Check and collect what :func:`add_store_arguments` declared, ``--out`` and the bounds."""
    workers = arguments.workers
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: want at least 1")
    return PrepareOptions(
        arguments.out,
        arguments.overwrite,
        workers or os.cpu_count() or 1,
        arguments.measurement,
        arguments.dead_traces == "keep",
        bounds_options(arguments),
    )


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
    times = [name for name in found if TIME.search(name)]
    if len(times) >= MANY_CLASSES and len(times) > 0.9 * len(found):
        raise UserError(
            f"{source}: its {len(found)} folders are named after times, like {times[0]}, so they are events, not "
            f"classes; put them into a folder for each class, {source}/<class>/{times[0]}/..., and join the files of "
            "each with --group '^[^/]+'"
        )
    return found


def _pattern(option: str, text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise UserError(f"{option} {text!r}: not a regular expression ({error})") from error


def event_pattern(text: str | None) -> re.Pattern[str] | None:
    """Check ``--event``: a pattern with a group of that name, or None.

    Raises:
        UserError: It is not a regular expression, or has no such group.
    """
    pattern = _pattern("--event", text)
    if pattern is not None and "event" not in pattern.groupindex:
        raise UserError(f"--event {text!r}: has no group named event; write it like '(?P<event>.+)_OL\\d+'")
    return pattern
