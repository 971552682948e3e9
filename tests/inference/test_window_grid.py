import numpy as np
import pytest

from seisml.errors import UserError
from seisml.inference.window_grid import WindowGrid, whole_windows, window_view
from seisml.waveforms.times import DAY_NS


def test_windows_begin_every_step_from_midnight():
    grid = WindowGrid.every(1.0, 100.0, 1000)
    assert (grid.step_samples, grid.length, grid.step, grid.per_day, grid.span(3)) == (100, 10.0, 1.0, 86400, 1200)
    day = 18349 * DAY_NS
    assert grid.times(day, np.array([0, 86399])).tolist() == [day, day + 86399 * 10**9]


def test_windows_of_a_day_with_a_step_that_does_not_divide_it():
    assert WindowGrid(20.0, 200, 7 * 20).per_day == 12343  # 12342 * 7 s are less than a day


@pytest.mark.parametrize("step", [0.0, -1.0, 0.333, float("nan"), float("inf"), 1e-9])
def test_step_must_be_whole_samples(step):
    with pytest.raises(UserError, match="--step"):
        WindowGrid.every(step, 100.0, 1000)


def test_pieces_lie_at_the_same_places_in_every_record():
    grid = WindowGrid.every(1.0, 20.0, 200)
    assert list(grid.pieces(0, 7300)) == [(0, 3600), (3600, 7200), (7200, 7300)]
    assert list(grid.pieces(3000, 7300)) == [(3000, 3600), (3600, 7200), (7200, 7300)]
    assert list(grid.pieces(5, 5)) == []


def test_whole_windows_are_those_without_a_missing_sample():
    generator = np.random.default_rng(0)
    grid = WindowGrid(20.0, 50, 7)
    present = generator.random((3, 400)) > 0.01
    expected = [[present[c, i : i + 50].all() for c in range(3)] for i in range(0, 351, 7)]
    assert np.array_equal(whole_windows(present, grid), expected)


def test_window_view_copies_nothing():
    x = np.arange(800, dtype=np.float32).reshape(2, 400)
    view = window_view(x, WindowGrid(20.0, 50, 7))
    assert view.shape == (51, 2, 50) and np.shares_memory(view, x)
    assert np.array_equal(view[3], x[:, 21:71])
