"""Calibration against hand values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.evaluation.calibration import expected_calibration_error, reliability


def test_hand_values() -> None:
    """Four answers of 0.9, three of them right; two of 0.6, both right; one without a label."""
    sure = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.6, 0.6, 0.99])
    probability = torch.stack([sure, 1 - sure], dim=1)
    label = torch.tensor([0, 0, 0, 1, 0, 0, -1])
    found = reliability(probability, label)
    assert found.count[6] == 2 and found.count[8:].sum() == 4 and found.count.sum() == 6
    assert expected_calibration_error(probability, label) == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)


def test_probabilities_that_are_true_are_calibrated() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(100_000, generator=generator)
    label = (torch.rand(100_000, generator=generator) > first).long()
    probability = torch.stack([first, 1 - first], dim=1)
    assert expected_calibration_error(probability, label) < 0.01
    overconfident = torch.stack([(first > 0.5).float(), (first <= 0.5).float()], dim=1)
    assert expected_calibration_error(overconfident, label) == pytest.approx(0.25, abs=0.01)
    assert np.isnan(expected_calibration_error(probability[:2], torch.tensor([-1, -1])))
