"""Test metrics of a classifier, as plain values that fit in a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from seisml.errors import UserError


def classification_metrics(log_probability: Tensor, label: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Compare predicted class probabilities with the labels.

    Classes without a labelled sample have no recall, so their precision, recall and F1 are None and ``f1_macro`` is
    the mean over the classes that do have samples (scikit-learn's ``f1_score(..., labels=present, average="macro")``).
    A false prediction into an absent class still costs the true class its recall. A class that has samples but is
    never predicted has precision 0.

    Args:
        log_probability: (N, K) log-probabilities (or any score that grows with the probability).
        label: (N,) integer labels; -1 means unlabelled and is left out.
        classes: The K class names, in the order of the labels.

    Returns:
        ``classes``, ``n`` (labelled samples), ``acc``, ``acc_interval`` (see :func:`accuracy_interval`), ``f1_macro``,
        ``per_class`` {name: {precision, recall, f1, support}} and ``confusion_matrix`` (counts; a row per true class, a
        column per predicted one). Python numbers only.

    Raises:
        UserError: Predictions are NaN, a label is outside the classes, or nothing is labelled.
        ValueError: The shapes do not fit each other.
    """
    n_classes = len(classes)
    if log_probability.ndim != 2 or log_probability.shape[1] != n_classes or label.shape != log_probability.shape[:1]:
        raise ValueError(
            f"log_probability {tuple(log_probability.shape)} and label {tuple(label.shape)} should be "
            f"(N, {n_classes}) and (N,) for {n_classes} classes"
        )
    score, label = log_probability.detach().float().cpu(), label.detach().long().cpu()
    score, label = score[label != -1], label[label != -1]
    _check(score, label, n_classes)

    predicted = score.argmax(dim=1)  # (N,)
    # torchmetrics wants two classes or more: a store with a single class gets an empty second one, dropped again below
    kwargs = {"num_classes": max(n_classes, 2)}
    confusion = multiclass_confusion_matrix(predicted, label, **kwargs)[:n_classes, :n_classes]  # (K, K)
    precision = multiclass_precision(predicted, label, average="none", **kwargs)[:n_classes].tolist()
    recall = multiclass_recall(predicted, label, average="none", **kwargs)[:n_classes].tolist()
    f1 = multiclass_f1_score(predicted, label, average="none", **kwargs)[:n_classes].tolist()
    support = confusion.sum(dim=1).tolist()
    present = [k for k in range(n_classes) if support[k]]
    per_class = {
        str(name): {
            "precision": precision[k] if support[k] else None,
            "recall": recall[k] if support[k] else None,
            "f1": f1[k] if support[k] else None,
            "support": support[k],
        }
        for k, name in enumerate(classes)
    }
    return {
        "classes": [str(name) for name in classes],
        "n": len(label),
        "acc": float(multiclass_accuracy(predicted, label, average="micro", **kwargs)),
        "acc_interval": list(accuracy_interval(int((predicted == label).sum()), len(label))),
        "f1_macro": sum(f1[k] for k in present) / len(present),
        "per_class": per_class,
        "confusion_matrix": confusion.tolist(),
    }


def accuracy_interval(n_correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of an accuracy, which holds for a handful of events too.

    Args:
        n_correct: Samples classified correctly.
        n: Samples classified (independent ones: traces of one event are not), at least 1.
        confidence: Share of such intervals that hold the true accuracy.

    Returns:
        Lower and upper bound, within [0, 1]. Wilson, E. B. (1927), JASA 22, 209-212.
    """
    interval = binomtest(n_correct, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def _check(score: Tensor, label: Tensor, n_classes: int) -> None:
    """Refuse what would give a meaningless number."""
    if not len(label):
        raise UserError("nothing to score: no test sample has a label; give the test part of the split labelled events")
    if label.min() < 0 or label.max() >= n_classes:
        raise UserError(
            f"labels run from {int(label.min())} to {int(label.max())} but there are {n_classes} classes (0 to "
            f"{n_classes - 1}): the checkpoint and the data set name different classes"
        )
    n_nan = int(torch.isnan(score).any(dim=1).sum())
    if n_nan:
        raise UserError(
            f"predictions are NaN for {n_nan} of {len(label)} samples: the training diverged; lower exp_params.LR or "
            "look for NaN in the weights that were loaded"
        )
