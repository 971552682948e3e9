"""Processing of one trace: joining, resampling, filtering."""

from __future__ import annotations

import numpy as np
import pytest

from seisml.waveforms.joining import join_pieces
from seisml.waveforms.process import Unusable, bandpass, detrend, resample

SECOND = 1_000_000_000


def test_pieces_that_follow_each_other_are_joined():
    x = np.arange(300.0)
    pieces = [(2 * SECOND, x[200:]), (0, x[:100]), (SECOND + 3_000_000, x[100:200])]  # 0.3 samples of jitter
    start, joined, filled = join_pieces(pieces, 100.0)
    assert (start, filled) == (0, False)
    np.testing.assert_array_equal(joined, x)


def test_ten_megahertz_pieces_are_joined_within_the_resolution_of_the_format():
    x = np.arange(2000.0)
    _, joined, _ = join_pieces([(0, x[:1000]), (100_000 + 900, x[1000:])], 1e7)
    np.testing.assert_array_equal(joined, x)


def test_a_gap_is_refused_or_filled():
    pieces = [(0, np.full(10, 2.0)), (SECOND, np.full(10, 8.0))]
    with pytest.raises(Unusable, match=r"gap of 90 samples \(0.9 s\) in XX.A"):
        join_pieces(pieces, 100.0, name="XX.A")
    _, zeros, filled = join_pieces(pieces, 100.0, "zero")
    assert filled
    assert len(zeros) == 110
    assert (zeros[10:100] == 0).all()
    _, line, _ = join_pieces(pieces, 100.0, "interpolate")
    np.testing.assert_allclose(np.diff(line[9:101]), 6 / 91)


def test_overlaps_must_agree():
    x = np.arange(100.0)
    start, joined, _ = join_pieces([(0, x[:60]), (SECOND // 2, x[50:]), (SECOND // 5, x[20:30])], 100.0)
    np.testing.assert_array_equal(joined, x)
    with pytest.raises(Unusable, match="overlap with different samples"):
        join_pieces([(0, x[:60]), (SECOND // 2, x[50:] + 1)], 100.0)


@pytest.mark.parametrize(("rate", "target"), [(100.0, 50.0), (250.0, 100.0), (100.0, 250.0), (1000.0, 128.0)])
def test_resample_keeps_a_slow_wave_and_removes_what_would_alias(rate, target):
    t = np.arange(int(8 * rate)) / rate
    new_t = np.arange(int(8 * target)) / target
    slow = 1000 + 3 * t + np.sin(2 * np.pi * 4 * t)
    got = resample(slow, rate, target)
    assert len(got) == len(new_t)
    middle = slice(len(new_t) // 8, -len(new_t) // 8)
    expected = 1000 + 3 * new_t + np.sin(2 * np.pi * 4 * new_t)
    np.testing.assert_allclose(got[middle], expected[middle], atol=2e-3)
    assert abs(got - expected).max() < 0.05  # neither offset nor trend rings at the edges
    if target < rate:
        above = np.sin(2 * np.pi * 1.01 * target / 2 * t)
        assert np.abs(resample(above, rate, target)[middle]).max() < 1e-3


@pytest.mark.parametrize("n", [1, 2, 7])
def test_resample_short_traces(n):
    assert len(resample(np.full(n, 3.0), 200.0, 100.0)) == -(-n // 2)
    np.testing.assert_allclose(resample(np.full(n, 3.0), 250.0, 100.0), 3.0, rtol=1e-3)


def test_resample_to_the_same_rate_changes_nothing():
    x = np.arange(10.0)
    assert resample(x, 99.9999, 100.0) is x


def test_bandpass_is_zero_phase():
    t = np.arange(2000) / 100
    inside, outside = np.sin(2 * np.pi * 5 * t), 10 * np.sin(2 * np.pi * 0.2 * t)
    np.testing.assert_allclose(bandpass(inside + outside, 100.0, 2, 10)[500:-500], inside[500:-500], atol=0.02)
    with pytest.raises(Unusable, match="needs more than 100 Hz, this has 100 Hz"):
        bandpass(inside, 100.0, 2, 50)
    assert len(bandpass(inside[:5], 100.0, 2, 10)) == 5


def test_detrend():
    x = 5 + 2 * np.arange(10.0)
    assert abs(detrend(x, "constant").mean()) < 1e-12
    np.testing.assert_allclose(detrend(x, "linear"), 0, atol=1e-12)
