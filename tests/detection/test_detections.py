from itertools import pairwise

import numpy as np
import pytest

from seisml.detection.detections import DetectionRule, Detector
from seisml.errors import UserError

CLASSES = ("Noise", "rockfall", "earthquake")
S = 10**9


def probabilities(n, events):
    p = np.tile([0.9, 0.06, 0.04], (n, 1)).astype(np.float32)
    for first, last, label, value in events:
        p[first:last] = (1 - value) / 2
        p[first:last, label] = value
    return p


def detect(p, rule, cuts=(), times=None):
    times = np.arange(len(p)) * S if times is None else times
    detector = Detector(rule, 1.0, 10.0)
    found = []
    for part in np.split(np.arange(len(p)), cuts):
        found += detector.feed(times[part], p[part])
    return found + detector.close()


def test_consecutive_event_windows_are_one_detection():
    p = probabilities(100, [(20, 31, 2, 0.9), (50, 51, 1, 0.8)])
    p[25] = [0.01, 0.01, 0.98]
    first, second = detect(p, DetectionRule.of(CLASSES))
    assert (first.start, first.end, first.peak) == (25 * S, 35 * S, 30 * S)  # trimmed to where most windows agree
    assert first.rise == (20 * S, 30 * S) and first.onset == first.start and first.onset_uncertainty == 5.0
    assert (first.label, first.n_windows) == ("earthquake", 11)
    assert first.probability == pytest.approx(0.99) and first.label_probability == pytest.approx(0.98)
    assert (second.label, second.start, second.end) == ("rockfall", 50 * S, 60 * S)


def test_pieces_leave_no_trace():
    generator = np.random.default_rng(0)
    p = generator.dirichlet([1, 1, 1], 500).astype(np.float32)
    p[generator.random(500) < 0.9] = [1, 0, 0]
    for rule in (DetectionRule.of(CLASSES), DetectionRule.of(CLASSES, threshold=0.8, min_length=2, join=3)):
        whole = detect(p, rule)
        assert len(whole) >= 5
        assert all(one.end <= next_one.start for one, next_one in pairwise(whole))
        for cuts in ([100], [1, 2, 3, 250, 251], list(range(1, 500))):
            assert detect(p, rule, cuts) == whole


def test_a_gap_in_the_record_ends_a_detection():
    p = probabilities(20, [(0, 20, 1, 0.9)])
    times = np.concatenate([np.arange(10), np.arange(300, 310)]) * S
    assert len(detect(p, DetectionRule.of(CLASSES), times=times)) == 2


def test_windows_that_overlap_are_one_detection():
    p = probabilities(60, [(10, 12, 1, 0.9), (20, 22, 1, 0.6), (32, 33, 1, 0.9)])  # windows of 10 s, ending at 21 + 10
    first, second = detect(p, DetectionRule.of(CLASSES))
    assert (first.n_windows, second.n_windows) == (4, 1)
    assert first.end <= second.start == 32 * S and second.end == 42 * S


def test_a_weak_forerunner_does_not_stretch_a_detection():
    p = probabilities(60, [(10, 11, 1, 0.9), (19, 30, 1, 0.9)])
    (detection,) = detect(p, DetectionRule.of(CLASSES))
    assert (detection.start, detection.end) == (23 * S, 35 * S) and detection.rise == (18 * S, 28 * S)


def test_min_length_join_and_threshold():
    p = probabilities(60, [(10, 12, 1, 0.9), (24, 26, 1, 0.6), (45, 46, 2, 0.95)])
    assert [d.n_windows for d in detect(p, DetectionRule.of(CLASSES, min_length=2))] == [2, 2]
    assert [d.n_windows for d in detect(p, DetectionRule.of(CLASSES, join=4))] == [4, 1]
    assert [d.n_windows for d in detect(p, DetectionRule.of(CLASSES, threshold=0.96))] == [1]
    assert detect(p, DetectionRule.of(CLASSES, threshold=0.999)) == []


def test_only_the_classes_asked_for():
    p = probabilities(60, [(10, 12, 1, 0.9), (40, 41, 2, 0.95)])
    assert [d.label for d in detect(p, DetectionRule.of(CLASSES, events=["earthquake"]))] == ["earthquake"]


def test_windows_without_probability_are_no_events():
    p = probabilities(60, [(10, 12, 1, 0.9)])
    p[30:] = np.nan
    assert len(detect(p, DetectionRule.of(CLASSES))) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise_class": "nois"}, "--noise-class.*'nois'"),
        ({"events": ["erthquake"]}, "--classes.*earthquake"),
        ({"threshold": 0.0}, "--threshold"),
        ({"threshold": 1.5}, "--threshold"),
        ({"min_length": -1.0}, "--min-length"),
        ({"join": float("nan")}, "--join"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(UserError, match=words):
        DetectionRule.of(CLASSES, **options)


def test_a_class_must_mean_noise():
    with pytest.raises(UserError, match="--noise-class"):
        DetectionRule.of(("a", "b"))
    assert DetectionRule.of(("a", "b"), noise_class="a").events == (1,)
