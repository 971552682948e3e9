"""``seisml prepare convnetquake``: waveforms and a catalogue become windows of noise and of clusters of earthquakes."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from obspy import UTCDateTime

from seisml.catalogs.event_tables import read_events, read_station_table
from seisml.catalogs.stations import StationTable
from seisml.datasets.convnetquake.plan import ClusterWindow, PlanOptions, plan_windows
from seisml.errors import UserError
from seisml.evaluation.figures.clusters import cluster_map
from seisml.evaluation.figures.style import save
from seisml.prepare.catalog_jobs import index_waveforms
from seisml.prepare.files import PrepareOptions
from seisml.prepare.folder import (
    add_preprocessing_arguments,
    add_store_arguments,
    preprocessing_options,
    store_options,
)
from seisml.prepare.on_cluster import add_cluster_argument, cluster_of
from seisml.prepare.pieces import discard_pieces
from seisml.prepare.window_jobs import WantedWindow, read_windows
from seisml.store.folder import check_writable, is_current, recover_interrupted
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from seisml.terminal.text_table import text_table
from seisml.values.class_names import NOISE
from seisml.waveforms.index import WaveformIndex
from seisml.waveforms.listing import walk
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.window_reader import WindowReader
from seisml.workers.cluster import Cluster

EXAMPLE = "seisml prepare convnetquake SDS catalog.xml --stations stations.xml --out data/convnetquake --clusters 6"

MAP = "clusters.png"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    default = PlanOptions()
    parser.add_argument("waveforms", metavar="WAVEFORMS", type=Path, help="file or folder (searched through)")
    parser.add_argument("catalog", metavar="CATALOG", type=Path,
                        help="CSV with time, latitude, longitude, or catalogues that ObsPy reads")  # fmt: skip
    parser.add_argument("--stations", metavar="FILE", type=Path,
                        help="station coordinates (CSV, StationXML, STATION0.HYP), for missing picks")  # fmt: skip
    parser.add_argument("--out", metavar="STORE", type=Path, required=True, help="folder of the store to make")
    parser.add_argument("--clusters", metavar="K", type=int, default=default.n_clusters,
                        help="number of geographic clusters (default: %(default)s)")  # fmt: skip
    parser.add_argument("--velocity", metavar="KM/S", type=float, default=default.velocity,
                        help="mean velocity to the station, where it has no P pick (default: 5)")  # fmt: skip
    parser.add_argument("--picks-only", action="store_true", help="events only where they have a P pick at the station")
    parser.add_argument("--lead", metavar=("MIN", "MAX"), nargs=2, type=float, default=default.lead,
                        help="seconds from the start of an event window to the arrival, drawn between these "
                        "(default: 0 2)")  # fmt: skip
    parser.add_argument("--noise-ratio", metavar="R", type=float, default=default.noise_ratio,
                        help="noise windows per event window, as far as there are (default: %(default)g)")  # fmt: skip
    parser.add_argument("--gap", metavar="S", type=float, default=default.gap,
                        help="seconds before a P pick or an origin in which nothing counts as noise "
                        "(default: %(default)g)")  # fmt: skip
    parser.add_argument("--coda", metavar="S", type=float, default=default.coda,
                        help="seconds after an arrival without noise windows (default: %(default)g)")  # fmt: skip
    parser.add_argument("--longest-event-file", metavar="S", type=float, default=default.longest_event_file,
                        help="in stretches up to this long, as triggers cut them, only what comes before a known event "
                        "counts as noise (default: %(default)g)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of clusters and positions (default: 0)")
    steps = Preprocessing(components=default.components, sampling_rate=100.0, length=default.length, detrend="constant")
    add_preprocessing_arguments(parser, steps)
    add_store_arguments(parser)
    add_cluster_argument(parser)


def run(arguments: Namespace) -> int:
    """Prepare a store of noise and event windows.

    Returns:
        Exit code 0.

    Raises:
        UserError: A path or an option is wrong, or no event window could be made.
    """
    how, steps = store_options(arguments), preprocessing_options(arguments)
    arguments.waveforms = Path(os.path.abspath(arguments.waveforms))  # workers may have another working folder
    plan = _plan_options(arguments, steps)
    for path in filter(None, (arguments.waveforms, arguments.catalog, arguments.stations)):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path")
    table = read_events(arguments.catalog)
    others = {path.resolve() for path in [*table.files, *filter(None, [arguments.stations])]}
    files = [arguments.waveforms] if arguments.waveforms.is_file() else sorted(walk(arguments.waveforms, how.out))
    files = [path for path in files if path.resolve() not in others]
    if not files:
        raise UserError(f"{arguments.waveforms}: holds no files; give the folder of the waveforms")
    options = {"command": "convnetquake", **vars(plan)}
    options |= {"preprocessing": steps.to_dict(), "measurement": how.measurement, "keeps_dead": how.keeps_dead}
    options["bounds"] = asdict(how.bounds)
    sources = [*files, *table.files, *filter(None, [arguments.stations])]
    if not how.overwrite and is_current(how.out, options, sources):
        print(f"{how.out} is up to date (same files, same options); nothing to do. --overwrite rebuilds it.")
        if not (how.out / MAP).is_file():
            draw_map(how.out)
        return 0
    check_writable(recover_interrupted(how.out), how.overwrite)  # before the work, not after it
    stations = read_station_table(arguments.stations) if arguments.stations else StationTable({})
    with cluster_of(arguments.scheduler, arguments.workers) as cluster:
        index = index_waveforms(files, 0.0, how.workers, cluster)
        windows, skipped = plan_windows(index, table.events, stations, plan)
        skipped = [*table.skipped, *((path.name, reason) for path, reason in index.skipped), *skipped]
        return _write(windows, index, steps, how, options, sources, skipped, arguments.waveforms, cluster)


def draw_map(root: Path) -> Path:
    """Draw the map of a store's clusters into its folder; returns the file."""
    path = root / MAP
    save(cluster_map(Store(root).metadata, NOISE), path)
    return path


def _plan_options(arguments: Namespace, steps: Preprocessing) -> PlanOptions:
    plan = PlanOptions(
        n_clusters=arguments.clusters,
        length=steps.length,
        components=steps.components,
        velocity=arguments.velocity,
        picks_only=arguments.picks_only,
        lead=tuple(arguments.lead),
        noise_ratio=arguments.noise_ratio,
        gap=arguments.gap,
        coda=arguments.coda,
        longest_event_file=arguments.longest_event_file,
        longest_gap=steps.longest_gap,
        seed=arguments.seed,
    )
    if not 0 < plan.velocity < float("inf"):
        raise UserError(f"--velocity {plan.velocity:g}: must be greater than 0")
    for name in ("noise_ratio", "gap", "coda"):
        if not getattr(plan, name) >= 0:
            raise UserError(f"--{name.replace('_', '-')} {getattr(plan, name):g}: must not be negative")
    if not plan.lead[0] <= plan.lead[1] <= plan.length:
        raise UserError(f"--lead {plan.lead[0]:g} {plan.lead[1]:g}: want MIN <= MAX <= --length")
    return plan


def _write(
    windows: list[ClusterWindow],
    index: WaveformIndex,
    steps: Preprocessing,
    how: PrepareOptions,
    options: dict[str, Any],
    sources: list[Path],
    skipped: list[tuple[str, str]],
    root: Path,
    cluster: Cluster | None,
) -> int:
    began = time.monotonic()
    segments = [segment for held in index.segments.values() for segment in held]
    reader = WindowReader(segments, steps, how.bounds)
    kept: list[ClusterWindow] = []
    wanted = [WantedWindow(window.instrument, tuple(window.channels.values()), window.start) for window in windows]
    with StoreWriter(how.out, options, sources, how.overwrite, steps.unit, how.measurement) as writer:
        for window, waveform in zip(windows, read_windows(wanted, reader, how.out, cluster), strict=True):
            name = f"{window.label} {window.instrument} {UTCDateTime(ns=window.start)}"
            if isinstance(waveform, str):
                skipped.append((name, waveform))
                continue
            if (dead := how.reason_against(waveform)) is not None:
                skipped.append((name, dead))
                continue
            writer.add(waveform, _metadata(window, steps.sampling_rate, reader, root))
            kept.append(window)
        for name, reason in skipped:
            writer.skip(name, reason)
        counts = Counter(window.label for window in kept)
        if not counts.keys() - {NOISE}:
            first = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
            raise UserError(f"{how.out}: no event window to store, so none was made{first}")
        print(_report(kept, skipped))
    discard_pieces(how.out)
    print(
        f"{len(kept)} windows in {how.out} ({time.monotonic() - began:.1f} s); map of the clusters {draw_map(how.out)}"
    )
    return 0


def _metadata(window: ClusterWindow, rate: float, reader: WindowReader, root: Path) -> dict[str, Any]:
    instrument = window.instrument
    path = reader.path(instrument, next(iter(window.channels.values())), window.start)
    row: dict[str, Any] = {
        **(window.event.metadata() if window.event and window.label != NOISE else {}),
        "trace_category": window.label,
        "source_id": window.source_id,
        "trace_source_file": path.relative_to(root).as_posix() if root.is_dir() else path.name,
        "trace_start_time": str(UTCDateTime(ns=window.start)),
        "trace_sampling_rate_hz": rate,
        "trace_component_order": "".join(window.channels),
        "trace_channels": ";".join(instrument.channel_id(letter) for letter in window.channels.values()),
        "station_network_code": instrument.network,
        "station_code": instrument.station,
        "station_location_code": instrument.location,
    }
    if window.place is not None:
        row |= {"station_latitude_deg": window.place.latitude, "station_longitude_deg": window.place.longitude}
    if window.arrival is not None:
        name = "trace_p_arrival_sample" if window.is_picked else "trace_estimated_arrival_sample"
        row[name] = round((window.arrival - window.start) * 1e-9 * rate, 3)
    if window.distance is not None:
        row["path_ep_distance_km"] = round(window.distance, 3)
    return row


def _report(kept: list[ClusterWindow], skipped: list[tuple[str, str]]) -> str:
    rows = []
    for label in sorted({window.label for window in kept}, key=lambda name: (name != NOISE, len(name), name)):
        of_class = [window for window in kept if window.label == label]
        row = {
            "class": label,
            "windows": len(of_class),
            "events": None if label == NOISE else len({window.source_id for window in of_class}),
            "stations": len({window.instrument.station for window in of_class}),
            "by P picks": None if label == NOISE else sum(window.is_picked for window in of_class),
        }
        rows.append(row)
    lines = [text_table(rows)]
    few = [row["class"] for row in rows if row["events"] is not None and row["events"] < 5]
    if few:
        lines.append(f"few events in {', '.join(few)}: fewer --clusters would give each more to learn and test on")
    if skipped:
        reasons = Counter(reason for _, reason in skipped)
        lines.append(f"left out {len(skipped)} (each in prepare.json):")
        lines += [f"  {count:>5}  {reason}" for reason, count in reasons.most_common(30)]
    return "\n".join(lines)
