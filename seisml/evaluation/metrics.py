"""Test metrics of a classifier, as plain values that fit in a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, hstack
from torch import Tensor

from seisml.errors import UserError
from seisml.evaluation.bootstrap import ends, event_numbers, proportion_interval, resampled_sums
from seisml.evaluation.calibration import expected_calibration_error

OF_CLASS = ("precision", "recall", "f1")
Interval = list[float] | None


def classification_metrics(
    log_probability: Tensor, label: Tensor, classes: Sequence[str], event: np.ndarray | None = None
) -> dict[str, Any]:
    """Compare predicted class probabilities with the labels.

    Classes without a labelled sample have no recall, so their precision, recall and F1 are None and ``f1_macro`` is
    the mean over the classes that do have samples (scikit-learn's ``f1_score(..., labels=present, average="macro")``).
    A false prediction into an absent class still costs the true class its recall. A class that has samples but is
    never predicted has precision 0.

    Intervals (95 %) resample events; see :mod:`seisml.evaluation.bootstrap`. Where resampling changes nothing (every
    sample is right, or there is one event) the interval is Wilson's for that many events.

    Args:
        log_probability: (N, K) log-probabilities.
        label: (N,) integer labels; -1 means unlabelled and is left out.
        classes: The K class names, in the order of the labels.
        event: (N,) names of the events that the samples belong to; by default each counts as one event.

    Returns:
        ``classes``, ``n`` (labelled samples), ``n_events``, ``acc``, ``balanced_acc`` (mean recall) and ``f1_macro``
        with ``..._interval`` each, ``ece`` (see :func:`seisml.evaluation.calibration.expected_calibration_error`),
        ``per_class`` {name: {precision, recall, f1 and ``..._interval`` of each, support}} and ``confusion_matrix``
        (counts; a row per true class, a column per predicted one). Python numbers only.

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
    known = label != -1
    names = np.arange(len(label)) if event is None else np.asarray(event)
    score, label, names = score[known], label[known], names[known.numpy()]
    _check(score, label, n_classes)
    true, predicted = label.numpy(), score.argmax(dim=1).numpy()
    cells = _Cells.of(true, predicted, n_classes)
    found, intervals = cells.scores(), _Intervals(true, predicted, names, n_classes)
    return {
        "classes": [str(name) for name in classes],
        "n": len(true),
        "n_events": intervals.n_events,
        **{name: float(found[name]) for name in ("acc", "balanced_acc", "f1_macro")},
        **{f"{name}_interval": intervals.overall(name, found) for name in ("acc", "balanced_acc", "f1_macro")},
        "ece": expected_calibration_error(score.exp(), label),
        "per_class": {
            str(name): {
                **{of: _plain(found[of][k]) for of in OF_CLASS},
                **{f"{of}_interval": intervals.of_class(of, k, found) for of in OF_CLASS},
                "support": int(cells.true[k]),
            }
            for k, name in enumerate(classes)
        },
        "confusion_matrix": confusion_counts(true, predicted, n_classes).tolist(),
    }


def confusion_counts(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count class numbers, (N,) each: (K, K), a row per true class and a column per predicted one.

    Those without a true class (-1) are left out.
    """
    known = true >= 0
    cells = true[known] * n_classes + predicted[known]
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


@dataclass(frozen=True)
class _Cells:
    """Samples of each class that were rightly given to it, given to it, and in it: (..., K) each."""

    hit: np.ndarray
    called: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, true: np.ndarray, predicted: np.ndarray, n_classes: int) -> _Cells:
        matrix = confusion_counts(true, predicted, n_classes)
        return cls(np.diag(matrix), matrix.sum(0), matrix.sum(1))

    def scores(self) -> dict[str, np.ndarray]:
        """The measures; NaN for classes without samples, which no mean counts."""
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = self.hit / self.true
            precision = np.where(self.called > 0, self.hit / self.called, 0 * recall)
            f1 = 2 * self.hit / (self.called + self.true)
            precision, f1 = (np.where(self.true > 0, values, np.nan) for values in (precision, f1))
            acc = self.hit.sum(-1) / self.true.sum(-1)
        overall = {"acc": acc, "balanced_acc": np.nanmean(recall, -1), "f1_macro": np.nanmean(f1, -1)}
        return {"precision": precision, "recall": recall, "f1": f1, **overall}


class _Intervals:
    """Intervals of the measures, from resampled events."""

    def __init__(self, true: np.ndarray, predicted: np.ndarray, event: np.ndarray, n_classes: int) -> None:
        right = (true == predicted).astype(float)
        columns = [_one_hot(true, n_classes, right), _one_hot(predicted, n_classes), _one_hot(true, n_classes)]
        drawn = _Cells(*np.split(resampled_sums(hstack(columns, "csr"), event), 3, axis=1))
        self._ends = {name: ends(values) for name, values in drawn.scores().items()}
        number, self.n_events = event_numbers(event)
        self._events_of_class = {
            "precision": [len(np.unique(number[predicted == k])) for k in range(n_classes)],
            "recall": [len(np.unique(number[true == k])) for k in range(n_classes)],
            "f1": [len(np.unique(number[(predicted == k) | (true == k)])) for k in range(n_classes)],
        }

    def overall(self, name: str, found: dict[str, np.ndarray]) -> Interval:
        """Interval of the accuracy or of a mean over the classes."""
        low, high = self._ends[name]
        if low < high:
            return [float(low), float(high)]
        if name == "acc":
            return _widened(float(found[name]), self.n_events)
        of = "f1" if name == "f1_macro" else "recall"
        classes = [self.of_class(of, k, found) for k in np.flatnonzero(~np.isnan(found[of]))]
        return [float(value) for value in np.mean([each for each in classes if each], axis=0)]

    def of_class(self, name: str, k: int, found: dict[str, np.ndarray]) -> Interval:
        """Interval of a measure of class number ``k``; None where it has no value, or rests on no sample."""
        low, high = self._ends[name][:, k]
        n_events = self._events_of_class[name][k]
        if np.isnan(found[name][k]) or not n_events:
            return None
        return [float(low), float(high)] if low < high else _widened(float(found[name][k]), n_events)


def _widened(value: float, n_events: int) -> list[float]:
    """The interval of a share that resampling does not change: Wilson's, of events."""
    low, high = proportion_interval(round(value * n_events), n_events)
    return [min(low, value), max(high, value)]


def _one_hot(numbers: np.ndarray, n_classes: int, values: np.ndarray | None = None) -> csr_array:
    """(N, K): a value, or 1, in the column of each number."""
    values = np.ones(len(numbers)) if values is None else values
    return csr_array((values, (np.arange(len(numbers)), numbers)), (len(numbers), n_classes))


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


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
