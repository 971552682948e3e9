"""Samples and probabilities around detections, read again from the recordings and from what the prediction left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from seisml.errors import UserError, shown
from seisml.files import safe_name
from seisml.report.continuous.records import About, Found
from seisml.report.reading import read_json
from seisml.waveforms.continuous import DayReader, GridOptions
from seisml.waveforms.isolated import read_isolated
from seisml.waveforms.process import Unusable
from seisml.waveforms.samples import FileCache
from seisml.waveforms.streams import StationDay, index_streams, station_days
from seisml.waveforms.times import DAY_NS, format_day

MOST_FILES = 500  # that a station-day says it was read from
MOST_SAMPLES = 2_000_000  # of a picture, over its components
LONGEST = 8.0  # windows of the network that a picture spans at most
CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Excerpt:
    """A piece of record.

    Attributes:
        start: Time of the first sample, in ns.
        sampling_rate: In Hz.
        components: Their letters.
        waveform: (C, T), NaN where there is no sample.
        times: Centres of windows in ns, (N,).
        probability: Of each class in them, (N, K).
    """

    start: int
    sampling_rate: float
    components: list[str]
    waveform: np.ndarray
    times: np.ndarray
    probability: np.ndarray


class Samples:
    """Reads pieces of record as the network met them.

    Which files hold a station-day is what the prediction has noted for it; only waveform files that hold that
    instrument's samples of that day give any. Or the user names the recordings.

    Args:
        folder: Of the prediction.
        about: What it was made with.
        recordings: Where the recordings are; none takes what the prediction has noted.
    """

    def __init__(self, folder: Path, about: About, recordings: Sequence[Path] = ()) -> None:
        self.folder, self.about, self.recordings = folder, about, recordings
        self.options = GridOptions(about.steps(shown(folder)), about.window_s)
        self._of_day: tuple[object, DayReader | None] = (None, None)

    def around(self, found: Found) -> Excerpt:
        """The record around a detection: a window before it and one behind.

        Raises:
            UserError: One line that says why there is none.
        """
        rate, window = self.options.sampling_rate, self.about.window_s
        before = found.start - round(window * 1e9)
        length = min((found.end - found.start) * 1e-9 + 2 * window, LONGEST * window)
        reader = self._reader(found)
        first = round((before - found.day) * 1e-9 * rate)
        n_samples = max(8, round(length * rate))
        if n_samples * max(1, len(reader.task.components)) > MOST_SAMPLES:
            raise UserError(f"{found.station}: {length:g} s at {rate:g} Hz are too many samples for a picture")
        waveform, present = reader.read(first, n_samples)
        some = present.any(axis=1)
        if not some.any():
            raise UserError(f"{found.station}, {found.date}: its files hold no sample at the detection")
        waveform = np.where(present, waveform, np.nan)[some]
        letters = [letter for letter, kept in zip(reader.task.components, some, strict=True) if kept]
        start = found.day + round(first / rate * 1e9)
        times, probability = self._probability(found, start, start + round(length * 1e9))
        return Excerpt(start, rate, letters, waveform, times, probability)

    # -- samples ---------------------------------------------------------------------------------------------------
    def _reader(self, found: Found) -> DayReader:
        key = (found.codes, found.day)
        if self._of_day[0] != key:
            self._of_day = (key, None)
            task = self._task(found)
            self._of_day = (key, DayReader(task, self.options, FileCache(CACHE_BYTES)))
        reader = self._of_day[1]
        if reader is None:  # it has been said why
            raise UserError(f"{found.station}, {found.date}: its recordings cannot be read")
        return reader

    def _task(self, found: Found) -> StationDay:
        known = self._everything if self.recordings else self._tasks(self._files(found))
        task = known.get((found.codes, found.day))
        if task is None:
            where = "the recordings that were named" if self.recordings else "its files"
            raise UserError(f"{found.station}, {found.date}: {where} hold nothing of it")
        return task

    @cached_property
    def _everything(self) -> dict[tuple[tuple[str, ...], int], StationDay]:
        return self._tasks(self.recordings)

    def _tasks(self, streams: Sequence[Path]) -> dict[tuple[tuple[str, ...], int], StationDay]:
        index = index_streams(streams)
        steps, window = self.options.preprocessing, self.about.window_s
        reach = max(self.options.margin(rate) for rate in index.sampling_rates()) + window + 1
        tasks, _ = station_days(index, steps.components, reach, self.about.any_component, self.options.longest_gap)
        return {
            ((it.instrument.network, it.instrument.station, it.instrument.location, it.instrument.band), it.day): it
            for it in tasks
        }

    def _files(self, found: Found) -> list[Path]:
        path = self._day_file(found, found.day, "json")
        names = read_json(path).get("files") if path.is_file() else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names[:MOST_FILES]):
            raise UserError(f"{shown(path)}: does not say from which files it was read; name them: --recordings FOLDER")
        files = [Path(name) for name in names[:MOST_FILES]]
        there = [file for file in files if file.is_absolute() and file.is_file()]
        if not there:
            first = shown(files[0]) if files else "none"
            raise UserError(f"{found.station}, {found.date}: {first} is gone; say where it is now: --recordings FOLDER")
        return there

    # -- probabilities ---------------------------------------------------------------------------------------------
    def _probability(self, found: Found, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Centres of windows within a span, in ns, and their probabilities; none where they cannot be read."""
        half = round(self.about.window_s * 0.5e9)
        n_classes = len(self.about.classes)
        values: dict[int, np.ndarray] = {}
        for day in sorted({start // DAY_NS * DAY_NS, end // DAY_NS * DAY_NS}):
            path = self._day_file(found, day, "mseed")
            if not path.is_file() or path.is_symlink():
                continue
            try:
                traces = read_isolated(path, (start - 2 * half, end)).traces
            except Unusable:
                continue
            for trace in traces:
                code = trace.id.rpartition(".")[2][1:]
                number = int(code) if code.isdecimal() else -1
                if not 0 <= number < n_classes:
                    continue
                step = round(self.about.step_s * 1e9)
                for place, value in enumerate(trace.samples):
                    time = trace.start + place * step + half
                    if start <= time <= end:
                        values.setdefault(time, np.full(n_classes, np.nan))[number] = value
        times = np.array(sorted(values), dtype=np.int64)
        found_values = [np.clip(values[time], 0, 1) for time in times]
        return times, np.array(found_values).reshape(len(times), n_classes)

    def _day_file(self, found: Found, day: int, suffix: str) -> Path:
        return self.folder / "days" / safe_name(*found.codes) / f"{format_day(day)}.{suffix}"
