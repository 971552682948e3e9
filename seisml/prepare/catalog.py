"""``seisml prepare catalog``: continuous or event waveforms and an earthquake catalogue become a store with picks."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from seisml.catalogs.association import MISSING_COMPONENTS, associate
from seisml.catalogs.events import read_catalog, unite_events
from seisml.catalogs.stations import StationTable, read_stations
from seisml.errors import UserError
from seisml.prepare.catalog_jobs import index_waveforms, plan_jobs, read_jobs
from seisml.prepare.catalog_records import Job, RecordOptions
from seisml.prepare.catalog_report import CatalogReport
from seisml.prepare.files import PrepareOptions
from seisml.prepare.folder import (
    add_preprocessing_arguments,
    add_store_arguments,
    bounds_options,
    preprocessing_options,
    store_options,
)
from seisml.prepare.on_cluster import add_cluster_argument, cluster_of
from seisml.prepare.pick_windows import WindowOptions
from seisml.prepare.pieces import discard_pieces
from seisml.store.folder import check_writable, is_current, recover_interrupted
from seisml.store.writer import StoreWriter
from seisml.terminal.progress import Progress
from seisml.waveforms.listing import walk
from seisml.waveforms.preprocessing import Preprocessing
from seisml.workers.cluster import Cluster

EXAMPLE = "seisml prepare catalog WAV REA --stations STATION0.HYP --out data/mine --sampling-rate 100 --windows"

BEFORE, AFTER = 40.0, 50.0  # s around P or origin: long enough for noise before P and the coda of a local event
LONGEST_EVENT_FILE = 900.0  # s


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("waveforms", metavar="WAVEFORMS", type=Path, help="file or folder (searched through)")
    parser.add_argument(
        "catalog",
        metavar="CATALOG",
        type=Path,
        help="catalogue file or folder (searched through), of a format ObsPy reads",
    )
    parser.add_argument("--out", metavar="STORE", type=Path, required=True, help="folder of the store to make")
    parser.add_argument(
        "--stations", metavar="FILE", type=Path, help="station coordinates: StationXML or a SEISAN STATION0.HYP"
    )
    parser.add_argument(
        "--label", metavar="NAME", help="label of every record with an event (default: the event's type, or earthquake)"
    )
    parser.add_argument(
        "--same-event",
        metavar=("S", "KM"),
        nargs=2,
        type=float,
        default=(2.0, 50.0),
        help="entries this close in origin time and epicentre are one event, with one source_id (default: 2 50)",
    )
    cut = parser.add_argument_group(
        "cutting",
        "an event file becomes a record whole; from continuous data a window is cut around each event's P pick at the "
        "station, or its origin time where there is no pick",
    )
    cut.add_argument("--before", metavar="S", type=float, help=f"seconds before it (default: {BEFORE:g})")
    cut.add_argument("--after", metavar="S", type=float, help=f"seconds after it (default: {AFTER:g})")
    cut.add_argument(
        "--longest-event-file",
        metavar="S",
        type=float,
        help=f"files up to this long hold one event each, longer ones are continuous (default: {LONGEST_EVENT_FILE:g}; "
        "0, so that windows are cut from all, where --before or --after is given)",
    )
    _add_window_arguments(parser)
    add_preprocessing_arguments(parser, Preprocessing(components="ZNE"))
    parser.add_argument(
        "--missing-components",
        choices=MISSING_COMPONENTS,
        default="keep",
        help="for a record that lacks one of --components (channels Z, 1, 2 or 1, 2, 3 stand in for Z, N, E, without "
        "being rotated): keep it with those it has, put zeros, or skip it (default: %(default)s)",
    )
    add_store_arguments(parser)
    add_cluster_argument(parser)


def run(arguments: Namespace) -> int:
    """Prepare a store from waveforms and a catalogue.

    Returns:
        Exit code 0.

    Raises:
        UserError: A path or an option is wrong, or no record could be made.
    """
    how = store_options(arguments)
    arguments.waveforms = Path(os.path.abspath(arguments.waveforms))  # workers may have another working folder
    records = _record_options(arguments)
    before, after, longest = _cutting(arguments)
    station_files = [arguments.stations] if arguments.stations else []
    catalog_files = _files(arguments.catalog, how.out, "catalogue", station_files)
    waveform_files = _files(arguments.waveforms, how.out, "waveform", station_files)
    options = {
        "command": "catalog",
        **asdict(records),
        "preprocessing": records.preprocessing.to_dict(),
        "missing_components": arguments.missing_components,
        "same_event": list(arguments.same_event),
        "cut": [before, after, longest],
        "has_stations": arguments.stations is not None,
        "measurement": how.measurement,
        "keeps_dead": how.keeps_dead,
    }
    sources = [*waveform_files, *catalog_files, *station_files]
    stations = read_stations(arguments.stations) if arguments.stations else StationTable({})
    if not how.overwrite and is_current(how.out, options, sources):
        print(f"{how.out} is up to date (same files, same options); nothing to do. --overwrite rebuilds it.")
        return 0
    check_writable(recover_interrupted(how.out), how.overwrite)  # before the work, not after it
    catalog = read_catalog(arguments.catalog, catalog_files)
    catalog.events = unite_events(catalog.events, *arguments.same_event)
    catalogs = {path.resolve() for path in catalog.files}
    waveform_files = [path for path in waveform_files if path.resolve() not in catalogs]
    root = arguments.waveforms if arguments.waveforms.is_dir() else arguments.waveforms.parent
    steps = records.preprocessing
    order, missing = steps.components or "ZNE", arguments.missing_components
    with cluster_of(arguments.scheduler, arguments.workers) as cluster:
        index = index_waveforms(waveform_files, longest, how.workers, cluster)
        found = associate(index, catalog.events, order, missing, before, after, root, steps.margin)
        jobs = plan_jobs(found, catalog.events, stations, root, records.windows)
        return _write(jobs, records, how, options, sources, CatalogReport(catalog, index, found, root), cluster)


def _write(
    jobs: Sequence[Job],
    records: RecordOptions,
    how: PrepareOptions,
    options: dict[str, Any],
    sources: Sequence[Path],
    report: CatalogReport,
    cluster: Cluster | None,
) -> int:
    began = time.monotonic()
    n_plans = sum(len(job.plans) for job in jobs)
    steps = records.preprocessing
    with StoreWriter(how.out, options, sources, how.overwrite, steps.unit, how.measurement) as writer:
        with Progress("writing" if cluster else "reading", "record", n_plans) as progress:
            for outcomes in read_jobs(jobs, records, how, cluster):
                for outcome in outcomes:
                    why = [how.reason_against(record.waveform, record.n_dead) for record in outcome.records]
                    outcome.reasons += [reason for reason in why if reason is not None]
                    pairs = zip(outcome.records, why, strict=True)
                    outcome.records = [record for record, reason in pairs if reason is None]
                    report.add(outcome)
                    for record in outcome.records:
                        writer.add(record.waveform, record.metadata)
                progress.update(len(outcomes))
        for name, reason in report.skipped:
            writer.skip(name, reason)
        writer.notes.update(report.facts())
        if report.n_rows:  # else the writer refuses, with the first reason
            print(report.text(detrended=bool(steps.detrend or steps.bandpass)), flush=True)
    discard_pieces(how.out)
    if records.windows and not any(plan.p for job in jobs for plan in job.plans):
        print(
            "No record has a P pick, so all windows are unlabelled: event and noise windows are placed by picks. "
            "Give a catalogue with picks, or leave out --windows for a record around each origin."
        )
    what = "windows" if records.windows else "records"
    print(f"{report.n_rows} {what} in {how.out} ({time.monotonic() - began:.1f} s)")
    return 0


def _add_window_arguments(parser: ArgumentParser) -> None:
    default = WindowOptions()
    group = parser.add_argument_group(
        "labelled windows",
        "instead of whole records: 'event' windows with the P pick at a place drawn at random, 'noise' windows before "
        "P, and unlabelled windows from records without a P pick (for pretraining); all keep the event's source_id, so "
        "split with dataset.split_by=event",
    )
    group.add_argument("--windows", action="store_true", help="cut labelled windows")
    group.add_argument(
        "--window-length", metavar="S", type=float, default=default.length, help="length (default: %(default)g)"
    )
    group.add_argument(
        "--lead",
        metavar=("MIN", "MAX"),
        nargs=2,
        type=float,
        default=default.lead,
        help="seconds from the start of an event window to P, drawn between these per record (default: 2 10)",
    )
    group.add_argument(
        "--gap",
        metavar="S",
        type=float,
        default=default.gap,
        help="seconds from the end of a noise window to P, at least (default: %(default)g)",
    )
    group.add_argument(
        "--noise-windows",
        metavar="N",
        type=int,
        default=default.noise_windows,
        help="noise windows per record with P, where they fit side by side (default: %(default)s)",
    )
    group.add_argument(
        "--unlabeled-windows",
        metavar="N",
        type=int,
        help="windows per record without P (default: as many as fit side by side)",
    )
    group.add_argument(
        "--coda",
        metavar="S",
        type=float,
        default=default.coda,
        help="seconds after another event's origin that never count as noise (default: %(default)g)",
    )
    group.add_argument(
        "--seed", type=int, default=default.seed, help="seed of the windows' places (default: %(default)s)"
    )


def _record_options(arguments: Namespace) -> RecordOptions:
    """Check and collect what decides a record."""
    steps = preprocessing_options(arguments)
    zeros = arguments.missing_components == "zeros"
    if not arguments.windows:
        return RecordOptions(steps, zeros, arguments.label, bounds=bounds_options(arguments))
    if arguments.label:
        raise UserError("--label: windows are labelled event and noise; leave it out, or leave out --windows")
    if steps.length is not None:
        raise UserError("--length: windows are as long as --window-length; leave it out, or leave out --windows")
    steps = replace(steps, length=arguments.window_length)
    low, high = arguments.lead
    if not 0 <= low <= high <= arguments.window_length or arguments.window_length <= 0:
        raise UserError(
            f"--lead {low:g} {high:g}: want 0 <= MIN <= MAX <= --window-length ({arguments.window_length:g})"
        )
    for name in ("gap", "noise_windows", "unlabeled_windows", "coda"):
        value = getattr(arguments, name)
        if value is not None and value < 0:
            raise UserError(f"--{name.replace('_', '-')} {value:g}: must not be negative")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: must not be negative")
    windows = WindowOptions(
        length=arguments.window_length,
        lead=(low, high),
        gap=arguments.gap,
        noise_windows=arguments.noise_windows,
        unlabeled_windows=arguments.unlabeled_windows,
        coda=arguments.coda,
        seed=arguments.seed,
    )
    return RecordOptions(steps, zeros, None, windows, bounds_options(arguments))


def _cutting(arguments: Namespace) -> tuple[float, float, float]:
    """Seconds before and after, and the longest event file."""
    asked = arguments.before is not None or arguments.after is not None
    before = BEFORE if arguments.before is None else arguments.before
    after = AFTER if arguments.after is None else arguments.after
    longest = arguments.longest_event_file
    if before + after <= 0:
        raise UserError(f"--before {before:g} --after {after:g}: leave no window; their sum must be greater than 0")
    if longest is None:
        longest = 0.0 if asked else LONGEST_EVENT_FILE
    if min(arguments.same_event) < 0:
        raise UserError(f"--same-event {arguments.same_event[0]:g} {arguments.same_event[1]:g}: must not be negative")
    return before, after, longest


def _files(source: Path, out: Path, kind: str, others: Sequence[Path]) -> list[Path]:
    """Find the files of a file or folder argument, sorted, without the ``others``."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UserError(f"{source}: no such {kind} file or folder; check the path")
    left_out = {path.resolve() for path in others}
    files = [path for path in walk(source, out) if path.resolve() not in left_out]
    files.sort(key=lambda path: path.as_posix())
    if not files:
        raise UserError(f"{source}: holds no files; give the folder with the {kind} files")
    return files
