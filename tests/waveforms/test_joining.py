from __future__ import annotations

import numpy as np
import pytest

from seisml.waveforms.joining import fill_gaps, join_around, place_pieces, runs
from seisml.waveforms.process import Unusable

S = 10**9


def pieces(*parts, rate=10.0):
    """(first, last) in samples each: values that tell their time."""
    return [(round(first / rate * S), np.arange(float(first), float(last))) for first, last in parts]


def test_a_gap_that_will_be_filled_does_not_end_a_stretch():
    listed = [(0, 100, 10.0), (10 * S, 100, 10.0), (22 * S, 50, 10.0), (27 * S, 10, 20.0)]
    places = place_pieces(listed)
    assert [(place.stretch // S, place.offset) for place in places] == [(0, 0), (0, 100), (22, 0), (27, 0)]
    places = place_pieces(listed, longest_gap=2.0)
    assert [(place.stretch // S, place.offset) for place in places] == [(0, 0), (0, 100), (0, 220), (27, 0)]


def test_a_window_takes_what_goes_on_beside_it():
    begin, x = join_around(pieces((0, 100), (100, 200), (250, 300)), 10.0, (12 * S, 15 * S))
    assert begin == 0 and np.array_equal(x, np.arange(200.0))  # up to the gap behind it
    begin, x = join_around(pieces((0, 50), (100, 200)), 10.0, (12 * S, 15 * S))
    assert begin == 10 * S and np.array_equal(x, np.arange(100.0, 200.0))
    with pytest.raises(Unusable, match="gap of 5 samples"):
        join_around(pieces((0, 130), (135, 200)), 10.0, (12 * S, 15 * S))
    begin, x = join_around(pieces((0, 130), (135, 200), (210, 300)), 10.0, (12 * S, 15 * S), "interpolate")
    assert begin == 0 and np.allclose(x, np.arange(300.0))  # gaps shorter than the window, within and beside it
    with pytest.raises(Unusable, match="no data"):
        join_around(pieces((0, 50)), 10.0, (12 * S, 15 * S))


def test_what_is_wrong_beside_a_window_costs_it_nothing():
    (start, x), behind = pieces((0, 170))[0], pieces((165, 200))[0]
    begin, joined = join_around([(start, x), (behind[0], behind[1] + 1)], 10.0, (12 * S, 15 * S))
    assert begin == 0 and len(joined) == 170
    x[[20, 160]] = np.nan
    begin, joined = join_around([(start, x)], 10.0, (12 * S, 15 * S))
    assert begin == 2.1 * S and np.array_equal(joined, np.arange(21.0, 160.0))


def test_gaps_at_the_ends_are_not_filled():
    x, gap = np.array([0.0, 2.0, 0.0, 0.0, 8.0, 0.0]), np.array([1, 0, 1, 1, 0, 1], bool)
    assert runs(fill_gaps(x, gap, "interpolate")) == [(2, 4)] and x.tolist() == [0, 2, 4, 6, 8, 0]
