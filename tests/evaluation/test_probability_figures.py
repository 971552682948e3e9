"""Figures of probabilities and of false predictions: they show what was given, whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.evaluation.decision import Decision
from seisml.evaluation.figures import calibration_curve, error_rows, false_predictions, precision_recall
from tests.evaluation.test_figures import assert_nothing_cut, texts

CLASSES = ("AE", "noise", "UP_and_$more$")


def case(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (n,), generator=generator)
    logits = torch.randn(n, 3, generator=generator)
    logits[torch.arange(n), label] += 1
    return logits.log_softmax(1), label


def test_calibration_shows_the_error() -> None:
    log_probability, label = case()
    figure = calibration_curve(log_probability.exp(), label)
    assert "Calibration: expected error" in figure.get_suptitle() and "60 samples" in figure.get_suptitle()
    assert_nothing_cut(figure)
    assert_nothing_cut(calibration_curve(torch.tensor([[1.0, 0.0]]), torch.tensor([0])))


def test_numbers_of_samples_are_whole() -> None:
    probability = torch.tensor([[0.45, 0.55]] * 7 + [[0.35, 0.65]] * 8 + [[0.25, 0.75]] * 9)
    ticks = calibration_curve(probability, torch.ones(24, dtype=torch.long)).axes[1].get_yticks()
    assert (ticks == ticks.round()).all()


def test_precision_and_recall_have_a_curve_for_each_class_and_the_threshold() -> None:
    log_probability, label = case()
    figure = precision_recall(log_probability, label, CLASSES, Decision("noise", 0.6, 0.8, 10, 10))
    names = [text for text in texts(figure) if "(" in text]
    assert [name.split(" (")[0] for name in names[-4:]] == ["AE", "noise", r"UP_and_\$more\$", "any event"]
    assert "threshold 0.6 of the dev part" in texts(figure)
    assert_nothing_cut(figure)
    assert_nothing_cut(precision_recall(log_probability, torch.zeros(60, dtype=torch.int64), CLASSES))


def test_the_surest_errors_of_every_class_are_chosen() -> None:
    true, predicted = np.array([0, 0, 0, 1, 2, -1]), np.array([1, 1, 0, 2, 0, 0])
    sure = np.array([0.6, 0.9, 0.9, 0.5, 0.4, 0.9])
    assert error_rows(true, predicted, sure, 3).tolist() == [1, 3, 4]
    assert error_rows(true, predicted, sure).tolist() == [1, 0, 3, 4]


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("pictures", [False, True])
def test_false_predictions_name_the_true_class_and_the_probabilities(n: int, pictures: bool) -> None:
    generator = np.random.default_rng(0)
    chance = np.tile([0.1, 0.2, 0.7], (n, 1))
    figure = false_predictions(
        generator.standard_normal((n, 500)), generator.random((n, 8, 20)) if pictures else None, np.zeros(n, int),
        chance, CLASSES, 100.0, [f"event{k}" for k in range(n)], (0.0, 50.0) if pictures else None, f"{n} of 9",
    )  # fmt: skip
    assert sum(text.startswith("event") and "true AE" in text for text in texts(figure)) == n
    assert sum("70%" in text for text in texts(figure)) == n and len(figure.axes) == 3 * n
    assert_nothing_cut(figure)
