"""Precision against recall over all thresholds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PrecisionRecall(NamedTuple):
    """A curve from the lowest threshold to the highest, as steps behind its points.

    Attributes:
        recall: Share of the members that is found, (M,), falling.
        precision: Share of the found that is right, (M,).
        area: Below the curve: the average precision.
    """

    recall: np.ndarray
    precision: np.ndarray
    area: float


def precision_recall(member: np.ndarray, score: np.ndarray) -> PrecisionRecall | None:
    """Precision and recall of a score at each of its values.

    Args:
        member: (N,) bool.
        score: (N,), larger where a sample is more likely a member.

    Returns:
        The curve; None where samples are all members or none is.
    """
    if not member.any() or member.all():
        return None
    from sklearn.metrics import average_precision_score, precision_recall_curve  # here: a first step need not wait

    precision, recall, _ = precision_recall_curve(member, score)
    return PrecisionRecall(recall, precision, float(average_precision_score(member, score)))
