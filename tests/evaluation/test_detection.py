from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.evaluation.detection import detection_and_location

CLASSES = ("noise", "cluster_1", "cluster_2")


def test_hand_values():
    label = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    predicted = torch.tensor([0, 0, 1, 1, 2, 0, 2, 1])
    values = detection_and_location(predicted, label, CLASSES)
    assert values == {
        "detection_acc": 6 / 8,  # one false alarm, one missed
        "detection_precision": 4 / 5,
        "detection_recall": 4 / 5,
        "location_acc": 2 / 5,
        "location_acc_detected": 2 / 4,
        "location_acc_majority": 3 / 5,
        "n_events": 5,
        "n_noise": 3,
        "n_detected": 4,
    }


def test_shares_of_nothing_are_none():
    values = detection_and_location(torch.tensor([0, 0]), torch.tensor([0, 0]), CLASSES)
    assert values["detection_acc"] == 1.0 and values["location_acc"] is None and values["detection_precision"] is None


def test_noise_may_be_any_class_but_must_be_one():
    values = detection_and_location(torch.tensor([2]), torch.tensor([2]), ("a", "b", "quiet"), "quiet")
    assert values["n_noise"] == 1
    with pytest.raises(UserError, match="noise_class"):
        detection_and_location(torch.tensor([2]), torch.tensor([2]), ("a", "b", "quiet"))
