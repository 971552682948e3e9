"""Channels of one record: brought to one rate and one window, (C, T)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import RATE_TOLERANCE, Unusable
from seisml.waveforms.sac_header import SacHeader


@dataclass
class Channel:
    """One unbroken channel as recorded.

    Attributes:
        identity: "NET.STA.LOC.CHA", "..." where unknown.
        start: Time of the first sample, in ns since 1970.
        sampling_rate: In Hz.
        samples: (T,) float64.
        is_dead: All samples are the same.
        headers: Of the SAC files that it was read from.
    """

    identity: str
    start: int
    sampling_rate: float
    samples: np.ndarray
    is_dead: bool = False
    headers: tuple[SacHeader, ...] = ()

    @property
    def component(self) -> str:
        """Component code, empty where unknown."""
        return self.identity.rsplit(".", 1)[-1][-1:]


def common_rate(channels: Sequence[Channel], wanted: float | None) -> float:
    """The rate in Hz that the channels of one record have, or will have.

    Raises:
        Unusable: They differ, and none is wanted.
    """
    rates = sorted({channel.sampling_rate for channel in channels})
    if wanted is None and rates[-1] / rates[0] - 1 > RATE_TOLERANCE:
        listed = ", ".join(f"{rate:.10g}" for rate in rates)
        raise Unusable(f"mixed sampling rates ({listed} Hz); --sampling-rate would bring them to one")
    return wanted if wanted is not None else channels[0].sampling_rate


@dataclass
class CommonWindow:
    """Channels over their common time, preprocessed but for the trend.

    Attributes:
        rows: (T_c,) float64 of each channel; longer ones go on beyond the common time as far as the length allows.
        start: Time of the first sample, in ns.
        n_samples: Length of the record; rows that are shorter get zeros.
        padded: Seconds of zeros that the shortest row gets.
        trimmed: Whether the channels began or ended at different times, and no length was asked for.
    """

    rows: list[np.ndarray]
    start: int
    n_samples: int
    padded: float = 0.0
    trimmed: bool = False


def common_window(channels: Sequence[Channel], rate: float, preprocessing: Preprocessing) -> CommonWindow:
    """Preprocess whole channels, and cut them where the last of them begins.

    Args:
        channels: As recorded.
        rate: What :func:`common_rate` said.
        preprocessing: The steps.

    Raises:
        Unusable: The channels do not overlap in time, or cannot be filtered.
    """
    whole = [preprocessing.on_stretch(channel.samples, channel.sampling_rate) for channel in channels]
    start = max(channel.start for channel in channels)
    firsts = [round((start - channel.start) * 1e-9 * rate) for channel in channels]
    left = [len(samples) - first for samples, first in zip(whole, firsts, strict=True)]
    if min(left) < 1:
        raise Unusable("its traces do not overlap in time")
    length = preprocessing.length
    n_samples = min(left) if length is None else max(1, round(length * rate))
    rows = [samples[first : first + n_samples] for samples, first in zip(whole, firsts, strict=True)]
    trimmed = length is None and (max(firsts) > 0 or max(left) > min(left))
    return CommonWindow(rows, start, n_samples, max(0, n_samples - min(left)) / rate, trimmed)


def finish(
    rows: Sequence[np.ndarray], n_samples: int, preprocessing: Preprocessing, dead: Sequence[bool]
) -> np.ndarray:
    """Take the last step on a window's channels: the trend goes, and zeros follow where a recording ends before it.

    Args:
        rows: (T_c,) samples of each channel, at most ``n_samples``.
        n_samples: Length of the window.
        preprocessing: Says which trend.
        dead: For each, whether the recording has no signal: zeros are left of it after a filter, and not the rounding
            errors, which would look like noise once normalised.

    Returns:
        (C, n_samples) float32.
    """
    out = np.zeros((len(rows), n_samples), dtype=np.float32)
    removed = preprocessing.detrend or preprocessing.bandpass
    for row, samples, is_dead in zip(out, rows, dead, strict=True):
        if not (is_dead and removed):
            row[: len(samples)] = preprocessing.on_window(samples)
    return out
