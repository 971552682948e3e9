"""How many detections in continuous records are false alarms, over the threshold that they have to reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_POINTS = 200  # thresholds of a curve


@dataclass(frozen=True)
class AlarmCurve:
    """Detections against a list of events, over the threshold.

    Attributes:
        threshold: Least probability of a detection, (M,), rising.
        false_per_day: Detections without an event per station-day of record, (M,).
        found: Share of the events with a detection at one station or more, (M,); NaN without events.
        is_true: Whether a detection belongs to an event, (N,).
        event: Number of the event that a detection belongs to, the nearest to its middle; -1 for none, (N,).
    """

    threshold: np.ndarray
    false_per_day: np.ndarray
    found: np.ndarray
    is_true: np.ndarray
    event: np.ndarray


def alarm_curve(
    start: np.ndarray, end: np.ndarray, probability: np.ndarray, times: np.ndarray, within: float, station_days: float
) -> AlarmCurve:
    """Compare detections with events.

    A detection belongs to an event that lies in it, or up to ``within`` seconds beside it. A threshold above that of
    the detections leaves out those whose largest probability is below it.

    Args:
        start: Of the detections, in ns, (N,).
        end: Of the detections, in ns, (N,).
        probability: Their largest, (N,).
        times: Of the events, in ns, (E,).
        within: In s.
        station_days: Days of record, summed over the stations.
    """
    order = np.argsort(times, kind="stable")
    ordered, reach = np.asarray(times, np.int64)[order], round(within * 1e9)
    first = np.searchsorted(ordered, start - reach, side="left")
    last = np.searchsorted(ordered, end + reach, side="right")
    best = np.full(len(ordered), -np.inf)  # largest probability of a detection of each event
    event = np.full(len(start), -1)
    for number, (low, high) in enumerate(zip(first, last, strict=True)):
        if low < high:
            best[low:high] = np.maximum(best[low:high], probability[number])
            middle = (int(start[number]) + int(end[number])) // 2
            event[number] = order[low + int(np.argmin(np.abs(ordered[low:high] - middle)))]
    is_true = event >= 0
    threshold = np.unique(probability)
    if len(threshold) > MOST_POINTS:
        threshold = threshold[np.linspace(0, len(threshold) - 1, MOST_POINTS).round().astype(int)]
    false, reached = np.sort(probability[~is_true]), np.sort(best)
    n_false = len(false) - np.searchsorted(false, threshold, side="left")
    n_found = len(reached) - np.searchsorted(reached, threshold, side="left")
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = n_false / station_days if station_days > 0 else np.full(len(threshold), np.nan)
        return AlarmCurve(threshold, rate, n_found / np.float64(len(times)), is_true, event)
