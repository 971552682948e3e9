"""A trained classifier as an object: arrays and ObsPy Streams in, classes and probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from obspy import Stream, Trace, UTCDateTime
from torch import Tensor

from seisml.errors import UserError
from seisml.evaluation.decision import Decision
from seisml.inference.probabilities import probability_stream
from seisml.inference.scan import Scanner
from seisml.inference.station_day import ScanSettings, scan_day
from seisml.inference.trained import load_classifier, network_preprocessing
from seisml.inference.window_grid import WindowGrid
from seisml.waveforms.index import Instrument
from seisml.waveforms.process import Unusable
from seisml.waveforms.read import stream_traces
from seisml.waveforms.record import record_of
from seisml.waveforms.samples import TraceSamples
from seisml.waveforms.streams import station_days
from seisml.waveforms.traces import RawTrace

if TYPE_CHECKING:
    from seisml.inference.seisbench_model import Seisml

BATCH = 256  # windows at once


@dataclass(frozen=True)
class Answer:
    """What a model says about one event or window.

    Attributes:
        label: The most likely class.
        probability: Class name -> probability.
        is_event: Whether the classes other than noise together reach the model's threshold; None where it has none.
        id: Of the channels (joined by ";") or of the instrument; empty for arrays.
        start: Time of the window's first sample; None for arrays.
        end: Time of its last sample; None for arrays.
    """

    label: str
    probability: dict[str, float]
    is_event: bool | None = None
    id: str = ""
    start: UTCDateTime | None = None
    end: UTCDateTime | None = None


class Model:
    """A trained classifier with the preprocessing that belongs to it; :func:`seisml.load` makes one.

    Args:
        path: A run's checkpoint, or the folder that ``seisml export`` wrote.
        device: Where to compute: ``cpu`` or ``cuda``.
        components: Codes of the components in the network's order, where the model does not say them.
        trust: Packages whose classes the file may name: their code runs.

    Attributes:
        classes: Names of the classes, in the order of the probabilities.
        sampling_rate: Of the network, in Hz.
        n_samples: Length of its windows.
        in_channels: Components that it sees at once; 1 for any number of traces, whose answers are averaged.
        preprocessing: What is done to recordings before the network sees them.
        decision: The threshold on the probability of an event that the dev part chose; None where it chose none.
        method: The trained network itself.

    Raises:
        UserError: The file is missing, damaged, asks for what is not trusted, or gives no class probabilities.

    Example:
        >>> model = seisml.load("models/nz_2013")
        >>> model.annotate(obspy.read("day.mseed")).plot()
        >>> model.classify(obspy.read("event.mseed"))[0].label
        'earthquake'
    """

    def __init__(
        self, path: str | Path, device: str = "cpu", components: str | None = None, trust: Sequence[str] = ()
    ) -> None:
        self.path, self.device = Path(path), device
        self.method = load_classifier(path, trust).to(device)
        facts = self.method.facts
        self.classes, self.sampling_rate, self.n_samples = facts.classes, facts.sampling_rate, facts.n_samples
        self.in_channels = self.method.in_channels
        self.preprocessing = network_preprocessing(self.method, path, components)
        self.decision = Decision.from_record(self.method.run_record)

    def __repr__(self) -> str:
        seconds = self.n_samples / self.sampling_rate
        return (
            f"Model({type(self.method).__name__} of {self.path}: {', '.join(self.classes)}; "
            f"windows of {seconds:g} s at {self.sampling_rate:g} Hz)"
        )

    def __call__(self, windows: np.ndarray | Tensor) -> np.ndarray:
        """Probabilities of windows.

        Args:
            windows: (B, C, T), at the network's rate, resampled and filtered as in training. Their trend, where the
                training data lost it, goes here; normalisation and spectrograms are part of the network.

        Returns:
            (B, K) float32, rows summing to one.

        Raises:
            UserError: Windows of another shape.
        """
        windows = np.asarray(windows)
        fits = windows.ndim == 3 and windows.shape[2] == self.n_samples
        if not fits or (windows.shape[1] != self.in_channels and self.in_channels != 1):
            traces = "any number of traces" if self.in_channels == 1 else f"{self.in_channels} components"
            raise UserError(
                f"windows of shape {windows.shape}: the network takes (windows, {traces}, {self.n_samples} samples "
                f"at {self.sampling_rate:g} Hz); cut them so"
            )
        straight = self.preprocessing.on_window(windows).astype(np.float32, copy=False)
        parts = []
        for start in range(0, len(straight), BATCH):
            x = torch.from_numpy(np.ascontiguousarray(straight[start : start + BATCH])).to(self.device)
            zeros = torch.zeros(len(x), dtype=torch.long, device=x.device)
            with torch.inference_mode():
                batch = {"waveform": x, "epoch": zeros, "index": zeros}
                parts.append(self.method.predict_log_probability(batch)[0].exp().float().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)

    def classify(self, data: Stream | Trace | np.ndarray | Tensor, step: float | None = None) -> list[Answer]:
        """Name the class of an event, or of each window of a recording.

        Args:
            data: A Stream with the recording of one event at one or several stations; or windows (B, C, T), (C, T).
            step: Seconds between the windows to classify, of every instrument of the stream. None takes the stream
                for one event, whose record begins where the last of its traces does and is cut, or filled with zeros,
                to the network's length, as ``seisml prepare --length`` does.

        Returns:
            One answer for an event; else one for each window, in order of instrument and time. A network that sees one
            trace at a time answers with the mean over all of them.

        Raises:
            UserError: The stream cannot be used, and why.
        """
        if isinstance(data, Trace):
            data = Stream([data])
        if not isinstance(data, Stream):
            windows = np.asarray(data)
            return [self._answer(row) for row in self(windows[None] if windows.ndim == 2 else windows)]
        if step is None:
            return [self._event(data)]
        length = (self.n_samples - 1) / self.sampling_rate
        return [
            self._answer(row, str(instrument), UTCDateTime(ns=int(time)), length)
            for instrument, times, probability in self._windows(data, step)
            for time, row in zip(times, probability, strict=True)
            if np.isfinite(row).all()
        ]

    def annotate(self, stream: Stream, step: float = 1.0) -> Stream:
        """Probabilities along a recording, as SeisBench's ``annotate`` gives them.

        Windows begin on whole steps from midnight, so that they are those of ``seisml predict`` however the record is
        cut into pieces. A window that lacks a component, or a sample, has no probability.

        Args:
            stream: Any number of instruments, gaps and all; it is not changed.
            step: Seconds between windows.

        Returns:
            A trace for each instrument, class and unbroken stretch: channel ``Seisml_<class>``, sampling rate
            1 / ``step``. A sample's time is the middle of its window.

        Raises:
            UserError: No instrument has the components, or ``step`` is not a whole number of samples.
        """
        middle = round((self.n_samples // 2) * 1e9 / self.sampling_rate)
        channels = [f"Seisml_{name}" for name in self.classes]
        out = Stream()
        for instrument, times, probability in self._windows(stream, step):
            out += probability_stream(instrument, times + middle, probability, step, channels)
        return out.merge(-1)  # days that follow one another

    def to_seisbench(self) -> Seisml:
        """The same model as a SeisBench ``WaveformModel``, for their pipelines.

        Raises:
            UserError: SeisBench is not installed.
        """
        try:
            from seisml.inference.seisbench_model import Seisml  # importing SeisBench makes folders, and takes long
        except ImportError as error:
            raise UserError(f"SeisBench is not installed ({error}); pip install 'seisml[seisbench]'") from error
        return Seisml(self.method, self.preprocessing)

    # -- parts -----------------------------------------------------------------------------------------------------
    def _answer(self, row: np.ndarray, name: str = "", start: UTCDateTime | None = None, length: float = 0) -> Answer:
        probability = dict(zip(self.classes, row.tolist(), strict=True))
        end = None if start is None else start + length
        is_event = None
        if self.decision is not None and self.decision.noise_class in probability:
            event = sum(value for label, value in probability.items() if label != self.decision.noise_class)
            is_event = event >= self.decision.threshold
        return Answer(self.classes[int(row.argmax())], probability, is_event, name, start, end)

    def _event(self, stream: Stream) -> Answer:
        try:
            record = record_of(self._traces(stream), self.preprocessing)
        except Unusable as reason:
            raise UserError(f"stream: {reason}; choose other traces, or mend them") from reason
        n_traces = len(record.waveform)
        if n_traces % self.in_channels:
            raise UserError(
                f"stream: {n_traces} traces, and the network takes {self.in_channels} at once; choose that many"
            )
        start = UTCDateTime(record.metadata["trace_start_time"])
        length = (self.n_samples - 1) / self.sampling_rate
        zeros = torch.zeros(1, dtype=torch.long, device=self.device)
        x = torch.from_numpy(record.waveform)[None].to(self.device)
        with torch.inference_mode():
            output = self.method.predict_log_probability({"waveform": x, "epoch": zeros, "index": zeros})[0]
        row = output[0].exp().float().cpu().numpy()
        return self._answer(row, record.metadata["trace_channels"], start, length)

    def _windows(self, stream: Stream, step: float) -> Iterator[tuple[Instrument, np.ndarray, np.ndarray]]:
        """Instrument, start times (N,) in ns and probabilities (N, K) of each station-day's windows."""
        grid = WindowGrid.every(step, self.sampling_rate, self.n_samples)
        settings = ScanSettings(str(self.path), "", grid, device=self.device, preprocessing=self.preprocessing)
        scanner = Scanner(self.method, grid, device=self.device, preprocessing=self.preprocessing)
        samples = TraceSamples(self._traces(stream))
        index, options = samples.index(), settings.grid_options()
        if not index.segments:
            return
        reach = max(options.margin(rate) for rate in index.sampling_rates()) + grid.length + 1
        single = self.in_channels == 1
        tasks, refused = station_days(index, self.preprocessing.components, reach, single, options.longest_gap)
        if not tasks:
            instrument, reason = refused[0]
            raise UserError(f"stream: {instrument} has {reason}; choose other traces, or load with components=...")
        for task in tasks:
            _, times, probability, _ = scan_day(task, settings, scanner, samples)
            yield task.instrument, times, probability

    def _traces(self, stream: Stream) -> list[RawTrace]:
        try:
            return stream_traces(stream)
        except Unusable as reason:
            raise UserError(f"stream: {reason}; choose other traces, or mend them") from reason
