"""One station-day from files to probabilities on disk: the task that a computer or a cluster works off."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import signal

from seisml import __version__
from seisml.files import write_atomically, write_text
from seisml.inference.probabilities import write_probabilities
from seisml.inference.scan import Scanner
from seisml.inference.window_grid import WindowGrid, whole_windows
from seisml.run.build import load_method
from seisml.transforms.waveform import WaveformFrontEnd
from seisml.waveforms.continuous import DayReader, GridOptions
from seisml.waveforms.joining import runs
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.samples import FileCache, SampleSource
from seisml.waveforms.streams import StationDay
from seisml.waveforms.times import DAY_NS
from seisml.waveforms.traces import Bounds

ENVELOPE_BINS = 86_400  # extremes kept of a day's first component, for its picture


@dataclass(frozen=True)
class ScanSettings:
    """Everything that a station-day's probabilities depend on, besides its files.

    Attributes:
        checkpoint: A run's checkpoint.
        checkpoint_hash: Of its bytes.
        grid: The windows.
        precision: ``"float32"`` or ``"bfloat16"``.
        events: Classes that are events, for bfloat16; see :class:`seisml.inference.scan.Scanner`.
        device: Where to compute.
        preprocessing: Of the training data; its rate and length are the grid's.
        missing: ``"skip"`` leaves out windows in which a component is missing, ``"zeros"`` puts zeros there.
        trust: Packages whose classes the checkpoint may name.
        largest_record: Most GiB of float32 that one file may be decoded to at once.
    """

    checkpoint: str
    checkpoint_hash: str
    grid: WindowGrid
    precision: str = "float32"
    events: tuple[int, ...] = ()
    device: str = "cpu"
    preprocessing: Preprocessing = Preprocessing()
    missing: str = "skip"
    trust: tuple[str, ...] = ()
    largest_record: float = Bounds.largest_record

    def grid_options(self, keep_offset: bool = False) -> GridOptions:
        """What is done to a record on its way to the grid."""
        return GridOptions(self.preprocessing, self.grid.length, keep_offset)


@dataclass
class DayReport:
    """What became of a station-day.

    Attributes:
        name: Of the task.
        status: ``"done"``, ``"empty"`` (no window could be predicted) or ``"failed"``.
        n_windows: Windows predicted.
        recorded: Seconds between the first and the last sample of the day.
        notes: Remarks and reasons.
        classes: Class names.
        fresh: Computed now, not taken from an earlier run.
    """

    name: str
    status: str
    n_windows: int = 0
    recorded: float = 0.0
    notes: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    fresh: bool = True


def day_files(out: Path, task: StationDay) -> dict[str, Path]:
    """Files of a station-day in the output folder: probabilities, envelope, and the report, which is written last."""
    folder = out / "days" / task.stream_id
    suffixes = {"probability": "mseed", "envelope": "npz", "report": "json"}
    return {kind: folder / f"{task.date}.{suffix}" for kind, suffix in suffixes.items()}


def inputs_hash(task: StationDay, settings: ScanSettings) -> str:
    """Hash of the settings and of the files' names, sizes and times: the same one gives the same probabilities."""
    values = asdict(settings)
    for key in ("checkpoint", "trust"):  # neither changes a number
        values.pop(key)
    files = []
    for path in task.files():
        state = path.stat() if path.exists() else None
        files.append((str(path), state and state.st_size, state and state.st_mtime_ns))
    pieces = {
        component: [(piece.path.name, piece.code, piece.start, piece.n_samples) for piece in held]
        for component, held in task.components.items()
    }
    text = json.dumps([__version__, values, files, pieces, task.day], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def finished(task: StationDay, settings: ScanSettings, out: Path) -> DayReport | None:
    """The report of a station-day that an earlier run finished from the same files with the same settings."""
    path = day_files(out, task)["report"]
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if values.get("inputs_hash") != inputs_hash(task, settings):
        return None
    return DayReport(**{**values["report"], "fresh": False})


@lru_cache(maxsize=2)
def _scanner(settings: ScanSettings) -> Scanner:
    """The checkpoint's classifier; loaded once per process."""
    method = load_method(settings.checkpoint, settings.trust)
    chosen = {"device": settings.device, "preprocessing": settings.preprocessing}
    return Scanner(method, settings.grid, settings.precision, settings.events, **chosen)


@lru_cache(maxsize=1)
def _cache(largest_record: float) -> FileCache:
    """Decoded files, shared by the days that follow one another: windows reach into the next day's file."""
    return FileCache(bounds=Bounds(largest_record=largest_record))


def run_day(task: StationDay, settings: ScanSettings, out: Path, threads: int | None = None) -> DayReport:
    """Predict a station-day and write its files.

    Args:
        task: The station-day.
        settings: What to do.
        out: Output folder.
        threads: PyTorch threads of this process; None leaves them.

    Returns:
        The report. What goes wrong with the data is said there; it never ends the run.
    """
    if threads:
        torch.set_num_threads(threads)
    done = finished(task, settings, out)
    if done is not None:
        return done
    files = day_files(out, task)
    files["report"].unlink(missing_ok=True)
    made_from = inputs_hash(task, settings)
    cache = _cache(settings.largest_record)  # its process starts while the checkpoint is loaded
    report, times, probability, envelope = scan_day(task, settings, _scanner(settings), cache)
    write_probabilities(files["probability"], task.instrument, times, probability, settings.grid.step)
    write_atomically(files["envelope"], lambda part: _save_arrays(part, envelope))
    values = {"inputs_hash": made_from, "files": [str(path) for path in task.files()], "report": asdict(report)}
    write_text(files["report"], json.dumps(values, indent=1))
    return report


def scan_day(
    task: StationDay, settings: ScanSettings, scanner: Scanner, source: SampleSource | None = None
) -> tuple[DayReport, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Predict a station-day, an hour at a time.

    Returns:
        The report; times (N,) in ns and probabilities (N, K) of the windows from the first to the last, NaN where one
        was not predicted; and the extremes of the first component for the picture.
    """
    grid = settings.grid
    front_end = scanner.method.front_end
    keep_offset = isinstance(front_end, WaveformFrontEnd) and not (front_end.demean or front_end.normalize)
    reader = day_reader(task, settings, source, keep_offset)
    single = scanner.in_channels == 1 and task.components and len(task.components) > 1
    recorded, first, last = _spans(task, grid)
    envelope = Envelope(task.day, recorded, grid.sampling_rate)
    parts, samples = [], dict.fromkeys(task.components, 0)
    n_recorded = 0
    for start, stop in grid.pieces(first, last):
        waveform, present = reader.read(start * grid.step_samples, grid.span(stop - start))
        usable = whole_windows(present, grid)
        if settings.missing == "skip" and not single:
            usable &= usable.all(axis=1, keepdims=True)
        parts.append(scanner(waveform, usable))
        # what begins here, without what the next piece reads again; the last piece has no next
        begun = slice(0, waveform.shape[1] if stop == last else (stop - start) * grid.step_samples)
        for row, component in enumerate(task.components):
            samples[component] += int(present[row, begun].sum())
        n_recorded += begun.stop
        envelope.add(start * grid.step_samples, waveform[0, begun], present[0, begun])
    probability = np.concatenate(parts) if parts else np.zeros((0, scanner.n_classes), dtype=np.float32)
    predicted = np.isfinite(probability).all(axis=1)
    report = DayReport(
        task.name, "done" if predicted.any() else "empty", int(predicted.sum()), recorded[1] - recorded[0],
        _notes(task, reader, grid, predicted, samples, n_recorded), list(scanner.method.facts.classes),
    )  # fmt: skip
    return report, grid.times(task.day, np.arange(first, last)), probability, envelope.arrays()


def day_reader(
    task: StationDay, settings: ScanSettings, source: SampleSource | None = None, keep_offset: bool = False
) -> DayReader:
    """A reader of a station-day's samples as the network meets them."""
    return DayReader(task, settings.grid_options(keep_offset), source)


def _spans(task: StationDay, grid: WindowGrid) -> tuple[tuple[float, float], int, int]:
    """Seconds of the day between the first and the last sample, and the range of windows that lie in the record."""
    pieces = [piece for held in task.components.values() for piece in held]
    begin = min(piece.start for piece in pieces)
    end = max(piece.end + round(1e9 / piece.sampling_rate) for piece in pieces)
    recorded = (max(begin - task.day, 0) * 1e-9, min(end - task.day, DAY_NS) * 1e-9)
    first = max(0, int(np.ceil((begin - task.day) * 1e-9 / grid.step - 1e-6)))
    last = int(np.floor(((end - task.day) * 1e-9 - grid.length) / grid.step + 1e-6)) + 1
    return recorded, first, max(first, min(last, grid.per_day))


def _notes(
    task: StationDay,
    reader: DayReader,
    grid: WindowGrid,
    predicted: np.ndarray,
    samples: dict[str, int],
    n_recorded: int,
) -> list[str]:
    notes = list(task.notes)
    for component, tally in reader.tally.items():
        words = list(tally.remarks)
        lacking = (n_recorded - samples[component]) / grid.sampling_rate
        if not task.components[component]:
            words = ["missing"]
        elif lacking >= 0.5 / grid.sampling_rate and n_recorded:
            words.append(f"without samples for {lacking:.4g} of {n_recorded / grid.sampling_rate:.5g} s")
        if words:
            notes.append(f"{component}: {', '.join(words)}")
    if not len(predicted):
        notes.append(f"no window of {grid.length:g} s that begins on a whole step of {grid.step:g} s fits in")
    elif not predicted.all():
        gaps = len(runs(~predicted))
        notes.append(f"{int((~predicted).sum())} windows in {gaps} place{'s' * (gaps != 1)} not predicted")
    return notes


class Envelope:
    """Extremes of a record in bins, without what is below 1 Hz: all that a picture of a day can show.

    Args:
        day: Midnight in ns.
        recorded: Seconds of the day between the first and the last sample.
        sampling_rate: In Hz.
    """

    def __init__(self, day: int, recorded: tuple[float, float], sampling_rate: float) -> None:
        self.rate = sampling_rate
        length = max(recorded[1] - recorded[0], 1.0)
        self.per_bin = max(1, int(np.ceil(length * sampling_rate / ENVELOPE_BINS)))
        self.first = int(recorded[0] * sampling_rate) // self.per_bin
        n_bins = int(np.ceil(recorded[1] * sampling_rate / self.per_bin)) - self.first + 1
        self.low, self.high = np.full(n_bins, np.inf, np.float32), np.full(n_bins, -np.inf, np.float32)
        self.filter = None
        if sampling_rate > 4:
            self.filter = signal.butter(2, 1.0, "highpass", fs=sampling_rate, output="sos")

    def add(self, first: int, x: np.ndarray, present: np.ndarray) -> None:
        """Add samples from grid place ``first`` on; in any order."""
        x = np.asarray(x, dtype=np.float64).copy()
        for begin, end in runs(present):
            if self.filter is not None and end - begin > 30:
                x[begin:end] = signal.sosfiltfilt(self.filter, x[begin:end])
        bins = (first + np.flatnonzero(present)) // self.per_bin - self.first
        inside = (bins >= 0) & (bins < len(self.low))
        values = x[present].astype(np.float32)[inside]
        bins = bins[inside]
        if len(bins):
            edges = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
            places = bins[edges]
            self.low[places] = np.minimum(self.low[places], np.minimum.reduceat(values, edges))
            self.high[places] = np.maximum(self.high[places], np.maximum.reduceat(values, edges))

    def arrays(self) -> dict[str, np.ndarray]:
        """``start`` (s from midnight), ``bin`` (s), ``low`` and ``high`` (n,), NaN where nothing was recorded."""
        empty = self.low > self.high
        seconds = self.per_bin / self.rate
        low, high = np.where(empty, np.nan, self.low), np.where(empty, np.nan, self.high)
        return {"start": np.array(self.first * seconds), "bin": np.array(seconds), "low": low, "high": high}


def _save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
