"""Windows of equal length that slide over a continuous record: where they begin, and which of them are whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seisml.errors import UserError

PIECE_SECONDS = 3600.0  # windows that begin within this time are read and scanned together


@dataclass(frozen=True)
class WindowGrid:
    """Windows that begin every ``step_samples`` from midnight (UTC) on, whatever files a record is cut into.

    Attributes:
        sampling_rate: In Hz.
        n_samples: Length of a window.
        step_samples: From the start of one window to that of the next.
    """

    sampling_rate: float
    n_samples: int
    step_samples: int

    @classmethod
    def every(cls, step: float, sampling_rate: float, n_samples: int) -> WindowGrid:
        """Windows every ``step`` seconds.

        Raises:
            UserError: The step is not a whole number of samples.
        """
        samples = step * sampling_rate
        if not np.isfinite(samples) or round(samples) < 1 or abs(samples - round(samples)) > 1e-6 * max(1.0, samples):
            near = max(1, round(samples) if np.isfinite(samples) else 1) / sampling_rate
            raise UserError(
                f"--step: {step:g} s is not a whole number of samples at the checkpoint's {sampling_rate:.10g} Hz; "
                f"use {near:.10g}"
            )
        return cls(float(sampling_rate), int(n_samples), round(samples))

    @property
    def step(self) -> float:
        """Time from one window to the next, in s."""
        return self.step_samples / self.sampling_rate

    @property
    def length(self) -> float:
        """Length of a window, in s."""
        return self.n_samples / self.sampling_rate

    @property
    def per_day(self) -> int:
        """Windows that begin within one day."""
        return -int(-86_400 * self.sampling_rate // self.step_samples)

    def times(self, day_ns: int, windows: np.ndarray) -> np.ndarray:
        """Start times in ns of windows (by number from midnight) of the day that begins at ``day_ns``."""
        return day_ns + np.rint(np.asarray(windows) * (self.step_samples * 1e9 / self.sampling_rate)).astype(np.int64)

    def span(self, n_windows: int) -> int:
        """Samples that ``n_windows`` windows cover."""
        return (n_windows - 1) * self.step_samples + self.n_samples

    def pieces(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Cut windows first..last-1 of a day into ranges scanned together, at the same places in every record."""
        size = max(1, int(max(PIECE_SECONDS, 4 * self.length) / self.step))
        for start in range(first - first % size, last, size):
            if max(first, start) < last:
                yield max(first, start), min(last, start + size)


def whole_windows(present: np.ndarray, grid: WindowGrid) -> np.ndarray:
    """Find the windows in which a component has every sample.

    Args:
        present: (C, n) true where there is a sample, n at least one window.
        grid: The windows.

    Returns:
        (n_windows, C) bool.
    """
    n_windows = (present.shape[1] - grid.n_samples) // grid.step_samples + 1
    absent = np.zeros((present.shape[0], present.shape[1] + 1), dtype=np.int64)
    np.cumsum(~present, axis=1, out=absent[:, 1:])
    starts = np.arange(n_windows) * grid.step_samples
    return (absent[:, starts + grid.n_samples] == absent[:, starts]).T


def window_view(waveform: np.ndarray, grid: WindowGrid) -> np.ndarray:
    """Look at all windows of a record without copying a sample.

    Args:
        waveform: (C, n), n at least one window.
        grid: The windows.

    Returns:
        (n_windows, C, T), a view of ``waveform``, read-only because windows overlap.
    """
    view = np.lib.stride_tricks.sliding_window_view(waveform, grid.n_samples, axis=1)  # (C, n - T + 1, T)
    return view[:, :: grid.step_samples].transpose(1, 0, 2)
