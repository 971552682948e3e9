"""Signal processing along the last axis: resampling, filtering, trends. Arrays in, arrays out.

``scipy.signal`` is imported where it is used: it takes several times as long as NumPy and ObsPy together, and a process
that reads files without processing them does not need it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, log
from typing import Literal

import numpy as np

LARGEST_FACTOR = 100_000  # of resampling, up or down: the filter has 64 taps for each
RATE_TOLERANCE = 1e-4  # relative; the same as SeisBench's
HALF_WIDTH = 32  # of the anti-alias filter, in samples of the lower rate
SETTLED = 1e-10  # what is left of a step after a band-pass has settled


class Unusable(Exception):
    """Why a recording cannot become a record; the message is a short reason for the table of skipped files."""


def plain_rate(sampling_rate: float) -> float:
    """A header's rate without the noise of its encoding: 99.999998 Hz is float32's 100 Hz."""
    return float(f"{sampling_rate:.7g}")


def rate_ratio(sampling_rate: float, target: float) -> Fraction:
    """Samples at the wanted rate per sample; 1 where the rates are the same but for a clock's inaccuracy.

    Raises:
        Unusable: The rates are too far apart.
    """
    if abs(target / sampling_rate - 1) < RATE_TOLERANCE:
        return Fraction(1)
    ratio = Fraction(min(target / sampling_rate, 2.0 * LARGEST_FACTOR)).limit_denominator(10_000)
    if not ratio.numerator or max(ratio.numerator, ratio.denominator) > LARGEST_FACTOR:
        raise Unusable(f"{sampling_rate:.10g} Hz is too far from {target:.10g} Hz to resample")
    return ratio


@lru_cache(maxsize=8)
def _antialias(numerator: int, denominator: int) -> np.ndarray:
    from scipy import signal

    # SciPy's filter is 6 dB down at the new Nyquist frequency; this one is 80 dB down there.
    longest = max(numerator, denominator)
    taps = signal.firwin(2 * HALF_WIDTH * longest + 1, 0.92 / longest, window=("kaiser", 8.0))
    # The phases differ in gain by 1e-4: made equal, an offset stays an offset, whatever it is and wherever it began.
    for phase in range(numerator):
        taps[phase::numerator] /= numerator * taps[phase::numerator].sum()
    return taps


def resample(x: np.ndarray, sampling_rate: float, target: float) -> np.ndarray:
    """Resample with a zero-phase anti-alias filter (polyphase, flat to 0.84 of the lower Nyquist frequency).

    Args:
        x: (..., T) samples.
        sampling_rate: Their rate in Hz.
        target: Wanted rate in Hz.

    Returns:
        (..., ceil(T * target / sampling_rate)) samples, the first at the same time.
    """
    ratio = rate_ratio(sampling_rate, target)
    if ratio == 1:
        return x
    from scipy import signal

    taps = _antialias(ratio.numerator, ratio.denominator)
    offset = x.mean(axis=-1, keepdims=True)
    edges = "antireflect" if x.shape[-1] > 1 else "constant"  # continued through the end points: edges do not ring
    up, down = ratio.numerator, ratio.denominator
    return signal.resample_poly(x - offset, up, down, axis=-1, window=taps, padtype=edges) + offset


def resampling_margin(sampling_rate: float, target: float) -> float:
    """Seconds from an edge within which resampled samples depend on what lies beyond it."""
    if abs(target / sampling_rate - 1) < RATE_TOLERANCE:
        return 0.0
    return (HALF_WIDTH + 1) / min(sampling_rate, target)


def bandpass(x: np.ndarray, sampling_rate: float, low: float, high: float) -> np.ndarray:
    """Band-pass with a Butterworth filter of 4 corners run both ways (zero phase).

    Args:
        x: (..., T) samples.
        sampling_rate: In Hz.
        low: Lower corner in Hz.
        high: Upper corner in Hz, below the Nyquist frequency.
    """
    if high >= sampling_rate / 2:
        raise Unusable(
            f"a band-pass up to {high:g} Hz needs more than {2 * high:g} Hz, this has {sampling_rate:.10g} Hz"
        )
    from scipy import signal

    sections = signal.butter(4, [low, high], "bandpass", fs=sampling_rate, output="sos")
    edge = 3 * (2 * len(sections) + 1)
    # the filter takes a straight line away by itself, but for what rings at the edges when one begins there
    return signal.sosfiltfilt(sections, detrend(x, "linear"), axis=-1, padlen=min(edge, x.shape[-1] - 1))


def bandpass_margin(sampling_rate: float, low: float, high: float) -> float:
    """Seconds from an edge within which a band-pass has not settled: its slowest pole decides."""
    from scipy import signal

    _, poles, _ = signal.butter(4, [low, high], "bandpass", fs=sampling_rate, output="zpk")
    slowest = float(np.abs(poles).max())
    return ceil(log(SETTLED) / log(slowest)) / sampling_rate if 0 < slowest < 1 else float("inf")


def detrend(x: np.ndarray, kind: Literal["constant", "linear"]) -> np.ndarray:
    """Remove the mean or the straight line of least squares.

    Args:
        x: (..., T) samples.
        kind: Which.

    Returns:
        (..., T) float64; exactly zero for a constant.
    """
    x = x.astype(np.float64)
    x -= x[..., :1].copy()
    x -= x.mean(axis=-1, keepdims=True)
    n_samples = x.shape[-1]
    if kind == "linear" and n_samples > 1:
        place = np.arange(n_samples) - (n_samples - 1) / 2
        x -= (x @ (place / (place @ place)))[..., None] * place
    return x
