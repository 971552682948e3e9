"""Detection and location accuracy of a classifier of noise and geographic clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seisml.errors import UserError, nearest
from seisml.values.class_names import NOISE


def detection_and_location(
    predicted: Tensor, label: Tensor, classes: Sequence[str], noise_class: str = NOISE
) -> dict[str, Any]:
    """Score the two questions of ConvNetQuake: is it an event, and from which cluster?

    Args:
        predicted: Predicted class numbers, (N,).
        label: True ones, (N,).
        classes: Class names.
        noise_class: The one that means "no event".

    Returns:
        ``detection_acc`` (share of windows rightly called noise or event), ``detection_precision`` and
        ``detection_recall`` of events, ``location_acc`` (share of event windows given to their cluster; a missed event
        counts as wrong), ``location_acc_detected`` (the same among those called events), the counts ``n_events``,
        ``n_noise`` and ``n_detected`` (event windows called events), and ``location_acc_majority``, what always
        answering the most common cluster would give. Shares of nothing are None.

    Raises:
        UserError: No class is called ``noise_class``.
    """
    if noise_class not in classes:
        raise UserError(f"exp_params.noise_class: no class is called {noise_class!r}; {nearest(noise_class, classes)}")
    noise = list(classes).index(noise_class)
    is_event, called_event = label != noise, predicted != noise
    detected = is_event & called_event
    right = is_event & (predicted == label)
    n_events, n_detected, n_called = int(is_event.sum()), int(detected.sum()), int(called_event.sum())
    largest = int(label[is_event].bincount().max()) if n_events else 0
    return {
        "detection_acc": _share(int((is_event == called_event).sum()), len(label)),
        "detection_precision": _share(n_detected, n_called),
        "detection_recall": _share(n_detected, n_events),
        "location_acc": _share(int(right.sum()), n_events),
        "location_acc_detected": _share(int(right.sum()), n_detected),
        "location_acc_majority": _share(largest, n_events),
        "n_events": n_events,
        "n_noise": len(label) - n_events,
        "n_detected": n_detected,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
