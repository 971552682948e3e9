"""Class probabilities of a day's windows as miniSEED: a channel a class, a sample a window."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from obspy import Stream, Trace, UTCDateTime, read

from seisml.files import write_atomically
from seisml.waveforms.index import Instrument
from seisml.waveforms.joining import runs


def probability_channels(n_classes: int) -> list[str]:
    """Channel codes of the classes' probabilities: P00, P01, ... (three characters are all that miniSEED has)."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [f"P{digits[i // 36]}{digits[i % 36]}" if n_classes > 100 else f"P{i:02d}" for i in range(n_classes)]


def probability_stream(
    instrument: Instrument, times: np.ndarray, probability: np.ndarray, step: float, channels: Sequence[str]
) -> Stream:
    """Probabilities of windows as traces, one for each class and unbroken stretch of windows.

    Args:
        instrument: Gives network, station and location.
        times: (N,) time of each window in ns, of all windows from the first to the last.
        probability: (N, K), NaN where a window was not predicted.
        step: Time between windows in s.
        channels: Names of the K channels.
    """
    stream = Stream()
    for number, code in enumerate(channels):
        values = np.ascontiguousarray(probability[:, number], dtype=np.float32)
        for first, last in runs(np.isfinite(values)):
            header = {
                "network": instrument.network, "station": instrument.station,
                "location": instrument.location, "channel": code,
                "starttime": UTCDateTime(ns=int(times[first])), "sampling_rate": 1.0 / step,
            }  # fmt: skip
            stream.append(Trace(values[first:last], header))
    return stream


def write_probabilities(
    path: Path, instrument: Instrument, times: np.ndarray, probability: np.ndarray, step: float
) -> None:
    """Write a day's probabilities as miniSEED, a channel per class; windows without any are gaps.

    Args as in :func:`probability_stream`; times are the windows' starts.
    """
    stream = probability_stream(instrument, times, probability, step, probability_channels(probability.shape[1]))
    if len(stream):
        data = io.BytesIO()  # libmseed would swallow what the disk says
        stream.write(data, format="MSEED", encoding="FLOAT32")
        write_atomically(path, lambda part: part.write_bytes(data.getbuffer()))
    else:
        path.unlink(missing_ok=True)


def read_probabilities(path: Path, n_classes: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Read what :func:`write_probabilities` wrote: times (N,) in ns and probabilities (N, K) of predicted windows."""
    if not path.exists():
        return np.zeros(0, dtype=np.int64), np.zeros((0, n_classes), dtype=np.float32)
    parts: dict[str, list[tuple[int, np.ndarray]]] = {code: [] for code in probability_channels(n_classes)}
    for trace in read(io.BytesIO(path.read_bytes()), format="MSEED", check_compression=False):
        parts[trace.stats.channel].append((trace.stats.starttime.ns, trace.data))
    columns = []
    for traces in parts.values():
        traces.sort(key=lambda trace: trace[0])
        columns.append(np.concatenate([data for _, data in traces]))
    first = parts[probability_channels(n_classes)[0]]  # windows are the same for all classes
    times = [start + np.rint(np.arange(len(data)) * (step * 1e9)).astype(np.int64) for start, data in first]
    return np.concatenate(times), np.stack(columns, axis=1)
