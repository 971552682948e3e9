"""Samples of a station-day on one time grid: pieces of files joined, resampled, and put in their places."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

import numpy as np

from seisml.waveforms.joining import fill_gaps, runs
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable, rate_ratio, resample, resampling_margin
from seisml.waveforms.samples import FileCache, SampleSource
from seisml.waveforms.streams import Piece, StationDay


@dataclass
class Tally:
    """What was met while reading one component.

    Attributes:
        remarks: In the order in which they came up, each once.
    """

    remarks: dict[str, None] = field(default_factory=dict)

    def say(self, remark: str) -> None:
        """Note a remark once."""
        self.remarks[remark] = None


@dataclass(frozen=True)
class GridOptions:
    """What is done to the samples on their way to the grid.

    Attributes:
        preprocessing: The network's; its sampling rate is the grid's. The trend goes later, from each window.
        window_seconds: Length of the network's windows. A trace that keeps one value for this long is dead there, and
            has no samples; gaps that are to be filled are filled where they are shorter.
        keep_offset: Keep the traces' means; they go by default because they cost the digits of float32.
    """

    preprocessing: Preprocessing
    window_seconds: float
    keep_offset: bool = False

    @property
    def sampling_rate(self) -> float:
        """Of the grid, in Hz."""
        if self.preprocessing.sampling_rate is None:
            raise ValueError("a grid needs a preprocessing with a sampling rate")
        return self.preprocessing.sampling_rate

    @property
    def longest_gap(self) -> float:
        """Seconds up to which a gap is filled."""
        return self.window_seconds if self.preprocessing.gaps else 0.0

    def margin(self, sampling_rate: float | None = None) -> float:
        """Seconds read beyond a part's ends, so that filters have settled, and flat parts and gaps are seen whole.

        Args:
            sampling_rate: Of the record, in Hz; by default the grid's.
        """
        return self.window_seconds + self.preprocessing.margin(sampling_rate or self.sampling_rate)


class DayReader:
    """Reads any part of a station-day.

    Args:
        task: The station-day.
        options: What to do to the samples.
        source: Where the samples of its pieces come from; by default their files.
    """

    def __init__(self, task: StationDay, options: GridOptions, source: SampleSource | None = None) -> None:
        self.task, self.options = task, options
        self.source = source or FileCache()
        self.tally = {component: Tally() for component in task.components}

    def read(self, first: int, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Read grid samples ``first`` (counted from midnight) to ``first + n_samples - 1``.

        Returns:
            Waveform (C, n_samples) float32, zero where there is no sample; and (C, n_samples) bool, true where there is
            one.
        """
        margin = ceil(self.options.margin() * self.options.sampling_rate)
        size = n_samples + 2 * margin
        waveform = np.zeros((len(self.task.components), n_samples), dtype=np.float32)
        present = np.zeros(waveform.shape, dtype=bool)
        for row, (component, pieces) in enumerate(self.task.components.items()):
            x, have = self._component(component, pieces, first - margin, size)
            if not have.any():
                continue
            tally = self.tally[component]
            single = have[:-2] & have[2:] & ~have[1:-1]  # clocks that drift by a sample leave these between stretches
            if single.any():
                place = np.flatnonzero(single) + 1
                x[place] = (x[place - 1] + x[place + 1]) / 2
                have[place] = True
                tally.say("single missing samples interpolated")
            if self.options.preprocessing.bandpass:
                self._filter(x, have, tally)
            part = slice(margin, margin + n_samples)
            x, have = x[part], have[part]
            if have.any():
                offset = 0.0 if self.options.keep_offset else x[have].mean()
                waveform[row, have] = x[have] - offset
                present[row] = have
        return waveform, present

    def _component(
        self, component: str, pieces: tuple[Piece, ...], first: int, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """One component on the grid, float64, with what lies beyond the part asked for."""
        x, have = np.zeros(size), np.zeros(size, dtype=bool)
        stretches: dict[tuple[int, float], list[Piece]] = defaultdict(list)
        for piece in pieces:
            stretches[piece.stretch, piece.sampling_rate].append(piece)
        target = self.options.sampling_rate
        for (start, rate), parts in sorted(stretches.items()):
            origin = floor((start - self.task.day) * 1e-9 * target + 0.5) - first  # grid place of the stretch's start
            try:
                ratio = rate_ratio(rate, target)
            except Unusable as reason:
                self.tally[component].say(str(reason))
                continue
            if ratio != 1:
                lacking = f", which has nothing above {rate / 2:.10g} Hz" if rate < target else ""
                self.tally[component].say(f"resampled from {rate:.10g} Hz{lacking}")
            for place, samples in self._stretch(component, parts, rate, ratio, -origin, size - origin):
                place += origin
                lo, hi = max(place, 0), min(place + len(samples), size)
                if lo < hi:
                    free = ~have[lo:hi]  # what another stretch has put there stays
                    x[lo:hi][free] = samples[lo - place : hi - place][free]
                    have[lo:hi] = True
        return x, have

    def _stretch(
        self, component: str, pieces: list[Piece], rate: float, ratio: Fraction, lo: int, hi: int
    ) -> list[tuple[int, np.ndarray]]:
        """Samples lo..hi-1 of a stretch at the grid's rate, as (place, samples) of its unbroken parts."""
        p, q = ratio.numerator, ratio.denominator
        grid_rate = self.options.sampling_rate
        edge = ceil(resampling_margin(rate, grid_rate) * grid_rate)
        total = max(piece.offset + piece.n_samples for piece in pieces)
        # a rate that is off by less than resampling can mend: samples keep their time at the start of what is read
        slip = round(lo * (rate / grid_rate - 1)) if ratio == 1 and 0 < lo < total else 0
        lo, hi = lo + slip, hi + slip
        begin = max(0, (lo - edge) // p * q)  # a whole number of periods, so that the filter's phase is always the same
        end = min(total, ceil((hi + edge) * q / p))
        if begin >= end:
            return []
        x, have = self._raw(component, pieces, begin, end, rate)
        parts = []
        for first, last in runs(have):
            first += -(begin + first) % q
            if first < last:
                samples = resample(x[first:last], rate, grid_rate)
                parts.append(((begin + first) // q * p - slip, samples))
        return parts

    def _raw(
        self, component: str, pieces: list[Piece], begin: int, end: int, rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Samples begin..end-1 of a stretch as recorded, and where there are any that can be used."""
        x, have = np.zeros(end - begin), np.zeros(end - begin, dtype=bool)
        tally, instrument = self.tally[component], self.task.instrument
        for piece in pieces:
            if piece.offset >= end or piece.offset + piece.n_samples <= begin:
                continue
            channel_id = f"{instrument.network}.{instrument.station}.{instrument.location}.{piece.code}"
            times = [piece.stretch + round(place * 1e9 / rate) for place in (begin - 2, end + 2)]
            try:
                traces = self.source.samples(piece, channel_id, *times)
            except OSError as error:
                tally.say(str(error))
                continue
            if piece.path in self.source.lost:
                tally.say(f"{piece.path.name}: {self.source.lost[piece.path]}")
            for start, samples in traces:
                inside = round((start - piece.start) * 1e-9 * rate)
                if not -1 < inside + len(samples) or inside >= piece.n_samples or inside < -1:
                    continue  # another piece of the same channel and file
                samples = samples[: piece.n_samples - inside]
                place = piece.offset + inside - begin
                lo, hi = max(place, 0), min(place + len(samples), end - begin)
                if lo >= hi:
                    continue
                new, taken = samples[lo - place : hi - place], have[lo:hi]
                if taken.any() and not np.array_equal(x[lo:hi][taken], new[taken]):
                    tally.say("overlaps with other samples; the earlier were kept")
                x[lo:hi][~taken] = new[~taken]
                have[lo:hi] = True
        bad = have & ~np.isfinite(x)
        if bad.any():
            tally.say("NaN or infinite samples left out")
            x[bad], have[bad] = 0.0, False
        flat = flat_samples(x, have, max(2, round(self.options.window_seconds * rate)))
        if flat.any():
            tally.say("flat parts left out")
            have &= ~flat
        if self.options.preprocessing.gaps:
            filled = fill_gaps(x, _between(pieces, begin, end), self.options.preprocessing.gaps)
            if filled.any():
                tally.say("gaps filled")
                have |= filled
        return x, have

    def _filter(self, x: np.ndarray, have: np.ndarray, tally: Tally) -> None:
        for first, last in runs(have):
            if last - first > 30:  # a filter of four corners needs this many
                x[first:last] = self.options.preprocessing.filtered(x[first:last], self.options.sampling_rate)
            else:
                have[first:last] = False
                tally.say("parts too short for the band-pass left out")


def _between(pieces: list[Piece], begin: int, end: int) -> np.ndarray:
    """Where no piece of a stretch has a place among its samples begin..end-1."""
    gap = np.ones(end - begin, dtype=bool)
    for piece in pieces:
        first = max(piece.offset - begin, 0)
        gap[first : max(piece.offset + piece.n_samples - begin, first)] = False
    return gap


def flat_samples(x: np.ndarray, have: np.ndarray, shortest: int) -> np.ndarray:
    """Mark samples within runs of one value (dead sensors, gaps filled with zeros) of at least ``shortest`` samples."""
    flat = np.zeros(len(x), dtype=bool)
    same = (x[1:] == x[:-1]) & have[1:] & have[:-1]
    for first, last in runs(same):
        if last - first + 1 >= shortest:
            flat[first : last + 1] = True
    return flat
