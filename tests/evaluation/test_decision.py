"""The threshold: chosen on one part, scored on another, carried by the checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from seisml.errors import UserError
from seisml.evaluation.decision import Decision, average_precisions, choose, find_noise, scores_at

CLASSES = ("AE", "Noise", "UP")


def answers(event: torch.Tensor) -> torch.Tensor:
    """Log-probabilities whose events are two thirds AE and one third UP."""
    return torch.stack([event * 2 / 3, 1 - event, event / 3], dim=1).log()


def test_no_other_threshold_has_a_larger_f1() -> None:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (200,), generator=generator)
    is_event = label != 1
    probability = (0.2 * is_event + 0.8 * torch.rand(200, generator=generator)).double()
    found = choose(answers(probability), label, CLASSES, "Noise")
    assert found is not None and (found.n_events, found.n_noise) == (int(is_event.sum()), int((~is_event).sum()))
    called = probability.numpy() >= np.linspace(0.001, 1, 2000)[:, None]  # (thresholds, windows)
    tried = 2 * (called & is_event.numpy()).sum(1) / (called.sum(1) + int(is_event.sum()))
    assert found.f1 == pytest.approx(f1_score(is_event, probability >= found.threshold))
    assert found.f1 >= tried.max() - 1e-12


def test_between_noise_and_events_it_lies_in_the_middle() -> None:
    label = torch.tensor([1, 1, 0, 2, -1])
    found = choose(answers(torch.tensor([0.1, 0.3, 0.7, 0.9, 0.5])), label, CLASSES, "Noise")
    assert found is not None and found.threshold == pytest.approx(0.5) and found.f1 == 1
    scores = scores_at(found, answers(torch.tensor([0.6, 0.6, 0.4, 0.9, 0.5])), label, CLASSES, np.arange(5))
    assert scores["precision"] == pytest.approx(1 / 3) and scores["recall"] == 0.5
    low, high = scores["recall_interval"]
    assert low < 0.5 < high
    assert choose(answers(torch.tensor([0.4, 0.6])), torch.tensor([0, 2]), CLASSES, "Noise") is None


def test_noise_is_named_or_called_so() -> None:
    assert find_noise(CLASSES) == "Noise" and find_noise(("a", "b")) is None and find_noise(("a", "b"), "a") == "a"


def test_average_precision_is_one_where_a_class_is_told_apart() -> None:
    probability = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    assert average_precisions(probability, torch.tensor([0, 0, 1]), ("a", "b")) == {"a": 1, "b": 1}
    assert average_precisions(probability, torch.tensor([0, 0, -1]), ("a", "b")) == {"a": None, "b": None}


@pytest.mark.parametrize(
    "wrong", [{"threshold": float("nan")}, {"threshold": 0}, {"threshold": "half"}, {"n_noise": -1}, {"more": 1}, 7]
)
def test_a_checkpoint_says_what_makes_sense_or_nothing(wrong: object) -> None:
    good = Decision("Noise", 0.5, 0.9, 10, 20)
    assert Decision.from_record({"decision": good.to_dict()}) == good and Decision.from_record({}) is None
    said = {**good.to_dict(), **wrong} if isinstance(wrong, dict) else wrong
    with pytest.raises(UserError, match="decision"):
        Decision.from_record({"decision": said})
