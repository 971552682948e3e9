"""Statistics of windows of acoustic emission, per million samples: in batches, against one window at a time.

    python benchmarks/lanl_features.py [--windows 32] [--length 150000]

Both sides give the same numbers (compared before they are timed). One window at a time means NumPy, SciPy and pandas as
the contest's notebooks use them: moments and quantiles, a rolling standard deviation, a loop-free peak count on the
denoised signal, and mel-frequency cepstral coefficients by librosa's recipe (STFT, mel filters, dB, cosine transform).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import torch
from scipy import fft, signal, stats

from seisml.datasets.lanl.synthesis import StickSlip, synthesize
from seisml.terminal.text_table import text_table
from seisml.transforms.emission_features import (
    HOP,
    N_FFT,
    N_MFCC,
    NAMES,
    NOISE,
    QUANTILES,
    ROLLING,
    emission_features,
    mel_filters,
)


def one_window(x: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Statistics of one window (T,), in the order of ``NAMES``."""
    mean = x.mean()
    x = x - np.median(x)
    rolling = pd.Series(x).rolling(ROLLING).std().dropna()
    return np.concatenate(
        [
            [mean, x.std(), stats.kurtosis(x, fisher=False), stats.skew(x), np.abs(x).max()],
            np.quantile(x, QUANTILES),
            [np.abs(x).mean(), peaks(haar_denoised(x))],
            rolling.quantile(list(QUANTILES)),
            mel_cepstrum(x, filters),
        ]
    )


def haar_denoised(x: np.ndarray) -> np.ndarray:
    """The signal without wavelet details below the universal threshold."""
    even = x[: len(x) // 2 * 2].reshape(-1, 2)
    smooth, detail = even.sum(1) / np.sqrt(2), (even[:, 0] - even[:, 1]) / np.sqrt(2)
    threshold = np.median(np.abs(detail)) / 0.6745 * np.sqrt(2 * np.log(len(x)))
    detail[np.abs(detail) <= threshold] = 0
    pairs = np.stack([smooth + detail, smooth - detail], axis=1) / np.sqrt(2)
    return np.concatenate([pairs.ravel(), x[even.size :]])


def peaks(x: np.ndarray) -> int:
    """Samples that are larger than their two neighbours on either side, as tsfresh counts them."""
    middle = x[2:-2]
    larger = [middle > np.roll(x, shift)[2:-2] for shift in (1, 2, -1, -2)]
    return int(np.logical_and.reduce(larger).sum())


def mel_cepstrum(x: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Mean mel-frequency cepstral coefficients."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, N_FFT // 2), N_FFT)[::HOP]
    power = np.abs(fft.rfft(frames * signal.get_window("hann", N_FFT), axis=1)) ** 2
    decibel = 10 * np.log10(np.maximum(power @ filters.T, 1e-10))
    decibel = np.maximum(decibel, decibel.max() - 80)
    return fft.dct(decibel, norm="ortho", axis=1)[:, :N_MFCC].mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--length", type=int, default=150_000, help="samples of a window (default: 150000)")
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many counts (default: 3)")
    arguments = parser.parse_args()
    x, _ = synthesize(1 + arguments.windows * arguments.length // 1_000_000, 0, StickSlip())
    windows = x[: arguments.windows * arguments.length].reshape(-1, arguments.length)
    noise = NOISE * np.random.default_rng(0).standard_normal(windows.shape)  # as the winners added; equal samples part
    windows = (windows + noise).astype(np.float32).astype(np.float64)
    filters, batch = mel_filters().astype(np.float64), torch.from_numpy(windows).float()

    def loop() -> np.ndarray:
        return np.stack([one_window(window, filters) for window in windows])

    def batched() -> np.ndarray:
        return emission_features(batch).numpy()

    expected, found = loop(), batched()
    wrong = ~np.isclose(found, expected, rtol=2e-3, atol=2e-2).all(0)
    if wrong.any():
        raise SystemExit(f"not the same: {', '.join(np.array(NAMES)[wrong])}")
    rows = []
    for name, work in (("one window at a time", loop), ("in batches", batched)):
        seconds = []
        for _ in range(arguments.repeat):
            started = time.process_time()
            work()
            seconds.append(time.process_time() - started)
        rows.append({"way": name, "CPU s per million samples": min(seconds) / windows.size * 1e6})
    ratio = rows[0]["CPU s per million samples"] / rows[1]["CPU s per million samples"]
    print(text_table(rows, f"{len(NAMES)} statistics, {arguments.windows} windows of {arguments.length:,}"))
    print(f"in batches it takes {1 / ratio:.2f} of the time: {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
