"""Windows of chosen length, cut from continuous or event files of one channel, filtered and resampled."""

from __future__ import annotations

import glob
import warnings
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
from obspy import Stream, read

from seisml.waveforms.index import Instrument, Segment
from seisml.waveforms.process import Unusable, bandpass, detrend, join_pieces, resample

FILES_KEPT = 6  # read files kept in memory: three components of two successive days


class WindowReader:
    """Reads windows of channels; the files read last stay in memory, so ask in order of time.

    Args:
        segments: What lies where, from the files' headers.
        sampling_rate: Resample to this rate in Hz.
        band: Corners in Hz of a zero-phase band-pass; None for none.
        margin: Seconds read on either side, where the data go on, so that filters have settled in the window.
    """

    def __init__(
        self,
        segments: list[Segment],
        sampling_rate: float,
        band: tuple[float, float] | None = None,
        margin: float = 2.0,
    ) -> None:
        self.sampling_rate, self.band, self.margin = sampling_rate, band, margin
        self._segments: dict[tuple[Instrument, str], list[Segment]] = {}
        for segment in segments:
            self._segments.setdefault((segment.instrument, segment.component), []).append(segment)
        self._files: OrderedDict[Path, Stream | str] = OrderedDict()

    def read(self, instrument: Instrument, component: str, start: int, length: float) -> np.ndarray:
        """Read a window of one channel.

        The trend is removed, then the band-pass and the resampling follow.

        Args:
            instrument: Whose channel.
            component: Its component letter in the files.
            start: First sample, in ns since 1970.
            length: In s.

        Returns:
            (round(length * sampling_rate),) float32.

        Raises:
            Unusable: With the reason: no data, a gap, other samples than numbers, no signal.
        """
        end, margin = start + round(length * 1e9), round(self.margin * 1e9)
        name = f"{instrument}"[:-1] + component
        held = self._held(instrument, component, start, end)
        pieces, rates = [], set()
        for path in dict.fromkeys(segment.path for segment in held):
            for trace in self._stream(path):
                codes = (trace.stats.network, trace.stats.station, trace.stats.location, trace.stats.channel)
                own = (instrument.network, instrument.station, instrument.location, instrument.band + component)
                if codes != own or trace.stats.endtime.ns < start or trace.stats.starttime.ns >= end:
                    continue
                rate = float(f"{trace.stats.sampling_rate:.7g}")
                rates.add(rate)
                first = max(0, int((start - margin - trace.stats.starttime.ns) * 1e-9 * rate))
                last = int(np.ceil((end + margin - trace.stats.starttime.ns) * 1e-9 * rate)) + 1
                begin = trace.stats.starttime.ns + round(first / rate * 1e9)
                pieces.append((begin, np.asarray(trace.data[first:last], dtype=float)))
        if not pieces:
            raise Unusable(f"no data of {name}")
        if len(rates) > 1:
            raise Unusable(f"the sampling rate of {name} changes")
        (rate,) = rates
        begin, samples, _ = join_pieces(pieces, rate, name=name)
        lacking = max(begin - start, end - begin - round(len(samples) / rate * 1e9)) * 1e-9
        if lacking > 1 / rate:
            raise Unusable(f"{name} lacks {lacking:.4g} s of {length:g} s")
        if not np.isfinite(samples).all():
            raise Unusable(f"{name} holds samples that are not numbers")
        if np.ptp(samples) == 0:
            raise Unusable(f"{name} is flat")
        # The first sample of the window is the nearest in the file; resampling begins whole cycles before it.
        ratio = Fraction(self.sampling_rate / rate).limit_denominator(10_000)
        nearest = max(0, round((start - begin) * 1e-9 * rate))
        before = min(nearest, round(self.margin * rate)) // ratio.denominator * ratio.denominator
        samples = detrend(samples[nearest - before :], "linear")
        if self.band:
            samples = bandpass(samples, rate, *self.band)
        samples = resample(samples, rate, self.sampling_rate)
        n_samples = round(length * self.sampling_rate)
        offset = before * ratio.numerator // ratio.denominator
        window = samples[offset : offset + n_samples]
        return np.pad(window, (0, n_samples - len(window)), mode="edge").astype(np.float32)

    def path(self, instrument: Instrument, component: str, start: int) -> Path:
        """The file in which a window that starts then (ns) begins."""
        return self._held(instrument, component, start, start + 1)[0].path

    def _held(self, instrument: Instrument, component: str, start: int, end: int) -> list[Segment]:
        """Segments that share time with [start, end); one alone where it covers all (two files may show one event)."""
        own = self._segments.get((instrument, component), ())
        held = [segment for segment in own if segment.end >= start and segment.start < end]
        whole = [s for s in held if s.start <= start and s.end + 1e9 / s.sampling_rate >= end]
        return whole[:1] or held

    def _stream(self, path: Path) -> Stream:
        if path not in self._files:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._files[path] = read(glob.escape(str(path.absolute())))
            except Exception as error:  # ObsPy's readers raise whatever they meet
                cause = (str(error).strip() or type(error).__name__).splitlines()[0]
                self._files[path] = f"{path.name} cannot be read ({cause})"
            if len(self._files) > FILES_KEPT:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        stream = self._files[path]
        if isinstance(stream, str):
            raise Unusable(stream)
        return stream


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
