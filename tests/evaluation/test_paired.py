from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score

from seisml.evaluation.paired import confusion_scores, paired_difference


def test_without_shared_test_events_it_is_the_paired_t_interval():
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.8, 0.05, 7), generator.normal(0.75, 0.05, 7)
    found = paired_difference(first, second, 0.0)
    wanted = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.mean == pytest.approx((first - second).mean()) and found.n == 7


def test_the_correction_by_hand():
    # differences 0.1, 0.2, 0.3: mean 0.2, s = 0.1; q = 0.2: s * sqrt(1/3 + 1/4), t(0.975, 2) = 4.302653
    found = paired_difference([0.6, 0.8, 0.7], [0.5, 0.6, 0.4], 0.2)
    reach = 4.302653 * 0.1 * math.sqrt(1 / 3 + 0.25)
    assert (found.low, found.high) == pytest.approx((0.2 - reach, 0.2 + reach), rel=1e-6)
    assert not found.excludes_zero and paired_difference([0.6, 0.8, 0.7], [0.1, 0.2, 0.2], 0.2).excludes_zero


def test_the_corrected_interval_holds_for_other_events_and_the_plain_one_does_not():
    """Two classifiers of equal accuracy, tested on random fifths of 100 events: zero should be outside in 5 %."""
    generator = np.random.default_rng(1)
    outside = {0.0: 0, 0.2: 0}
    for _ in range(400):
        right = generator.random((2, 100)) < 0.8  # which events each classifier gets right, whatever it was trained on
        parts = [generator.permutation(100)[:20] for _ in range(10)]
        scores, rivals = ([some[part].mean() for part in parts] for some in right)
        for share in outside:
            outside[share] += paired_difference(scores, rivals, share).excludes_zero
    assert outside[0.2] / 400 < 0.08 and outside[0.0] / 400 > 0.2


def test_pairs_without_a_value_are_left_out():
    assert paired_difference([0.5, math.nan, 0.7], [0.4, 0.4, 0.4], 0.2).n == 2
    alone = paired_difference([0.5, math.nan], [0.4, 0.4], 0.2)
    assert alone.mean == pytest.approx(0.1) and math.isnan(alone.low) and not alone.excludes_zero
    with pytest.raises(ValueError, match="should pair"):
        paired_difference([0.5], [0.4, 0.4], 0.2)


def test_scores_of_a_confusion_matrix_are_scikit_learns():
    generator = np.random.default_rng(2)
    true, answer = generator.integers(0, 3, 60), generator.integers(0, 4, 60)  # the last class has no sample
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (true, answer), 1)
    found = confusion_scores(counts)
    present = f1_score(true, answer, labels=[0, 1, 2], average="macro")
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        balanced = balanced_accuracy_score(true, answer)
    assert found == pytest.approx({"acc": (true == answer).mean(), "balanced_acc": balanced, "f1_macro": present})
    assert math.isnan(confusion_scores([[0]])["acc"])
