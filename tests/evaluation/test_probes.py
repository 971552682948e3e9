"""Probes against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from seisml.evaluation import probes
from seisml.evaluation.probes import knn_accuracy, knn_votes

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def clusters(n: int, seed: int, spread: float = 1.5, offset: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(4, 16))
    y = rng.integers(0, 4, n)
    x = centers[y] + spread * rng.normal(size=(n, 16)) + offset
    return torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 4, 5])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_knn_equals_scikit_learn(metric: str, k: int, offset: float, device: str) -> None:
    (train_x, train_y), (test_x, test_y) = clusters(150, 0, offset=offset), clusters(120, 1, offset=offset)
    reference = KNeighborsClassifier(k, metric=metric, algorithm="brute")
    expected = reference.fit(train_x.double(), train_y).score(test_x.double(), test_y)
    result = knn_accuracy(*(t.to(device) for t in (train_x, train_y, test_x, test_y)), k=k, metric=metric)
    # float32 ranks of nearly equal cosines far from the origin may differ in one sample
    assert result == pytest.approx(expected, abs=1.01 / 120 if metric == "cosine" and offset else 1e-9)


def test_knn_does_not_depend_on_the_slicing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = *clusters(50, 0), *clusters(40, 1)
    whole = knn_accuracy(*data)
    for budget in (1, 170):
        monkeypatch.setattr(probes, "DISTANCES_AT_ONCE", budget)
        assert knn_accuracy(*data) == whole


def test_votes_are_scikit_learns_probabilities() -> None:
    (train_x, train_y), (test_x, _) = clusters(60, 0), clusters(50, 1)
    votes = knn_votes(train_x, train_y, test_x.bfloat16(), 6)
    expected = KNeighborsClassifier(5).fit(train_x, train_y).predict_proba(test_x.bfloat16().float())
    np.testing.assert_allclose(votes[:, :4] / 5, expected)
    assert votes.shape == (50, 6) and votes[:, 4:].sum() == 0
    assert knn_votes(train_x, train_y, test_x[:0], 4).shape == (0, 4)


def test_unlabelled_left_out_on_both_sides() -> None:
    (train_x, train_y), (test_x, test_y) = clusters(60, 0), clusters(50, 1)
    noise = torch.zeros(20, 16), torch.full((20,), -1)
    expected = knn_accuracy(train_x, train_y, test_x, test_y)
    more = (torch.cat([train_x, noise[0]]), torch.cat([train_y, noise[1]]))
    assert knn_accuracy(*more, torch.cat([noise[0], test_x]), torch.cat([noise[1], test_y])) == expected


def test_ties_go_to_the_smaller_label_and_k_to_what_there_is() -> None:
    train_x, train_y = torch.tensor([[0.0], [1.0]]), torch.tensor([1, 0])
    assert knn_accuracy(train_x, train_y, torch.tensor([[0.1]]), torch.tensor([0]), k=5) == 1


def test_nothing_to_score_is_nan() -> None:
    x, y = clusters(10, 0)
    unlabelled = torch.full_like(y, -1)
    assert math.isnan(knn_accuracy(x, unlabelled, x, y)) and math.isnan(knn_accuracy(x, y, x, unlabelled))
    assert math.isnan(knn_accuracy(x * torch.nan, y, x, y))


def test_shapes_and_options_are_checked() -> None:
    x, y = clusters(10, 0)
    for arguments in ((x, y[:5], x, y), (x, y, x[:, :3], y)):
        with pytest.raises(ValueError):
            knn_accuracy(*arguments)
    with pytest.raises(ValueError, match="k=0"):
        knn_accuracy(x, y, x, y, k=0)
    with pytest.raises(ValueError, match="manhattan"):
        knn_accuracy(x, y, x, y, metric="manhattan")


def test_bfloat16_embeddings_under_autocast() -> None:
    data = *clusters(80, 0, 0.3), *clusters(80, 1, 0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert knn_accuracy(data[0].bfloat16(), data[1], data[2], data[3]) > 0.95
