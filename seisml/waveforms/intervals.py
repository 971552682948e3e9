"""Stretches of time as (start, end) in ns: what is common to them, what is left, and windows within."""

from __future__ import annotations

import numpy as np

from seisml.waveforms.index import Segment


def spans(segments: list[Segment], components: list[str]) -> list[tuple[int, int]]:
    """Stretches of time in which every one of some components has data, by the files' headers.

    Args:
        segments: Of one instrument.
        components: Component letters.

    Returns:
        (start, end) each, in ns, in order; pieces that follow each other within two samples are one.
    """
    common: list[tuple[int, int]] | None = None
    for component in components:
        own: list[tuple[int, int]] = []
        pieces = [s for s in segments if s.component == component]
        for segment in sorted(pieces, key=lambda segment: segment.start):
            end = segment.end + round(1e9 / segment.sampling_rate)  # the last sample counts whole
            if own and segment.start - own[-1][1] <= 1e9 / segment.sampling_rate:
                own[-1] = (own[-1][0], max(own[-1][1], end))
            else:
                own.append((segment.start, end))
        common = own if common is None else _intersection(common, own)
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
