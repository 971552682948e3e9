"""Signal processing of one trace on its way into a store: joining, resampling, filtering. Arrays in, arrays out."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
from scipy import signal

LARGEST_FACTOR = 100_000  # of resampling, up or down: the filter has 64 taps for each
RATE_TOLERANCE = 1e-4  # relative; the same as SeisBench's


class Unusable(Exception):
    """Why a recording cannot become a record; the message is a short reason for the table of skipped files."""


def join_pieces(
    pieces: list[tuple[int, np.ndarray]],
    sampling_rate: float,
    fill: Literal["zero", "interpolate"] | None = None,
    name: str = "trace",
    longest_gap: float = float("inf"),
) -> tuple[int, np.ndarray, bool]:
    """Join pieces of one trace that follow each other in time.

    Args:
        pieces: (start in nanoseconds, samples) each, in any order.
        sampling_rate: In Hz.
        fill: What to put in gaps; None refuses them.
        name: Names the trace in the reason.
        longest_gap: Longest gap to fill, in s.

    Returns:
        Start in nanoseconds, samples, and whether a gap was filled.

    Raises:
        Unusable: There is a gap that is not to be filled, or pieces overlap with different samples.
    """
    pieces = sorted(pieces, key=lambda piece: piece[0])
    start, joined = pieces[0]
    parts, n_samples, filled = [joined], len(joined), False
    for begin, samples in pieces[1:]:
        # Half a sample of jitter is no gap; nor is a microsecond, the resolution of miniSEED's times.
        late = (begin - start) * 1e-9 * sampling_rate - n_samples
        missing = 0 if abs(late) <= max(0.5, 1e-6 * sampling_rate) else round(late)
        if missing > 0:
            seconds = missing / sampling_rate
            if fill is None:
                raise Unusable(f"gap of {missing} samples ({seconds:.4g} s) in {name}; --fill-gaps would keep it")
            if seconds > longest_gap:
                raise Unusable(f"gap of {seconds:.4g} s in {name}, over the {longest_gap:g} s of --longest-gap")
            filled = True
            ends = (0.0, 0.0) if fill == "zero" else (float(parts[-1][-1]), float(samples[0]))
            parts.append(np.linspace(*ends, missing + 2)[1:-1])
            n_samples += missing
        elif missing < 0:
            overlap = min(-missing, len(samples))
            joined = np.concatenate(parts)
            first = n_samples + missing
            if not np.array_equal(joined[first : first + overlap], samples[:overlap]):
                raise Unusable(f"pieces of {name} overlap with different samples")
            parts, samples = [joined], samples[overlap:]
        if len(samples):
            parts.append(samples)
            n_samples += len(samples)
    return start, np.concatenate(parts), filled


def resample(x: np.ndarray, sampling_rate: float, target: float) -> np.ndarray:
    """Resample with a zero-phase anti-alias filter (polyphase, flat to 0.84 of the lower Nyquist frequency).

    Args:
        x: (T,) samples.
        sampling_rate: Their rate in Hz.
        target: Wanted rate in Hz.

    Returns:
        (ceil(T * target / sampling_rate),) samples, the first at the same time.
    """
    if abs(target / sampling_rate - 1) < RATE_TOLERANCE:
        return x
    ratio = Fraction(target / sampling_rate).limit_denominator(10_000)
    if not ratio.numerator or max(ratio.numerator, ratio.denominator) > LARGEST_FACTOR:
        raise Unusable(f"{sampling_rate:.10g} Hz is too far from {target:.10g} Hz to resample")
    # SciPy's own filter is 6 dB down at the new Nyquist frequency and its phases differ in gain by 1e-3, which turns an
    # offset into a tone; this one is 80 dB down there, and even to 1e-4.
    longest = max(ratio.numerator, ratio.denominator)
    taps = signal.firwin(64 * longest + 1, 0.92 / longest, window=("kaiser", 8.0))
    offset = x.mean()
    edges = "antireflect" if len(x) > 1 else "constant"  # continued through its end points, so that edges do not ring
    return signal.resample_poly(x - offset, ratio.numerator, ratio.denominator, window=taps, padtype=edges) + offset


def bandpass(x: np.ndarray, sampling_rate: float, low: float, high: float) -> np.ndarray:
    """Band-pass with a Butterworth filter of 4 corners run both ways (zero phase).

    Args:
        x: (T,) samples.
        sampling_rate: In Hz.
        low: Lower corner in Hz.
        high: Upper corner in Hz, below the Nyquist frequency.
    """
    if high >= sampling_rate / 2:
        raise Unusable(
            f"a band-pass up to {high:g} Hz needs more than {2 * high:g} Hz, this has {sampling_rate:.10g} Hz"
        )
    sections = signal.butter(4, [low, high], "bandpass", fs=sampling_rate, output="sos")
    edge = 3 * (2 * len(sections) + 1)
    return signal.sosfiltfilt(sections, x, padlen=min(edge, len(x) - 1))


def detrend(x: np.ndarray, kind: Literal["constant", "linear"]) -> np.ndarray:
    """Remove the mean or the straight line of least squares; (T,) in and out."""
    return signal.detrend(x, type=kind)


def cut_or_pad(x: np.ndarray, first: int, n_samples: int) -> np.ndarray:
    """Cut ``n_samples`` from sample ``first``, with zeros beyond the end; (T,) to (n_samples,)."""
    part = x[first : first + n_samples]
    return np.pad(part, (0, n_samples - len(part)))
