"""Searching many sorted slices of one array at once."""

from __future__ import annotations

import numpy as np


def search_slices(values: np.ndarray, low: np.ndarray, high: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Find where each wanted value would be put into its slice, before equal ones: a bisection of all at once.

    Args:
        values: (M,), each slice in ascending order.
        low: First place of each slice, (B,).
        high: One beyond its last, (B,).
        wanted: (B,).

    Returns:
        Places in ``values``, between ``low`` and ``high``, (B,) int64.
    """
    low, high = np.array(low, np.int64), np.array(high, np.int64)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        before = open_ & (values[np.minimum(middle, len(values) - 1)] < wanted)
        low = np.where(before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low
