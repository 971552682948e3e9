import numpy as np

from seisml.detection.day_plot import _with_breaks, day_plot
from seisml.detection.detections import Detection, DetectionRule

RULE = DetectionRule.of(("noise", "rockfall", "earthquake"))
S = 10**9


def envelope(start, seconds, width=1.0):
    n = int(seconds / width)
    high = np.abs(np.random.default_rng(0).standard_normal(n)).astype(np.float32)
    return {"start": np.array(start), "bin": np.array(width), "low": -high, "high": high}


def make(start, seconds, detections=(), width=1.0):
    day = 18349 * 86400 * S
    times = day + (np.arange(max(0, int(seconds) - 9)) + int(start)) * S
    probability = np.tile(np.float32([0.8, 0.1, 0.1]), (len(times), 1))
    found = [
        Detection(day + a * S, day + b * S, day + c * S, label, 0.9, 0.9, 3, (day, day), day + (a + 3) * S, 1.0)
        for a, b, c, label in detections
    ]
    figure = day_plot(
        "XX.AAA..HH*, 2020.088", day, envelope(start, seconds, width), times, probability, found, RULE, 10
    )
    figure.canvas.draw()
    return figure


def test_a_day_has_24_lines_of_an_hour():
    figure = make(0.0, 86400, [(3590, 3620, 3605, "rockfall"), (50_000, 50_030, 50_010, "earthquake")])
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 24 and labels[:2] == ["00:00", "01:00"] and axes.get_xlim() == (0, 60)
    bars = [len(collection.get_paths()) for collection in axes.collections if collection.get_alpha() == 0.28]
    assert bars == [2, 1]  # the first lies across a line's end
    assert "2 detections" in figure.get_suptitle()
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["rockfall (1)", "earthquake (1)", "event probability", "threshold 0.5"]


def test_short_and_empty_records():
    labels = [text.get_text() for text in make(13 * 3600.0, 120, width=0.01).axes[0].get_yticklabels()]
    assert labels[0] == "13:00" and labels[1] == "13:00:10" and len(labels) == 12
    assert "0 detections" in make(100.0, 3).get_suptitle()  # no window at all
    gone = envelope(0.0, 100)
    gone["low"][:], gone["high"][:] = np.nan, np.nan
    none = np.zeros(0, dtype=np.int64)
    day_plot("nothing recorded", 0, gone, none, np.zeros((0, 3)), [], RULE, 10.0).canvas.draw()


def test_nothing_is_drawn_between_points_far_apart():
    x, y = _with_breaks(np.array([0.0, 1, 2, 9, 10]), np.ones(5), 1.5)
    assert np.array_equal(np.flatnonzero(np.isnan(x)), [3]) and np.isnan(y[3]) and len(y) == 6
    assert len(_with_breaks(np.zeros(0), np.zeros(0), 1.0)[0]) == 0
