"""Windows of chosen length, cut from continuous or event files of one channel, filtered and resampled."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np

from seisml.waveforms.index import Instrument, Segment
from seisml.waveforms.process import Unusable, bandpass, detrend, join_pieces, resample
from seisml.waveforms.read import RawTrace, read_waveforms

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
        self._files: OrderedDict[Path, list[RawTrace] | str] = OrderedDict()

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
            for trace in self._traces(path):
                codes = (trace.network, trace.station, trace.location, trace.channel)
                own = (instrument.network, instrument.station, instrument.location, instrument.band + component)
                if codes != own or trace.end < start or trace.start >= end:
                    continue
                rate = float(f"{trace.sampling_rate:.7g}")
                rates.add(rate)
                first = max(0, int((start - margin - trace.start) * 1e-9 * rate))
                last = int(np.ceil((end + margin - trace.start) * 1e-9 * rate)) + 1
                begin = trace.start + round(first / rate * 1e9)
                pieces.append((begin, np.asarray(trace.samples[first:last], dtype=float)))
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

    def _traces(self, path: Path) -> list[RawTrace]:
        if path not in self._files:
            try:
                self._files[path] = read_waveforms(path).traces
            except Unusable as reason:
                self._files[path] = f"{path.name} cannot be read ({reason})"
            if len(self._files) > FILES_KEPT:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        traces = self._files[path]
        if isinstance(traces, str):
            raise Unusable(traces)
        return traces
