"""Detections of several stations that begin together: events of the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from seisml.detection.detections import Detection
from seisml.waveforms.index import Instrument


@dataclass(frozen=True)
class NetworkEvent:
    """An event that several stations detected.

    Attributes:
        detections: One of each station, by onset.
    """

    detections: tuple[tuple[Instrument, Detection], ...]

    @property
    def time(self) -> int:
        """The first onset that was picked, else the first, in ns since 1970."""
        onsets = [detection.onset for _, detection in self.detections if detection.picked]
        return min(onsets) if onsets else self.detections[0][1].onset

    @property
    def stations(self) -> tuple[str, ...]:
        """NET.STA of each, by onset."""
        return tuple(station_name(instrument) for instrument, _ in self.detections)

    @property
    def label(self) -> str:
        """The class with the largest sum of probabilities over the stations."""
        total: dict[str, float] = defaultdict(float)
        for _, detection in self.detections:
            total[detection.label] += detection.probability
        return max(sorted(total), key=lambda label: total[label])

    @property
    def probability(self) -> float:
        """Mean over the stations."""
        return sum(detection.probability for _, detection in self.detections) / len(self.detections)


def station_name(instrument: Instrument) -> str:
    """NET.STA: the instruments of a station count once."""
    return f"{instrument.network}.{instrument.station}"


def network_events(
    found: Sequence[tuple[Instrument, Detection]], least_stations: int, within: float
) -> list[NetworkEvent]:
    """Join detections whose onsets lie close together at enough stations.

    The logic is that of ``obspy.signal.trigger.coincidence_trigger``, on detections instead of raw traces: the first
    trigger that belongs to no event yet opens one, each other station joins with its first trigger in time, and the
    event stands where the sum reaches the threshold. What differs: onsets are compared, not overlaps of triggers, and
    all of them lie within ``within`` of the first, so that a swarm does not become one chain.

    Args:
        found: Instrument and detection.
        least_stations: Stations that an event must have.
        within: Seconds from the first onset to the last.

    Returns:
        The events by time. A detection belongs to one event at most.
    """
    waiting = sorted(found, key=lambda pair: (pair[1].onset, pair[0]))
    used: set[int] = set()
    events = []
    for number, (instrument, first) in enumerate(waiting):
        if number in used:
            continue
        chosen = {station_name(instrument): number}
        for other in range(number + 1, len(waiting)):
            if waiting[other][1].onset - first.onset > round(within * 1e9):
                break
            if other not in used:
                chosen.setdefault(station_name(waiting[other][0]), other)
        if len(chosen) >= least_stations:
            used.update(chosen.values())
            events.append(NetworkEvent(tuple(waiting[place] for place in sorted(chosen.values()))))
    return events
