"""Detections of several stations that begin together."""

import numpy as np
import obspy.signal.trigger
from obspy import Stream, Trace, UTCDateTime

from seisml.detection.coincidence import network_events
from seisml.detection.detections import Detection
from seisml.waveforms.index import Instrument

S = 10**9


def found(*entries):
    return [
        (Instrument("XX", station, "", band), Detection(t * S, t * S + S, t * S, label, p, p, 1, (t, t), t * S, 0.1))
        for station, band, t, label, p in entries
    ]


def test_enough_stations_within_the_time_are_an_event():
    pairs = found(
        ("A", "HH", 100, "quake", 0.9), ("B", "HH", 103, "rockfall", 0.6), ("C", "HH", 104, "quake", 0.7),
        ("A", "HH", 200, "quake", 0.9), ("B", "HH", 211, "quake", 0.9), ("C", "HH", 222, "quake", 0.9),
    )  # fmt: skip
    (event,) = network_events(pairs[::-1], 3, 10.0)
    assert event.time == 100 * S and event.stations == ("XX.A", "XX.B", "XX.C") and event.label == "quake"
    assert len(network_events(pairs, 2, 12.0)) == 2  # no chain: C stands 22 s after A


def test_a_station_counts_once():
    pairs = found(("A", "HH", 100, "q", 0.9), ("A", "EH", 101, "q", 0.9), ("A", "HH", 102, "q", 0.9))
    assert network_events(pairs, 2, 10.0) == []


def test_a_lone_first_detection_does_not_hide_the_event_after_it():
    pairs = found(
        ("A", "HH", 92, "q", 0.9), ("B", "HH", 100, "q", 0.9), ("C", "HH", 103, "q", 0.9), ("A", "HH", 104, "q", 0.9)
    )
    (event,) = network_events(pairs, 3, 10.0)
    assert event.stations == ("XX.B", "XX.C", "XX.A")


def test_the_events_are_those_of_obspy():
    """Triggers that last as long as the time allowed overlap where the onsets lie within it."""
    generator = np.random.default_rng(0)
    times = [(name, int(t)) for name in "ABCD" for t in generator.choice(np.arange(50, 3000, 50), 20, replace=False)]
    times = [(name, t + int(generator.integers(0, 5))) for name, t in times]
    traces = []
    for name in "ABCD":
        data = np.zeros(3100)
        for other, t in times:
            if other == name:
                data[t : t + 8] = 1.0
        traces.append(Trace(data, {"network": "XX", "station": name, "channel": "HHZ", "starttime": UTCDateTime(0)}))
    theirs = obspy.signal.trigger.coincidence_trigger(None, 0.5, 0.5, Stream(traces), 3)
    ours = network_events(found(*((name, "HH", t, "q", 0.9) for name, t in times)), 3, 7.0)
    assert len(ours) > 5
    assert [(event.time // S, sorted(name[3:] for name in event.stations)) for event in ours] == [
        (round(event["time"].timestamp), sorted(event["stations"])) for event in theirs
    ]
