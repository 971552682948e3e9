"""When a detected event begins: where the waveform rises, within the time in which the probability does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from obspy.signal.trigger import aic_simple, recursive_sta_lta
from scipy import signal

from seisml.detection.detections import Detection
from seisml.inference.station_day import ScanSettings, day_reader
from seisml.waveforms.continuous import DayReader
from seisml.waveforms.samples import CACHE_BYTES, FileCache
from seisml.waveforms.streams import StationDay

STA, LTA = 1 / 20, 1 / 2  # lengths of the short and the long average, in windows of the network
LEAST_RATIO = 2.0  # of the averages, for an onset to be one
RISE = 0.3  # share of the largest ratio whose first crossing is refined
DEPTH = 0.2  # share of the criterion's depth that the uncertainty spans: two of three picks of nz_2013 lie within
MANY = 20  # detections of a day from which its files are decoded whole


def pick_onset(waveform: np.ndarray, search: tuple[int, int], length: int) -> tuple[float, float] | None:
    """Pick an onset: the first rise of ObsPy's recursive STA/LTA, refined by the Akaike criterion (Maeda 1985).

    Slow ground motion, of periods longer than the short average, is filtered out (causally, so that nothing moves ahead
    of the onset).

    Args:
        waveform: (C, n), with ``length`` samples or so before the search begins, for the long average.
        search: First sample and the one behind the last in which the onset may lie.
        length: Of the network's window, in samples; the averages are parts of it.

    Returns:
        The onset as a sample number and its uncertainty in samples; None where nothing rises.
    """
    sta, lta = max(2, round(STA * length)), max(8, round(LTA * length))
    first, last = max(search[0], sta), min(search[1], waveform.shape[1])
    moving = waveform[np.ptp(waveform, axis=1) > 0].astype(np.float64)
    if last - first < 2 * sta or not len(moving):
        return None
    highpass = signal.butter(4, min(0.45, 1 / sta), "highpass", output="sos", fs=1.0)
    moving = signal.sosfilt(highpass, moving - moving[:, :1], axis=1)
    moving /= moving.std(axis=1, keepdims=True).clip(min=np.finfo(float).tiny)
    ratio = recursive_sta_lta(np.sqrt((moving**2).sum(axis=0)), sta, lta)[first:last]
    if ratio.max() < LEAST_RATIO:
        return None
    rise = first + int(np.argmax(ratio >= max(LEAST_RATIO, RISE * ratio.max())))
    begin, end = max(0, rise - 4 * sta), min(waveform.shape[1], rise + 2 * sta)
    criterion = sum(aic_simple(np.ascontiguousarray(trace[begin:end])) for trace in moving)
    inner = slice(max(2, first - begin), len(criterion) - 2)  # beside the ends a variance is one of few samples
    criterion = criterion[inner]
    if not len(criterion) or not np.isfinite(criterion).all():
        return None
    onset = int(np.argmin(criterion))
    near = criterion <= criterion[onset] + DEPTH * np.ptp(criterion)
    uncertainty = max(1.0, float(np.abs(np.flatnonzero(near) - onset).max()))
    return begin + inner.start + onset, uncertainty


def refine_onsets(of_day: tuple[StationDay, Sequence[Detection]], settings: ScanSettings) -> list[Detection]:
    """Look at the waveform of each detection of a station-day for its onset.

    Only the stretch in which an onset can lie is read, with a window before it. Detections whose stretch cannot be
    read, has gaps, or shows no rise keep the onset that the probabilities give.

    Args:
        of_day: The station-day, and the detections that rise on it, in order of time.
        settings: How its samples are read.

    Returns:
        The detections with their onsets.
    """
    task, found = of_day
    cache = FileCache(CACHE_BYTES if len(found) >= MANY else 0)  # without room it reads no more than is asked for
    reader = day_reader(task, settings, cache)
    return [_refined(detection, task, reader, settings) for detection in found]


def _refined(detection: Detection, task: StationDay, reader: DayReader, settings: ScanSettings) -> Detection:
    rate, length = settings.grid.sampling_rate, settings.grid.n_samples
    begin, end = (round((time - task.day) * 1e-9 * rate) for time in detection.rise)
    waveform, present = reader.read(begin - length, end - begin + length)
    whole = present[:, length:].all(axis=1)  # a component that has every sample of the search
    if not whole.any():
        return detection
    absent = np.flatnonzero(~present[whole, :length].all(axis=0))
    lead = length - 1 - int(absent[-1]) if len(absent) else length  # samples before the search that all of them have
    picked = pick_onset(waveform[whole, length - lead :], (lead, lead + end - begin), length)
    if picked is None:
        return detection
    sample, uncertainty = picked
    onset = task.day + round((begin - lead + sample) * 1e9 / rate)
    return replace(
        detection,
        start=min(detection.start, onset),
        onset=onset,
        onset_uncertainty=uncertainty / rate,
        picked=True,
    )
