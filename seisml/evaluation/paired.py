"""Paired comparison of two methods over the same splits, and the scores that a confusion matrix holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Difference(NamedTuple):
    """A mean difference and its interval; ``low`` and ``high`` are NaN where one split alone was made.

    Attributes:
        mean: Mean of the differences.
        low: Lower end of the interval.
        high: Upper end.
        n: Splits that both methods have a value of.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_difference(
    scores: Sequence[float], rivals: Sequence[float], test_share: float, level: float = 0.95
) -> Difference:
    """Difference of two methods over random splits of one data set: the corrected resampled t interval.

    The values of different splits are not independent: two random test parts that hold a share q of the events have
    the share q of theirs in common (folds: their training parts overlap instead). With that correlation the variance
    of the mean of n differences of variance s^2 is s^2 (1/n + q / (1 - q)), and not s^2 / n, whose interval would hold
    its 95 % only for these very events. Nadeau and Bengio (2003), "Inference for the generalization error", Machine
    Learning 52, 239-281; for repeated folds Bouckaert and Frank (2004). With q = 0 it is the paired t interval.

    Args:
        scores: Of one method, one for each split.
        rivals: Of the other, in the order of the same splits; a pair with NaN is left out.
        test_share: Share q of the events that a split tests on, in [0, 1).
        level: Share of such intervals that hold the true difference.

    Returns:
        Of ``scores - rivals``.

    Raises:
        ValueError: Different numbers of values, or a share outside [0, 1).
    """
    first, second = np.asarray(scores, float), np.asarray(rivals, float)
    if first.shape != second.shape or first.ndim != 1 or not 0 <= test_share < 1:
        raise ValueError(f"{first.shape} and {second.shape} scores should pair, share {test_share:g} be in [0, 1)")
    difference = (first - second)[np.isfinite(first - second)]
    n = len(difference)
    if n < 2:
        return Difference(float(difference[0]) if n else math.nan, math.nan, math.nan, n)
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    error = spread * math.sqrt(1 / n + test_share / (1 - test_share))
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return Difference(mean, mean - reach, mean + reach, n)


def confusion_scores(confusion: Sequence[Sequence[int]] | np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro F1, over the classes that have samples.

    Args:
        confusion: Counts (K, K): a row per true class, a column per predicted one.

    Returns:
        ``acc``, ``balanced_acc`` (mean recall) and ``f1_macro``; NaN of no sample.
    """
    counts = np.asarray(confusion, float)
    right, true, called = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present = true > 0
    if not present.any():
        return dict.fromkeys(("acc", "balanced_acc", "f1_macro"), math.nan)
    return {
        "acc": float(right.sum() / true.sum()),
        "balanced_acc": float((right[present] / true[present]).mean()),
        "f1_macro": float((2 * right[present] / (true + called)[present]).mean()),
    }
