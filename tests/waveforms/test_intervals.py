from __future__ import annotations

import numpy as np

from seisml.waveforms.index import Instrument, Segment
from seisml.waveforms.intervals import side_by_side, spans, without

OWN = Instrument("XX", "A", "", "HH")
S = 10**9


def segment(component, start, end, rate=1.0):
    return Segment(None, OWN, component, round(start * S), round(end * S), rate)


def test_spans_are_common_to_the_components():
    held = [segment("Z", 0, 9), segment("Z", 10, 19), segment("Z", 30, 39), segment("N", 5, 34)]
    assert spans(held, ["Z"]) == [(0, 20 * S), (30 * S, 40 * S)]  # the last sample counts whole
    assert spans(held, ["Z", "N"]) == [(5 * S, 20 * S), (30 * S, 35 * S)]
    assert spans(held, ["Z", "E"]) == []


def test_without():
    assert without((0, 10), [(8, 20), (2, 3), (-5, 1)]) == [(1, 2), (3, 8)]
    assert without((0, 10), []) == [(0, 10)]
    assert without((0, 10), [(-1, 11)]) == []


def test_windows_side_by_side():
    starts = side_by_side((100, 145), 10, np.random.default_rng(0))
    assert len(starts) == 4 and starts[0] >= 100 and starts[-1] + 10 <= 145 and set(np.diff(starts)) == {10}
    assert side_by_side((0, 9), 10, np.random.default_rng(0)) == []
