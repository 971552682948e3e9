"""Seismic attributes of traces: in batches, against one trace at a time.

    python benchmarks/attributes.py [--traces 256] [--length 2000]

Both sides give the same numbers (compared before they are timed). One trace at a time means NumPy and SciPy as the
scripts of observatories use them: `scipy.signal.hilbert`, a band-pass by Fourier transform, `find_peaks`, moments by
`scipy.stats`, the spectrogram by a loop of windows.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from scipy import signal, stats

from seisml.run.precision import device_name
from seisml.terminal.text_table import text_table
from seisml.transforms.attributes import BANDS, SEGMENTS, TRACE, trace_attributes


def make_traces(n: int, length: int, seed: int = 0) -> np.ndarray:
    """Noise with a burst in it, (n, length) float32."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, length))
    t = np.arange(length) - generator.uniform(0.2, 0.6, (n, 1)) * length
    frequency = generator.uniform(0.02, 0.4, (n, 1))
    burst = np.where(t > 0, np.exp(-10 * t.clip(0) / length), 0) * np.sin(np.pi * frequency * t)
    return (x + generator.uniform(0, 30, (n, 1)) * burst).astype(np.float32)


def peaks(curve: np.ndarray) -> int:
    """Local maxima above the mean."""
    found = signal.argrelmax(curve)[0]
    return int((curve[found] > curve.mean()).sum())


def quantiles(share: np.ndarray, frequency: np.ndarray) -> list[float]:
    """Frequencies below which 1/4, 1/2 and 3/4 of the energy lies."""
    return list(frequency[np.searchsorted(np.cumsum(share), (0.25, 0.5, 0.75)).clip(max=len(share) - 1)])


def lower_median(x: np.ndarray) -> float:
    """The lower of the two middle values, as PyTorch's median is."""
    return float(np.sort(x)[(len(x) - 1) // 2])


def of_waveform(x: np.ndarray, peak: float) -> list[float]:
    """Attributes of the waveform and its envelope."""
    n = len(x)
    envelope = np.abs(signal.hilbert(x))
    top, place = envelope.max(), int(envelope.argmax())
    above = np.flatnonzero(envelope > 0.1 * top)
    first, last = above[0], above[-1]
    power = x**2
    share, position = power / power.sum(), np.arange(n) / n
    spectrum = np.fft.rfft(x)
    auto = np.fft.irfft(np.abs(spectrum) ** 2, n)
    auto /= auto[0]
    early, late = (auto[: n // 3] ** 2).sum(), (auto[n // 3 :] ** 2).sum()
    centroid = (share * position).sum()
    line = np.linspace(1, 0, last - place + 1)
    after, before = max(2, n // 50), max(4, n // 5)
    total = np.concatenate([[0], power.cumsum()])
    starts = np.arange(before, n - after + 1)
    ratio = (total[starts + after] - total[starts]) / after
    ratio = ratio / np.maximum((total[starts] - total[starts - before]) / before, 1e-9 * power.mean())
    frequency = np.linspace(0, 1, len(spectrum))
    bands = [
        np.fft.irfft(spectrum * ((frequency >= low) & ((frequency < high) | (high >= 1))), n) for low, high in BANDS
    ]
    energy = np.array([(band**2).sum() for band in bands])
    return [
        np.log10(peak * np.sqrt(power.mean())), np.log10(peak), (last - first + 1) / n, envelope.mean() / top,
        lower_median(envelope) / top, (place - first + 1) / (last - place + 1),
        stats.kurtosis(x, fisher=False), stats.kurtosis(envelope, fisher=False), stats.skew(x), stats.skew(envelope),
        np.mean((x[1:] > 0) != (x[:-1] > 0)), peaks(auto) / n, np.log10(early), np.log10(late), late / early,
        np.sqrt(((envelope[place : last + 1] / top - line) ** 2).mean()),
        centroid, np.sqrt((share * position**2).sum() - centroid**2), np.log10(ratio.max()),
        *(energy / energy.sum()), *(stats.kurtosis(band, fisher=False) for band in bands),
    ]  # fmt: skip


def of_spectrum(x: np.ndarray) -> list[float]:
    """Attributes of the amplitude spectrum."""
    amplitude = np.abs(np.fft.rfft(x))
    amplitude /= amplitude.max()
    frequency = np.linspace(0, 1, len(amplitude))
    width = max(3, len(amplitude) // 128 | 1)
    smooth = np.convolve(np.pad(amplitude, width // 2, mode="edge"), np.full(width, 1 / width), "valid")
    share = amplitude**2 / (amplitude**2).sum()
    centroid, second = (share * frequency).sum(), (share * frequency**2).sum()
    local = signal.argrelmax(smooth)[0]
    return [
        amplitude.mean(), lower_median(amplitude), amplitude.var(ddof=1), frequency[amplitude.argmax()], centroid,
        *quantiles(share, frequency), (smooth[local] > 0.75 * smooth.max()).sum(), len(local) / (len(smooth) - 2),
        smooth[local].mean(), np.sqrt(second - centroid**2), np.sqrt(second), stats.entropy(share),
        *(part.sum() for part in np.array_split(share, 4)),
    ]  # fmt: skip


def of_spectrogram(x: np.ndarray) -> list[float]:
    """Attributes of the spectrogram."""
    width = max(8, 2 * len(x) // (SEGMENTS + 1))
    window = signal.get_window("hann", width)
    starts = range(0, len(x) - width + 1, max(1, width // 2))
    columns = [np.abs(np.fft.rfft(x[start : start + width] * window)) for start in starts]
    frequency = np.linspace(0, 1, len(columns[0]))
    largest = np.array([column.max() for column in columns])
    mean = np.array([column.mean() for column in columns])
    median = np.array([lower_median(column) for column in columns])
    highest = np.array([frequency[column.argmax()] for column in columns])
    shares = [column**2 / (column**2).sum() for column in columns]
    centroid = np.array([(share * frequency).sum() for share in shares])
    quartile1, middle, quartile3 = np.array([quantiles(share, frequency) for share in shares]).T
    n_peaks = [peaks(curve) for curve in (largest, mean, median)]
    return [
        stats.kurtosis(largest, fisher=False), stats.kurtosis(median, fisher=False), (largest / mean).mean(),
        (largest / median).mean(), *n_peaks, n_peaks[0] / max(1, n_peaks[1]), n_peaks[0] / max(1, n_peaks[2]),
        peaks(centroid), peaks(highest), np.abs(highest - centroid).mean(), np.abs(centroid - middle).mean(),
        (middle - quartile1).mean(), (quartile3 - middle).mean(), (quartile3 - quartile1).mean(),
    ]  # fmt: skip


def one_trace(x: np.ndarray) -> list[float]:
    """Attributes of one trace (T,), in the order of ``TRACE``."""
    x = x.astype(np.float64) - x.mean(dtype=np.float64)
    peak = float(np.abs(x).max())
    return of_waveform(x / peak, peak) + of_spectrum(x / peak) + of_spectrogram(x / peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=256)
    parser.add_argument("--length", type=int, default=2000, help="samples of a trace (default: 2000, 20 s at 100 Hz)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=5, help="the fastest of so many counts (default: 5)")
    arguments = parser.parse_args()
    traces = make_traces(arguments.traces, arguments.length)
    tensor = torch.from_numpy(traces)[:, None]

    def loop() -> np.ndarray:
        return np.array([one_trace(trace) for trace in traces])

    def batched() -> np.ndarray:
        return torch.cat([trace_attributes(part) for part in tensor.split(arguments.batch_size)])[:, 0].numpy()

    expected, found = loop(), batched()
    wrong = ~np.isclose(found, expected, rtol=1e-3, atol=1e-4).all(axis=0)
    if wrong.any():
        raise SystemExit(f"not the same: {', '.join(np.array(TRACE)[wrong])}")
    ways = {"one trace at a time": loop, "in batches": batched}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeat):
        for name, work in ways.items():
            started = time.process_time()
            work()
            seconds[name].append(time.process_time() - started)
    rows = [{"way": name, "CPU ms a trace": 1e3 * min(took) / len(traces)} for name, took in seconds.items()]
    ratio = min(seconds["one trace at a time"]) / min(seconds["in batches"])
    size = f"{len(TRACE)} attributes, {len(traces)} traces of {arguments.length:,}, {device_name('cpu')}"
    print(text_table(rows, size))
    print(f"in batches it is {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
