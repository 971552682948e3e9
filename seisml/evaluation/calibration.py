"""Is a classifier as often right as it is sure?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

BINS = 10


class Reliability(NamedTuple):
    """Predictions in equal bins of the probability of the answer.

    Attributes:
        count: Samples in each bin, (BINS,).
        probability: Their mean probability, (BINS,); NaN in empty bins.
        accuracy: Share of them that is right, (BINS,); NaN in empty bins.
    """

    count: np.ndarray
    probability: np.ndarray
    accuracy: np.ndarray


def reliability(probability: Tensor, label: Tensor) -> Reliability:
    """Sort predictions by how sure they are.

    Args:
        probability: (N, K).
        label: (N,) class numbers; -1 means unlabelled and is left out.
    """
    known = (label >= 0).numpy()
    top, predicted = probability.double().max(dim=1)
    return in_bins(top.numpy()[known], (predicted == label).numpy()[known])


def in_bins(sure: np.ndarray, right: np.ndarray) -> Reliability:
    """Sort answers by how sure they are.

    Args:
        sure: (N,) probabilities of the answers.
        right: (N,) bool.
    """
    number = np.clip((sure * BINS).astype(np.int64), 0, BINS - 1)
    count = np.bincount(number, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(number, values, minlength=BINS) / count for values in (sure, right)]
    return Reliability(count, *means)


def expected_calibration_error(probability: Tensor, label: Tensor) -> float:
    """Mean distance between probability and accuracy over the bins, each by its number of samples.

    Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", ICML: of the most likely class,
    in ten equal bins. A handful of samples in a bin lies off by chance: for few samples it is above 0 at its best.

    Args:
        probability: (N, K).
        label: (N,) class numbers; -1 means unlabelled and is left out.

    Returns:
        In [0, 1]; NaN without a labelled sample.
    """
    return mean_distance(reliability(probability, label))


def mean_distance(found: Reliability) -> float:
    """Mean distance between probability and accuracy over the bins, each by its number of samples; NaN without any."""
    count, sure, right = found
    filled = count > 0
    return float(np.average(np.abs(sure - right)[filled], weights=count[filled])) if filled.any() else float("nan")
