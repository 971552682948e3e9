"""Windows of chosen length, cut from continuous or event files of one channel, and preprocessed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from seisml.waveforms.index import Instrument, Segment
from seisml.waveforms.isolated import read_isolated
from seisml.waveforms.joining import join_around
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable, plain_rate
from seisml.waveforms.traces import Bounds, RawTrace

FILES_KEPT = 6  # read files kept in memory: three components of two successive days


class WindowReader:
    """Reads windows of channels; the files read last stay in memory, so ask in order of time.

    Args:
        segments: What lies where, from the files' headers.
        preprocessing: What to do to each window, with its rate and its length. As much is read on either side, where
            the data go on, as filters need to settle.
        bounds: What is too much to be read.
    """

    def __init__(
        self,
        segments: Iterable[Segment],
        preprocessing: Preprocessing,
        bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    ) -> None:
        self.preprocessing, self.bounds = preprocessing, bounds
        self._segments: dict[tuple[Instrument, str], list[Segment]] = {}
        for segment in segments:
            self._segments.setdefault((segment.instrument, segment.component), []).append(segment)
        self._files: OrderedDict[Path, list[RawTrace] | str] = OrderedDict()

    def read(self, instrument: Instrument, component: str, start: int) -> np.ndarray:
        """Read a window of one channel.

        Args:
            instrument: Whose channel.
            component: Its component letter in the files.
            start: First sample, in ns since 1970; the nearest in the file is taken.

        Returns:
            (T,) float32.

        Raises:
            Unusable: With the reason: no data, a gap, other samples than numbers, no signal.
        """
        steps, name = self.preprocessing, instrument.channel_id(component)
        window = (start, start + round(steps.length * 1e9))
        pieces, rate = self._pieces(instrument, component, window)
        begin, samples = join_around(pieces, rate, window, steps.gaps, name)
        lacking = max(begin - start, window[1] - begin - round(len(samples) / rate * 1e9)) * 1e-9
        if lacking > 1 / rate:
            raise Unusable(f"{name} lacks {lacking:.4g} s of {steps.length:g} s")
        if not np.isfinite(samples).all():
            raise Unusable(f"{name} holds samples that are not numbers")
        first = max(0, round((start - begin) * 1e-9 * rate))
        if np.ptp(samples[first : first + round(steps.length * rate)]) == 0:
            raise Unusable(f"{name} is flat")
        n_samples = round(steps.length * steps.target_rate(rate))
        part = steps.part(samples, rate, first, n_samples)
        part = np.pad(part, (0, n_samples - len(part)), mode="edge")  # a window may end between the last samples
        return steps.on_window(part).astype(np.float32)

    def _pieces(
        self, instrument: Instrument, component: str, window: tuple[int, int]
    ) -> tuple[list[tuple[int, np.ndarray]], float]:
        """What there is of a channel in and around a window: (start in ns, samples) each, and the sampling rate."""
        held = self._held(instrument, component, *window)
        rates = {plain_rate(segment.sampling_rate) for segment in held}
        margin = self._margin(held)
        paths = {segment.path for segment in held}
        beside = {segment.path for segment in self._beside(instrument, component, held, margin)} - paths
        name = instrument.channel_id(component)
        pieces, found = [], set()
        for path in sorted(paths | beside):
            traces = self._traces(path)
            if isinstance(traces, str):
                if path in beside:  # what cannot be read there ends the stretch, and costs the window nothing
                    continue
                raise Unusable(traces)
            for trace in traces:
                rate = plain_rate(trace.sampling_rate)
                if trace.id != name or trace.end < window[0] - margin or trace.start >= window[1] + margin:
                    continue
                if path in beside and rate not in rates:
                    continue
                found.add(rate)
                first = max(0, int((window[0] - margin - trace.start) * 1e-9 * rate))
                last = int(np.ceil((window[1] + margin - trace.start) * 1e-9 * rate)) + 1
                begin = trace.start + round(first / rate * 1e9)
                pieces.append((begin, np.asarray(trace.samples[first:last], dtype=float)))
        if not pieces:
            raise Unusable(f"no data of {name}")
        if len(found) > 1:
            raise Unusable(f"the sampling rate of {name} changes")
        return pieces, found.pop()

    def needed(self, instrument: Instrument, component: str, start: int) -> list[Segment]:
        """The stretches of record that reading a window takes: a reader that knows only them reads the same."""
        held = self._held(instrument, component, start, start + round(self.preprocessing.length * 1e9))
        return held + self._beside(instrument, component, held, self._margin(held))

    def path(self, instrument: Instrument, component: str, start: int) -> Path:
        """The file in which a window that starts then (ns) begins."""
        return self._held(instrument, component, start, start + 1)[0].path

    def _margin(self, held: list[Segment]) -> int:
        """Nanoseconds that are read on either side of a window, for filters to settle."""
        rates = {plain_rate(segment.sampling_rate) for segment in held}
        return round(max((self.preprocessing.margin(rate) for rate in rates), default=0.0) * 1e9)

    def _held(self, instrument: Instrument, component: str, start: int, end: int) -> list[Segment]:
        """Segments that share time with [start, end); one alone where it covers all (two files may show one event)."""
        known = self._segments.get((instrument, component), ())
        held = [segment for segment in known if segment.end >= start and segment.start < end]
        whole = [s for s in held if s.start <= start and s.end + 1e9 / s.sampling_rate >= end]
        return whole[:1] or held

    def _beside(self, instrument: Instrument, component: str, held: list[Segment], margin: int) -> list[Segment]:
        """Segments that go on within the margin (ns) before and behind those held."""
        if not held or not margin:
            return []
        begin, end = min(segment.start for segment in held), max(segment.end for segment in held)
        known = self._segments[instrument, component]
        return [s for s in known if begin - margin <= s.end < begin or end < s.start <= end + margin]

    def _traces(self, path: Path) -> list[RawTrace] | str:
        if path not in self._files:
            try:
                self._files[path] = read_isolated(path, bounds=self.bounds).traces
            except Unusable as reason:
                self._files[path] = f"{path.name} cannot be read ({reason})"
            if len(self._files) > FILES_KEPT:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        return self._files[path]
