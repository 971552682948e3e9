"""Traces that tell nothing: those that keep one value over a whole window (a dead sensor, a gap filled with zeros)."""

from __future__ import annotations

import numpy as np


def constant(waveform: np.ndarray, exists: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Find the traces that keep one value.

    Three samples of each trace clear nearly all of them; only the others are looked at whole.

    Args:
        waveform: (B, K, T), padded with zeros at its end.
        exists: False where there is no trace but padding, (B, K).
        lengths: Samples before the padding, (B,), at least 1.

    Returns:
        (B, K) bool; false on padding.
    """
    event = np.arange(len(waveform))
    first, last = waveform[..., 0], waveform[event, :, lengths - 1]
    suspect = exists & (first == last) & (first == waveform[event, :, lengths // 2])
    for b, k in np.argwhere(suspect).tolist():
        suspect[b, k] = bool((waveform[b, k, : lengths[b]] == first[b, k]).all())
    return suspect


def live_units(waveform: np.ndarray, exists: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Find the units of traces that a network can learn from.

    A unit is ``size`` successive traces that a network sees at once. It is dead where all of them are: one dead
    component beside live ones is a channel without signal, and the event still shows.

    Args:
        waveform: (B, K, T).
        exists: (B, K).
        lengths: (B,).
        size: Traces of a unit.

    Returns:
        (B, K // size) bool; false where a trace of the unit is missing.
    """
    n_units = waveform.shape[1] // size
    shape = (len(waveform), n_units, size)
    live = ~constant(waveform, exists, lengths)[:, : n_units * size].reshape(shape)
    return live.any(-1) & exists[:, : n_units * size].reshape(shape).all(-1)
