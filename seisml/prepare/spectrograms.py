"""``seisml prepare spectrograms``: folders of classes -> one matrix of flattened spectrograms in a MATLAB file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat
from scipy.signal import spectrogram

from seisml.errors import UserError
from seisml.files import write_atomically
from seisml.prepare.event_files import list_events
from seisml.prepare.files import SourceFile, read_all
from seisml.prepare.folder import (
    add_preprocessing_arguments,
    bounds_options,
    class_folders,
    preprocessing_options,
)
from seisml.terminal.progress import follow
from seisml.terminal.text_table import text_table
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.read import Bounds
from seisml.waveforms.record import Record

EXAMPLE = "seisml prepare spectrograms lab_ae --out data/lab_ae.mat --event '(?P<event>.+)_OL\\d+'"
LARGEST = 2**31 - 1  # bytes of a variable in a MATLAB 5 file
DEEPEST = 1e-12  # of a spectrogram's largest power: what its logarithm does not look below


@dataclass(frozen=True)
class SpectrogramOptions:
    """Arguments of ``scipy.signal.spectrogram``, and whether the logarithm to base 10 is stored."""

    nperseg: int = 20
    noverlap: int = 10
    nfft: int = 128
    log: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.nperseg <= self.nfft or not 0 <= self.noverlap < self.nperseg:
            raise UserError(
                f"--nperseg {self.nperseg} --noverlap {self.noverlap} --nfft {self.nfft}: want "
                "0 <= noverlap < nperseg <= nfft"
            )

    def of(self, x: np.ndarray, sampling_rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frequencies (ny,) in Hz, times (nx,) in s and powers (ny, nx) of a trace (T,)."""
        frequencies, times, power = spectrogram(
            x, sampling_rate, nperseg=self.nperseg, noverlap=self.noverlap, nfft=self.nfft
        )
        if self.log:
            power = np.log10(np.maximum(power, max(float(power.max()) * DEEPEST, np.finfo(np.float64).tiny)))
        return frequencies, times, power


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="SRC", type=Path, help="folder with one sub-folder per class")
    parser.add_argument("--out", metavar="FILE.mat", type=Path, required=True, help="file to write")
    parser.add_argument(
        "--event", metavar="REGEX", help="pattern searched in the file name whose group 'event' names the event"
    )
    group = parser.add_argument_group("spectrogram (scipy.signal.spectrogram)")
    group.add_argument("--nperseg", type=int, default=20, help="samples of a window (default: %(default)s)")
    group.add_argument("--noverlap", type=int, default=10, help="samples that windows share (default: %(default)s)")
    group.add_argument("--nfft", type=int, default=128, help="length of the transform (default: %(default)s)")
    group.add_argument("--log", action="store_true", help="store the logarithm to base 10 (default: the power)")
    add_preprocessing_arguments(parser, Preprocessing(detrend="linear", unit="counts"))
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes that read (default: 1)")
    parser.add_argument("--overwrite", action="store_true", help="write the file anew where it exists")


def run(arguments: argparse.Namespace) -> int:
    """Make the file.

    Returns:
        Exit code 0.

    Raises:
        UserError: The folder or an option is wrong, no file could be used, or they do not fit together.
    """
    steps, bounds = preprocessing_options(arguments), bounds_options(arguments)
    options = SpectrogramOptions(arguments.nperseg, arguments.noverlap, arguments.nfft, arguments.log)
    if arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: want at least 1")
    if arguments.out.suffix != ".mat":
        raise UserError(f"--out {arguments.out}: MATLAB files end in .mat")
    if arguments.out.exists() and not arguments.overwrite:
        raise UserError(f"{arguments.out} exists; give another name or --overwrite")
    classes = list(class_folders(arguments.source, arguments.out))
    files = list_events([arguments.source], arguments.out, classes, event=arguments.event).files
    files = [file for file in files if file.label in classes]
    traces, skipped = _read(files, steps, arguments.workers, bounds)
    contents = matrix(traces, sorted({trace.file.label for trace in traces}), options, steps)
    write_atomically(arguments.out, lambda part: savemat(_handle(part), contents, do_compression=True, oned_as="row"))
    _say(arguments.out, traces, skipped, contents)
    return 0


@dataclass(frozen=True)
class _Trace:
    """A trace of a file: (T,) samples at a rate in Hz."""

    file: SourceFile
    samples: np.ndarray
    sampling_rate: float


def _handle(path: Path) -> str:
    path.touch()
    return str(path)


def _read(
    files: Sequence[SourceFile], steps: Preprocessing, workers: int, bounds: Bounds
) -> tuple[list[_Trace], list[tuple[str, str]]]:
    """Read files in guarded processes; the trend goes later, from what is left after trimming."""
    traces, skipped = [], []
    groups = [(file,) for file in files]
    reading = read_all(groups, replace(steps, detrend=None), workers, bounds)
    for (file,), result in follow(reading, "reading", "file", len(groups)):
        if not isinstance(result, Record):
            skipped.append((file.name, result[file.path]))
            continue
        rate = float(result.metadata["trace_sampling_rate_hz"])
        traces += [_Trace(file, samples, rate) for samples in result.waveform]
    if not traces:
        reason = f" ({skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise UserError(f"no file could be used{reason}; give recordings that ObsPy reads")
    return traces, skipped


def matrix(
    traces: Sequence[_Trace], classes: Sequence[str], options: SpectrogramOptions, steps: Preprocessing
) -> dict[str, Any]:
    """Lay the spectrograms of traces, trimmed to the shortest, into a matrix with their labels.

    Returns:
        Variables of the file: ``mSpec`` (nx * ny + 1, N), a column for each trace: its spectrogram, row after row from
        the lowest frequency, and last the number of its class, from 0; ``classes``, ``files`` and ``events`` (N names);
        ``nx``, ``ny``, ``nperseg``, ``noverlap``, ``nfft``, ``log``, ``n_samples``, ``sampling_rate``, ``frequencies``
        in Hz and ``times`` in s.

    Raises:
        UserError: Sampling rates differ, traces are too short, or there is more than such a file can hold.
    """
    rates = sorted({trace.sampling_rate for trace in traces})
    if len(rates) > 1:
        raise UserError(
            f"sampling rates differ ({', '.join(f'{rate:g}' for rate in rates)} Hz); add --sampling-rate {rates[0]:g}"
        )
    shortest = min(traces, key=lambda trace: len(trace.samples))
    n_samples, rate = len(shortest.samples), rates[0]
    if n_samples < options.nperseg:
        raise UserError(f"{shortest.file.name}: has {n_samples} samples, fewer than --nperseg {options.nperseg}")
    frequencies, times, _ = options.of(np.zeros(n_samples), rate)
    rows = len(frequencies) * len(times) + 1
    if rows * len(traces) * 8 > LARGEST:
        raise UserError(
            f"{len(traces)} spectrograms of {len(frequencies)} x {len(times)} are more than the 2 GiB of a MATLAB 5 "
            "file; lower --nfft or --noverlap, or use `seisml prepare folder`, which has no such limit"
        )
    values = np.zeros((rows, len(traces)))
    for column, trace in enumerate(traces):
        samples = steps.on_window(trace.samples[:n_samples].astype(np.float64))
        values[:-1, column] = options.of(samples, rate)[2].ravel()
        values[-1, column] = classes.index(trace.file.label)
    return {
        "mSpec": values,
        "classes": np.array(classes),
        "files": np.array([trace.file.name for trace in traces]),
        "events": np.array([trace.file.event for trace in traces]),
        "nx": len(times),
        "ny": len(frequencies),
        "nperseg": options.nperseg,
        "noverlap": options.noverlap,
        "nfft": options.nfft,
        "log": int(options.log),
        "n_samples": n_samples,
        "sampling_rate": rate,
        "frequencies": frequencies,
        "times": times,
    }


def _say(out: Path, traces: Sequence[_Trace], skipped: Sequence[tuple[str, str]], contents: dict[str, Any]) -> None:
    labels = contents["mSpec"][-1]
    rows = [
        {"class": str(name), "number": number, "spectrograms": int((labels == number).sum())}
        for number, name in enumerate(contents["classes"])
    ]
    print(text_table(rows))
    longer = sum(len(trace.samples) > contents["n_samples"] for trace in traces)
    if longer:
        print(f"{longer} traces trimmed to the {contents['n_samples']} samples of the shortest")
    for name, reason in skipped[:10]:
        print(f"skipped {name}: {reason}")
    if len(skipped) > 10:
        print(f"... and {len(skipped) - 10} more files skipped")
    print(
        f"{out}: mSpec {contents['mSpec'].shape[0]} x {len(traces)} ({contents['ny']} frequencies x {contents['nx']} "
        "times, and the label)"
    )
