"""Overview of a laboratory earthquake experiment: signal against time to failure, spectrogram, distributions."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from matplotlib.figure import Figure
from scipy import signal as processing

from seisml.evaluation.figures.style import BLUE, LABEL, VERMILION, add_title, new_figure, tidy

BINS = 2000  # stretches of the record of which least and greatest are drawn
PIECE = 2**22  # samples read at a time
FIRST = 7_000_000  # samples of the spectrogram, as in the published overview


def overview(path: Path) -> dict[str, Figure]:
    """Draw a prepared file, read once from its beginning to its end in bounded memory.

    Args:
        path: What ``seisml prepare lanl`` made.

    Returns:
        ``overview``, ``spectrogram`` and ``distributions``.
    """
    with h5py.File(path, "r") as file:
        x, time, rate = file["signal"], file["time_to_failure"], float(file.attrs["sampling_rate"])
        low, high, target = extremes(x, time)
        step = len(x) / len(low)
        seconds = np.arange(len(low)) * step / rate
        return {
            "overview": _record(seconds, low, high, target),
            "spectrogram": _spectrogram(x[: min(FIRST, len(x))], rate),
            "distributions": _distributions(x, time),
        }


def extremes(x: h5py.Dataset, time: h5py.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least and greatest sample, and first time to failure, of equal stretches of a record.

    Args:
        x: (N,) samples.
        time: (N,) times to failure in s.

    Returns:
        Three (n,) arrays, n at most ``BINS``.
    """
    width = max(1, -(-len(x) // BINS))
    low, high, target = [], [], []
    rows = max(1, PIECE // width)  # stretches at a time
    for begin in range(0, len(x), rows * width):
        piece = x[begin : begin + rows * width]
        starts = np.arange(0, len(piece), width)
        low.append(np.minimum.reduceat(piece, starts))
        high.append(np.maximum.reduceat(piece, starts))
        target.append(time[begin : begin + len(piece) : width])
    return np.concatenate(low), np.concatenate(high), np.concatenate(target)


def _record(seconds: np.ndarray, low: np.ndarray, high: np.ndarray, target: np.ndarray) -> Figure:
    figure = new_figure(9, 3.6)
    axes = figure.subplots()
    axes.fill_between(seconds, low, high, color=BLUE, linewidth=0.5, edgecolor=BLUE)
    axes.set_xlabel("time (s)", fontsize=LABEL)
    axes.set_ylabel("acoustic data (counts)", fontsize=LABEL, color=BLUE)
    tidy(axes)
    right = axes.twinx()
    right.plot(seconds, target, color=VERMILION, linewidth=1.2)
    right.set_ylabel("time to failure (s)", fontsize=LABEL, color=VERMILION)
    right.set_ylim(bottom=0)
    tidy(right, grid=False)
    right.spines["right"].set_visible(True)
    add_title(figure, "Acoustic emission and time to the next failure")
    return figure


def _spectrogram(x: np.ndarray, rate: float) -> Figure:
    nperseg = min(2048, max(16, len(x) // 8))
    hop = max(nperseg, len(x) // 2000)  # as many columns as the figure can show
    starts = np.arange(0, len(x) - nperseg + 1, hop)
    pieces = np.stack([x[start : start + nperseg] for start in starts]).astype(np.float32)
    frequency, power = processing.periodogram(pieces, rate, "hann", detrend="linear")
    kept = frequency <= 600e3
    figure = new_figure(9, 3.2)
    axes = figure.subplots()
    picture = axes.pcolormesh(
        starts / rate, frequency[kept] / 1e3, 10 * np.log10(power[:, kept].T + 1e-11), rasterized=True, cmap="magma"
    )
    figure.colorbar(picture, label="dB re counts²/Hz")
    axes.set_xlabel("time (s)", fontsize=LABEL)
    axes.set_ylabel("frequency (kHz)", fontsize=LABEL)
    tidy(axes, grid=False)
    add_title(figure, f"Spectrogram of the first {len(x):,} samples")
    return figure


def _distributions(x: h5py.Dataset, time: h5py.Dataset) -> Figure:
    edges = np.arange(-50.5, 61)
    counts, n_samples, total, square = np.zeros(len(edges) - 1), 0, 0.0, 0.0
    for begin in range(0, len(x), PIECE):
        piece = x[begin : begin + PIECE]
        counts += np.histogram(piece, edges)[0]
        n_samples, total = n_samples + len(piece), total + piece.sum(dtype=np.float64)
        square += np.square(piece, dtype=np.float64).sum()
    mean = total / n_samples
    figure = new_figure(9, 3.0)
    left, right = figure.subplots(1, 2)
    left.stairs(counts / n_samples, edges, fill=True, color=BLUE)
    left.set_yscale("log")
    left.set_xlabel("acoustic data (counts)", fontsize=LABEL)
    left.set_ylabel("share of the samples", fontsize=LABEL)
    left.set_title(f"mean {mean:.4g}, std {np.sqrt(max(0.0, square / n_samples - mean**2)):.4g}", fontsize=LABEL)
    target = time[:: max(1, len(time) // 1_000_000)]
    right.hist(target, bins=np.linspace(0, max(float(target.max()), 1e-9) * 1.02, 41), color=VERMILION)
    right.set_xlabel("time to failure (s)", fontsize=LABEL)
    right.set_ylabel("samples", fontsize=LABEL)
    right.set_title(f"median {np.median(target):.3g} s, largest {target.max():.3g} s", fontsize=LABEL)
    for axes in (left, right):
        tidy(axes)
    add_title(figure, "Distribution of signal and target")
    return figure
