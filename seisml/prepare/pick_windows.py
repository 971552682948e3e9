"""Labelled windows of equal length out of records with picks: event, noise before it, and unlabelled ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from seisml.values.class_names import EVENT, NOISE


@dataclass(frozen=True)
class WindowOptions:
    """How windows are cut. All times in s.

    Attributes:
        length: Length of every window.
        lead: Least and largest time between the start of an event window and the P pick. Drawn per record, so that the
            position of the onset tells nothing.
        gap: Time between the end of a noise window and the P pick.
        noise_windows: Noise windows per record with a P pick.
        unlabeled_windows: Windows per record without a P pick; None for as many as fit side by side.
        coda: Time after the origin of an earlier event in which nothing counts as noise.
        seed: Seed of the positions.
    """

    length: float = 20.0
    lead: tuple[float, float] = (2.0, 10.0)
    gap: float = 5.0
    noise_windows: int = 1
    unlabeled_windows: int | None = None
    coda: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Window:
    """A window of a record: its first sample, and its class (None where unlabelled)."""

    start: int
    label: str | None


def place_windows(
    n_samples: int,
    sampling_rate: float,
    p_sample: float | None,
    options: WindowOptions,
    key: str,
    quiet_from: float = 0.0,
) -> tuple[list[Window], list[str]]:
    """Place the windows of one record.

    A record with a P pick gives one event window [P - lead, P - lead + length) and noise windows side by side within
    [quiet_from, P - gap]; a record without gives unlabelled windows. Positions depend on (seed, key) alone.

    Args:
        n_samples: Length of the record.
        sampling_rate: In Hz.
        p_sample: P pick in samples from the start of the record; None where there is none.
        options: Lengths and numbers.
        key: What identifies the record.
        quiet_from: Sample from which on no earlier event disturbs the record.

    Returns:
        The windows, and the reason for each kind of window that could not be placed.
    """
    digest = hashlib.sha256(key.encode()).digest()
    random = np.random.default_rng([options.seed, int.from_bytes(digest[:8], "little")])
    length = window_samples(options.length, sampling_rate)
    if p_sample is None:
        fitting = n_samples // length
        wanted = fitting if options.unlabeled_windows is None else min(options.unlabeled_windows, fitting)
        starts = _spread(0, n_samples, length, wanted, random)
        reasons = [] if fitting else [f"shorter than a window of {options.length:g} s"]
        return [Window(start, None) for start in starts], reasons
    windows, reasons = [], []
    start = _event_start(n_samples, length, p_sample, [lead * sampling_rate for lead in options.lead], random)
    if start is None:
        reasons.append(f"P pick too close to an end of the record for an event window of {options.length:g} s")
    else:
        windows.append(Window(start, EVENT))
    first = int(np.ceil(max(0.0, quiet_from)))
    last = int(np.floor(min(p_sample - options.gap * sampling_rate, n_samples)))
    number = min(options.noise_windows, max(0, last - first) // length)
    windows += [Window(start, NOISE) for start in _spread(first, last, length, number, random)]
    if options.noise_windows and not number:
        reasons.append(f"no quiet {options.length:g} s that end {options.gap:g} s before P for a noise window")
    return windows, reasons


def window_samples(length: float, sampling_rate: float) -> int:
    """Length of a window in samples."""
    return round(length * sampling_rate)


def _event_start(
    n_samples: int, length: int, p_sample: float, leads: list[float], random: np.random.Generator
) -> int | None:
    earliest = max(0, int(np.ceil(p_sample - leads[1])))
    latest = min(n_samples - length, int(np.floor(p_sample - leads[0])))
    return int(random.integers(earliest, latest + 1)) if earliest <= latest else None


def _spread(first: int, last: int, length: int, number: int, random: np.random.Generator) -> list[int]:
    """Starts of ``number`` windows within [first, last) that do not overlap, spread at random."""
    offsets = np.sort(random.integers(0, last - first - number * length + 1, size=number)) if number else []
    return [first + int(offset) + place * length for place, offset in enumerate(offsets)]
