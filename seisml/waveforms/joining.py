"""Pieces of one channel beside each other: here alone is decided what is a gap and what an overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seisml.waveforms.process import RATE_TOLERANCE, Unusable

Fill = Literal["zero", "interpolate"]


@dataclass(frozen=True)
class Place:
    """Where a piece lies.

    Attributes:
        stretch: Time of the first sample of the unbroken stretch that it belongs to, in ns.
        sampling_rate: Of the whole stretch, in Hz.
        offset: Samples from the stretch's first to the piece's.
    """

    stretch: int
    sampling_rate: float
    offset: int


def slack(sampling_rate: float) -> float:
    """Samples by which a piece may come early or late and still follow the one before.

    Half a sample of jitter is not a gap; nor is a microsecond, the resolution of miniSEED's times.
    """
    return max(0.5, 1e-6 * sampling_rate)


def place_pieces(pieces: Sequence[tuple[int, int, float]], longest_gap: float = 0.0) -> list[Place]:
    """Give pieces of one channel their places in unbroken stretches.

    A piece continues a stretch where it has the same rate and begins no later than :func:`slack` after its end, or no
    more than a gap that will be filled. One that begins before the stretch's end overlaps it and gets the nearest
    place. All times come from the stretch's start: a record gives the same samples however it is cut into files.

    Args:
        pieces: (start in ns, number of samples, sampling rate in Hz) each, in order of start.
        longest_gap: Gaps up to this many seconds do not end a stretch.
    """
    places: list[Place] = []
    stretch, rate, length = 0, 0.0, 0
    for start, n_samples, own_rate in pieces:
        late = (start - stretch) * 1e-9 * rate - length
        same_rate = rate > 0 and abs(own_rate / rate - 1) <= RATE_TOLERANCE
        if not same_rate or late > max(slack(rate), longest_gap * rate):
            stretch, rate, length, late = start, own_rate, 0, 0.0
        offset = length if abs(late) <= slack(rate) else round(length + late)
        places.append(Place(stretch, rate, offset))
        length = max(length, offset + n_samples)
    return places


def join_pieces(
    pieces: list[tuple[int, np.ndarray]],
    sampling_rate: float,
    fill: Fill | None = None,
    name: str = "trace",
    longest_gap: float = float("inf"),
) -> tuple[int, np.ndarray, bool]:
    """Join pieces of one channel that follow each other in time.

    Args:
        pieces: (start in ns, samples) each, in any order.
        sampling_rate: In Hz.
        fill: What to put in gaps; None refuses them.
        name: Names the channel in the reason.
        longest_gap: Longest gap to fill, in s.

    Returns:
        Start in ns, samples, and whether a gap was filled.

    Raises:
        Unusable: There is a gap that is not to be filled, or pieces overlap with different samples.
    """
    pieces = sorted(pieces, key=lambda piece: piece[0])
    if len(pieces) == 1:
        return *pieces[0], False
    places = place_pieces([(start, len(samples), sampling_rate) for start, samples in pieces], float("inf"))
    length = 0
    for (_, samples), place in zip(pieces, places, strict=True):
        missing = place.offset - length
        seconds = missing / sampling_rate
        if missing > 0 and fill is None:
            raise Unusable(f"gap of {missing} samples ({seconds:.4g} s) in {name}; --fill-gaps would keep it")
        if seconds > longest_gap:
            raise Unusable(f"gap of {seconds:.4g} s in {name}, over the {longest_gap:g} s of --longest-gap")
        length = max(length, place.offset + len(samples))
    joined, have = np.zeros(length), np.zeros(length, dtype=bool)
    for (_, samples), place in zip(pieces, places, strict=True):
        part = slice(place.offset, place.offset + len(samples))
        taken = have[part]
        if not np.array_equal(joined[part][taken], samples[taken]):
            raise Unusable(f"pieces of {name} overlap with different samples")
        joined[part], have[part] = samples, True
    filled = not have.all()
    if filled and fill is not None:
        fill_gaps(joined, ~have, fill)
    return pieces[0][0], joined, filled


def join_around(
    pieces: list[tuple[int, np.ndarray]],
    sampling_rate: float,
    window: tuple[int, int],
    fill: Fill | None = None,
    name: str = "trace",
) -> tuple[int, np.ndarray]:
    """Join the pieces that hold a window, and what goes on before and behind it without a gap.

    Gaps shorter than the window are filled where ``fill`` says so, as in a continuous record. What is wrong beside the
    window (samples that are not numbers, overlaps that differ) ends the stretch and costs the window nothing.

    Args:
        pieces: (start in ns, samples) each, in any order.
        sampling_rate: In Hz.
        window: Start and end in ns.
        fill: What to put in gaps; None ends at them, and refuses one within the window.
        name: Names the channel in the reason.

    Returns:
        Start in ns, and samples; they may end within the window, where the data do.

    Raises:
        Unusable: There is nothing in the window, or a gap, or pieces overlap with different samples.
    """
    start, end = window
    pieces = sorted(pieces, key=lambda piece: piece[0])
    longest = (end - start) * 1e-9 if fill else 0.0
    places = place_pieces([(begin, len(samples), sampling_rate) for begin, samples in pieces], longest)
    inside = [begin < end and begin + round(len(x) / sampling_rate * 1e9) > start for begin, x in pieces]
    held = {place.stretch for place, is_inside in zip(places, inside, strict=True) if is_inside}
    if not held:
        raise Unusable(f"no data of {name}")
    fill = fill if len(held) == 1 else None
    try:
        chosen = [piece for piece, place in zip(pieces, places, strict=True) if place.stretch in held]
        begin, x, _ = join_pieces(chosen, sampling_rate, fill, name)
    except Unusable:
        chosen = [piece for piece, is_inside in zip(pieces, inside, strict=True) if is_inside]
        begin, x, _ = join_pieces(chosen, sampling_rate, fill, name)
    first, last = ((time - begin) * 1e-9 * sampling_rate for time in window)
    bad = np.flatnonzero(~np.isfinite(x))
    first = int(bad[bad < first].max(initial=-1)) + 1
    last = int(bad[bad >= last].min(initial=len(x)))
    return begin + round(first / sampling_rate * 1e9), x[first:last]


def fill_gaps(x: np.ndarray, gap: np.ndarray, fill: Fill) -> np.ndarray:
    """Fill gaps in place, with zeros or a straight line between the samples beside them.

    Args:
        x: (T,) samples.
        gap: (T,) true where there is none.
        fill: How.

    Returns:
        (T,) true where a gap was filled; one at an end of ``x`` is not.
    """
    filled = np.zeros(len(x), dtype=bool)
    for first, last in runs(gap):
        if first == 0 or last == len(x):
            continue
        x[first:last] = 0.0 if fill == "zero" else np.linspace(x[first - 1], x[last], last - first + 2)[1:-1]
        filled[first:last] = True
    return filled


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and behind-last index of each unbroken run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
