"""Accuracy of picking the next piece: by hand, and for networks that remember or guess."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.evaluation.next_piece import foresight_chance, next_piece_metrics


def test_hand_values() -> None:
    score = torch.tensor(
        [[3.0, 1.0, 2.0], [5.0, 2.0, 1.0], [0.0, 0.0, 9.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [9.0, 1.0, 2.0]]
    )
    label = torch.tensor([0, 1, 2, 0, 1, 2])
    found = next_piece_metrics(score, label, np.repeat(["a", "b"], 3))
    assert found["n"] == 2 and found["next_piece_acc"] == 3 / 6 and found["next_piece_acc_chance"] == 1 / 3
    # of the pieces still to come; of the last context one is left, which says nothing: right, right, wrong, right
    assert found["foresight_acc"] == 3 / 4 and found["foresight_acc_chance"] == (1 / 3 + 1 / 2) / 2
    assert found["confusion_matrix"] == [[1, 0, 1], [1, 1, 0], [1, 0, 1]]
    low, high = found["next_piece_acc_interval"]
    assert low == pytest.approx(1 / 3) and high == pytest.approx(2 / 3)  # windows are drawn anew: 2 of 3, 1 of 3


def test_memory_lifts_the_accuracy_and_no_foresight() -> None:
    """Whoever leaves out the pieces that it has met, and guesses among the others, is right in 0.314 of ten pieces."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(9).repeat(4000)
    score = torch.rand(len(label), 9, generator=generator)
    window = np.repeat(np.arange(4000), 9)
    guess = next_piece_metrics(score, label, window)
    assert guess["next_piece_acc"] == pytest.approx(1 / 9, abs=0.01)
    memory = next_piece_metrics(score.masked_fill(torch.arange(9) < label[:, None], -1.0), label, window)
    assert memory["next_piece_acc"] == pytest.approx(sum(1 / n for n in range(1, 10)) / 9, abs=0.01)
    assert memory["foresight_acc"] == guess["foresight_acc"] == pytest.approx(foresight_chance(10), abs=0.01)
    assert foresight_chance(10) == pytest.approx(0.2286, abs=1e-4)
