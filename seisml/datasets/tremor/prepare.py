"""``seisml prepare tremor``: the tremor data set, windows after large earthquakes and of quiet days."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from obspy import UTCDateTime

from seisml import __version__
from seisml.catalogs.distance import epicentral_distance
from seisml.catalogs.event_tables import EventTable, read_events, read_station_table
from seisml.catalogs.stations import StationTable
from seisml.errors import UserError
from seisml.files import write_atomically
from seisml.prepare.catalog_jobs import index_waveforms
from seisml.prepare.folder import add_preprocessing_arguments, bounds_options, preprocessing_options
from seisml.prepare.hdf5_file import PREPARED, is_current_file
from seisml.prepare.on_cluster import add_cluster_argument, cluster_of
from seisml.prepare.pieces import discard_pieces
from seisml.prepare.window_jobs import WantedWindow, read_windows
from seisml.store.folder import fingerprint
from seisml.waveforms.index import Instrument, WaveformIndex
from seisml.waveforms.intervals import side_by_side, spans, without
from seisml.waveforms.listing import walk
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.times import DAY_NS
from seisml.waveforms.window_reader import WindowReader

EXAMPLE = "seisml prepare tremor SDS --events large.csv --stations stations.xml --out data/tremor_20hz.h5"

PREPROCESSING = Preprocessing(components="Z", sampling_rate=20.0, bandpass=(2.0, 5.0), length=1000.0)
KILOMETRES_PER_SECOND = 4.0  # a window starts when a surface wave of this velocity arrives


@dataclass(frozen=True)
class TremorWindow:
    """A window to read: one component of one station, from ``start`` (ns) on."""

    start: int
    instrument: Instrument
    component: str
    event: str
    label: int


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("waveforms", metavar="WAVEFORMS", type=Path, help="file or folder (searched through)")
    parser.add_argument("--events", metavar="FILE", type=Path, required=True,
                        help="large earthquakes: CSV with time, latitude, longitude (and magnitude, id; a column "
                        "tremor of 1 and 0 where a person has looked), or a catalogue that ObsPy reads")  # fmt: skip
    parser.add_argument("--stations", metavar="FILE", type=Path, required=True,
                        help="station coordinates: CSV with network, station, latitude, longitude, StationXML, "
                        "or a SEISAN STATION0.HYP")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="HDF5 file to make")
    parser.add_argument("--min-magnitude", metavar="M", type=float, help="leave out smaller earthquakes")
    parser.add_argument("--negatives", metavar="RATIO", type=float, default=1.0,
                        help="windows of quiet days per window after an earthquake (default: 1)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of the quiet windows' positions (default: 0)")
    add_preprocessing_arguments(parser, PREPROCESSING)
    parser.add_argument("--overwrite", action="store_true", help="rebuild the file where it exists")
    parser.add_argument("--workers", metavar="N", type=int, help="processes of --scheduler local, or jobs of slurm")
    add_cluster_argument(parser)


def run(arguments: Namespace) -> int:
    """Prepare the tremor file.

    Returns:
        Exit code 0.

    Raises:
        UserError: A path or an option is wrong, or no window could be made.
    """
    steps, options = preprocessing_options(arguments), _options(arguments)
    bounds = bounds_options(arguments)
    arguments.waveforms = Path(os.path.abspath(arguments.waveforms))  # workers may have another working folder
    options |= {"preprocessing": steps.to_dict(), "bounds": asdict(bounds)}
    out = Path(os.path.realpath(arguments.out))
    others = {path.resolve() for path in (arguments.events, arguments.stations)} | {out}
    files = [arguments.waveforms] if arguments.waveforms.is_file() else sorted(walk(arguments.waveforms, out))
    files = [path for path in files if path.resolve() not in others]
    if not files:
        raise UserError(f"{arguments.waveforms}: holds no files; give the folder of the waveforms")
    table = read_events(arguments.events)
    stations = read_station_table(arguments.stations)
    made_from = fingerprint(options, [*files, *table.files, arguments.stations])
    if is_current_file(out, made_from, arguments.overwrite, "tremor"):
        print(f"{arguments.out} is up to date (same files, same options); nothing to do. --overwrite rebuilds it.")
        return 0
    if arguments.min_magnitude is not None:
        table.events = [event for event in table.events if (event.magnitude or -9) >= arguments.min_magnitude]
    with cluster_of(arguments.scheduler, arguments.workers) as cluster:
        index = index_waveforms(files, 0.0, 1, cluster)
        skipped = [*table.skipped, *((path.name, reason) for path, reason in index.skipped)]
        windows = plan(index, table, stations, steps, options, skipped)
        segments = [segment for held in index.segments.values() for segment in held]
        reader = WindowReader(segments, steps, bounds)
        wanted = [WantedWindow(window.instrument, (window.component,), window.start) for window in windows]
        _write(out, windows, read_windows(wanted, reader, out, cluster), steps, made_from, skipped)
    return 0


def plan(
    index: WaveformIndex,
    table: EventTable,
    stations: StationTable,
    steps: Preprocessing,
    options: dict[str, Any],
    skipped: list[tuple[str, str]],
) -> list[TremorWindow]:
    """Decide from the headers which windows to read.

    A window starts D / 4 s after an earthquake's origin, D being the epicentral distance in km. Negatives lie side by
    side on days (UTC) on which no earthquake's window begins or ends, spread over stations and days.

    Args:
        index: Headers of the waveform files.
        table: The earthquakes.
        stations: Where stations stand.
        steps: Says the length and the components, an example each.
        options: ``negatives``, ``seed``.
        skipped: Reasons for what is left out are added here.
    """
    length, random = round(steps.length * 1e9), np.random.default_rng(options["seed"])
    positives: list[TremorWindow] = []
    quiet: list[TremorWindow] = []
    for instrument in sorted(index.segments):
        place = stations.find(instrument.network, instrument.station, instrument.location)
        if place is None:
            skipped.append((str(instrument), "no coordinates of the station"))
            continue
        loud: list[tuple[int, int]] = []
        starts = []
        for event in table.events:
            distance = epicentral_distance(event, place)
            if distance is None:
                skipped.append((event.source_id, "no epicentre"))
                continue
            start = event.time.ns + round(distance / KILOMETRES_PER_SECOND * 1e9)
            starts.append((start, event.source_id))
            days = range(event.time.ns // DAY_NS, (start + length) // DAY_NS + 1)
            loud += [(day * DAY_NS, (day + 1) * DAY_NS) for day in days]
        for component in steps.components:
            held = spans(index.segments[instrument], [component], steps.longest_gap)
            for start, event_id in starts:
                if any(s <= start and start + length <= e for s, e in held):
                    label = int(table.tremor.get(event_id, True))
                    positives.append(TremorWindow(start, instrument, component, event_id, label))
                elif any(s < start + length and start < e for s, e in held):
                    name = f"{event_id} {instrument.channel_id(component)}"
                    skipped.append((name, "data cover only a part of the window"))
            for start, name in _quiet_windows(held, loud, length, random):
                quiet.append(TremorWindow(start, instrument, component, name, 0))
    wanted = min(len(quiet), round(options["negatives"] * len(positives)))
    chosen = random.permutation(len(quiet))[:wanted]
    return sorted([*positives, *(quiet[k] for k in chosen)], key=lambda w: (w.instrument, w.start, w.component))


def _quiet_windows(
    held: list[tuple[int, int]], loud: list[tuple[int, int]], length: int, random: np.random.Generator
) -> Iterator[tuple[int, str]]:
    """Start (ns) and name of windows side by side on the days of a channel's stretches that are quiet throughout."""
    for stretch in held:
        for day in range(stretch[0] // DAY_NS, stretch[1] // DAY_NS + 1):
            part = (max(stretch[0], day * DAY_NS), min(stretch[1], (day + 1) * DAY_NS))
            if part[1] <= part[0] or without(part, loud) != [part]:
                continue
            name = f"quiet{UTCDateTime(ns=day * DAY_NS).strftime('%Y%j')}"
            yield from ((start, name) for start in side_by_side(part, length, random))


def _options(arguments: Namespace) -> dict[str, Any]:
    if not 0 <= arguments.negatives < float("inf"):
        raise UserError(f"--negatives {arguments.negatives:g}: must not be negative")
    for path in (arguments.waveforms, arguments.events, arguments.stations):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path")
    keys = ("min_magnitude", "negatives", "seed")
    return {"command": "tremor", **{key: getattr(arguments, key) for key in keys}}


def _write(
    out: Path,
    windows: list[TremorWindow],
    read: Iterator[np.ndarray | str],
    steps: Preprocessing,
    made_from: dict[str, Any],
    skipped: list[tuple[str, str]],
) -> None:
    """Read the windows and write the file in one rename, or nothing."""
    kept: list[TremorWindow] = []
    write_atomically(out, lambda partial: _fill(partial, out, windows, read, steps, made_from, skipped, kept))
    discard_pieces(out)
    print(_report(kept, skipped))
    print(f"{len(kept)} windows of {steps.length:g} s at {steps.sampling_rate:g} Hz in {out}")


def _fill(
    path: Path,
    out: Path,
    windows: list[TremorWindow],
    read: Iterator[np.ndarray | str],
    steps: Preprocessing,
    made_from: dict[str, Any],
    skipped: list[tuple[str, str]],
    kept: list[TremorWindow],
) -> None:
    """Write the file to ``path``; what could be read goes into ``kept``, what could not into ``skipped``."""
    rate, length = steps.sampling_rate, steps.length
    n_samples = round(length * rate)
    numbers = {code: number for number, code in enumerate(sorted({_station(window) for window in windows}))}
    with h5py.File(path, "w") as file:
        shape = (max(1, len(windows)), n_samples)
        data = file.create_dataset("X", shape, np.float32, maxshape=(None, n_samples), chunks=(1, n_samples))
        for window, waveform in zip(windows, read, strict=True):
            if isinstance(waveform, str):
                skipped.append((f"{window.event} {_station(window)}", waveform))
                continue
            data[len(kept)] = waveform[0]
            kept.append(window)
        if not kept:
            first = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
            raise UserError(f"{out}: no window to store, so none was made{first}")
        data.resize((len(kept), n_samples))
        file["y"] = np.array([window.label for window in kept])
        text = h5py.string_dtype()
        sources = [f"{window.event}_{numbers[_station(window)]}" for window in kept]
        file.create_dataset("source", data=sources, dtype=text)
        file.create_dataset("station", data=[_station(window) for window in kept], dtype=text)
        times = [str(UTCDateTime(ns=window.start)) for window in kept]
        file.create_dataset("start_time", data=times, dtype=text)
        file.attrs["sampling_rate"] = rate
        file.attrs["preprocessing"] = json.dumps(steps.to_dict())
        prepared = {**made_from, "seisml_version": __version__, "skipped": skipped}
        file[PREPARED] = json.dumps(prepared)


def _station(window: TremorWindow) -> str:
    return window.instrument.channel_id(window.component)


def _report(kept: list[TremorWindow], skipped: list[tuple[str, str]]) -> str:
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for window in kept:
        counts[_station(window)][window.label] += 1
    width = max(len(name) for name in counts)
    lines = [f"{'channel':<{width}}  tremor    none"]
    lines += [f"{name:<{width}}  {count[1]:>6}  {count[0]:>6}" for name, count in sorted(counts.items())]
    events = {window.event for window in kept if not window.event.startswith("quiet")}
    lines.append(f"{len(events)} earthquakes. A window after one is labelled tremor unless the list says otherwise")
    lines.append("(column tremor of 1 and 0): whether it holds tremor, only a person can tell.")
    if skipped:
        lines.append(f"skipped {len(skipped)}:")
        lines += [f"  {name}: {reason}" for name, reason in skipped[:50]]
        lines += [f"  ... and {len(skipped) - 50} more"] if len(skipped) > 50 else []
    return "\n".join(lines)
