"""Stretches of time as (start, end) in ns: what is common to them, what is left, and windows within."""

from __future__ import annotations

import numpy as np

from seisml.waveforms.index import Segment, place_segments


def spans(segments: list[Segment], components: list[str], longest_gap: float = 0.0) -> list[tuple[int, int]]:
    """Stretches of time in which every one of some components has data, by the files' headers.

    Args:
        segments: Of one instrument.
        components: Component letters.
        longest_gap: Gaps up to this many seconds will be filled, and end no stretch.

    Returns:
        (start, end) each, in ns, in order.
    """
    common: list[tuple[int, int]] | None = None
    for component in components:
        ends: dict[tuple[int, float], int] = {}
        pieces = sorted((s for s in segments if s.component == component), key=lambda segment: segment.start)
        for segment, place in zip(pieces, place_segments(pieces, longest_gap), strict=True):
            end = segment.end + round(1e9 / segment.sampling_rate)  # the last sample counts whole
            stretch = place.stretch, place.sampling_rate
            ends[stretch] = max(ends.get(stretch, end), end)
        found = [(start, end) for (start, _), end in ends.items()]
        common = found if common is None else _intersection(common, found)
    return common or []


def without(stretch: tuple[int, int], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a stretch of time when others are taken out of it."""
    left, at = [], stretch[0]
    for start, end in sorted(taken):
        if start > at:
            left.append((at, min(start, stretch[1])))
        at = max(at, end)
        if at >= stretch[1]:
            break
    if at < stretch[1]:
        left.append((at, stretch[1]))
    return [(start, end) for start, end in left if end > start]


def side_by_side(stretch: tuple[int, int], length: int, random: np.random.Generator) -> list[int]:
    """Starts of as many windows as fit into a stretch (ns) without overlap, at a random offset."""
    number = (stretch[1] - stretch[0]) // length
    if number < 1:
        return []
    offset = int(random.integers(0, stretch[1] - stretch[0] - number * length + 1))
    return [stretch[0] + offset + place * length for place in range(number)]


def _intersection(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> list[tuple[int, int]]:
    both, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            both.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return both
