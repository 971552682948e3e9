"""Figures of numbers that were predicted: in the order of time, and beside the constant."""

from __future__ import annotations

import numpy as np
import pytest

from seisml.evaluation.figures import course, courses, residuals


def test_a_course_shows_all_answers_in_the_order_of_time():
    time, true = np.array([0.2, 0.1, 0.3]), np.array([2.0, 3.0, 1.0])
    figure = course(time, true, {"bin": true + 1, "mean": true}, "time_to_failure", "s", 2.0)
    (axes,) = figure.axes
    assert figure.get_suptitle() == "Mean absolute errors (s): bin 1, mean 0, constant 0.667"
    assert axes.get_lines()[0].get_ydata().tolist() == [3, 2, 1] and axes.get_xlabel() == "time (ms)"
    course([1.0], [1.0], {"prediction": [1.0]}, "magnitude", "", 1.0)
    with pytest.raises(ValueError, match=r"true \(1,\)"):
        course([1.0, 2.0], [1.0], {}, "magnitude", "", 1.0)


def test_residuals_show_the_constant_beside_the_prediction():
    true = np.random.default_rng(0).uniform(1, 4, 60)
    figure = residuals(true + 0.1, true, "path_ps_time", "s", 2.5)
    title = figure.get_suptitle()
    assert "Mean absolute error 0.1 s, of the constant" in title and "60 records" in title
    assert [axes.get_xlabel() for axes in figure.axes] == ["true path_ps_time (s)", "predicted - true path_ps_time (s)"]
    residuals([1.0], [1.0], "magnitude", "", 1.0)  # one record, no unit, no error
    with pytest.raises(ValueError, match="should be"):
        residuals([1.0, 2.0], [1.0], "magnitude", "", 1.0)


def test_courses_of_several_approaches():
    time = np.arange(5.0)
    made = courses({"a": (time, 5 - time, 5 - time), "b": (time, 5 - time, 4 - time)}, "time", "s", 3.0)
    assert [axes.get_title(loc="left") for axes in made.axes] == [
        "a: mean absolute error 0 s", "b: mean absolute error 1 s",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="b: time"):
        courses({"b": (time, time[1:], time)}, "time", "s", 3.0)
    with pytest.raises(ValueError, match="nothing"):
        courses({}, "time", "s", 3.0)
