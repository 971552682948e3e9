"""TNC and diag loss: hand values, independent formulas, gradients, precision, shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seisml.losses import diag_loss, tnc_accuracy, tnc_loss


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_tnc_hand_values():
    zeros = torch.zeros(3)
    assert tnc_loss(zeros, zeros).item() == pytest.approx(2 * math.log(2))
    three = torch.tensor([math.log(3.0)])  # probability 3/4
    assert tnc_loss(three, -three).item() == pytest.approx(2 * math.log(4 / 3))
    assert tnc_loss(-three, three).item() == pytest.approx(2 * math.log(4))
    assert tnc_loss(three, -three, w=1.0).item() == pytest.approx(math.log(4 / 3) + math.log(4))


@pytest.mark.parametrize("w", [0.0, 0.05, 0.5, 1.0])
def test_tnc_independent_formula(w):
    near, far = draw(11, seed=1), 3 * draw(11, seed=2)
    p, q = 1 / (1 + np.exp(-near.numpy())), 1 / (1 + np.exp(-far.numpy()))
    expected = np.mean(-np.log(p)) + np.mean(-(1 - w) * np.log(1 - q) - w * np.log(q))
    assert tnc_loss(near, far, w).item() == pytest.approx(expected, rel=1e-12)
    assert tnc_loss(near[:, None], far[:, None], w).item() == pytest.approx(expected, rel=1e-12)


def test_tnc_survives_large_logits():
    assert tnc_loss(torch.tensor([1e4]), torch.tensor([-1e4])).item() == 0.0
    assert tnc_loss(torch.tensor([-1e4]), torch.tensor([1e4])).item() == pytest.approx(2e4)


def test_diag_hand_values():
    y = torch.tensor([[1.0, 2.0, 3.0]])
    rising, falling, flat = y * 5 - 7, -y, torch.tensor([[1.0, -2.0, 1.0]])  # correlation 1, -1, 0 with y
    assert diag_loss(y, rising, flat).item() == pytest.approx(0.0, abs=1e-6)
    assert diag_loss(y, falling, flat).item() == pytest.approx(4.0)
    assert diag_loss(y, flat, flat).item() == pytest.approx(1.0)
    assert diag_loss(y, falling, rising).item() == pytest.approx(5.0)


def test_diag_independent_formula():
    y, near, far = draw(6, 10, seed=3) + 2, draw(6, 10, seed=4), 5 * draw(6, 10, seed=5) - 1
    expected = 0.0
    for a, b, c in zip(y.numpy(), near.numpy(), far.numpy(), strict=True):
        expected += ((1 - np.corrcoef(a, b)[0, 1]) ** 2 + np.corrcoef(a, c)[0, 1] ** 2) / len(y)
    assert diag_loss(y, near, far).item() == pytest.approx(expected, rel=1e-10)


def test_diag_of_dead_embeddings_is_finite():
    y = torch.zeros(2, 4, requires_grad=True)
    loss = diag_loss(y, y.clone(), y.clone())
    loss.backward()
    assert loss.item() == pytest.approx(1.0) and torch.isfinite(y.grad).all()


def test_gradcheck():
    logits = [draw(5, seed=s).requires_grad_() for s in (6, 7)]
    assert torch.autograd.gradcheck(lambda a, b: tnc_loss(a, b, 0.1), logits)
    views = [draw(3, 5, seed=s).requires_grad_() for s in (8, 9, 10)]
    assert torch.autograd.gradcheck(diag_loss, views)


def test_float32_inside_autocast():
    views = [draw(8, 16, seed=s).float() for s in (1, 2, 3)]
    logits = [v[:, 0] for v in views[:2]]
    expected = tnc_loss(*logits), diag_loss(*views)
    with torch.autocast("cpu", torch.bfloat16):
        inside = tnc_loss(*logits), diag_loss(*views)
        half = tnc_loss(*(v.bfloat16() for v in logits)), diag_loss(*(v.bfloat16() for v in views))
    for value, inner, rounded in zip(expected, inside, half, strict=True):
        assert inner.dtype == rounded.dtype == torch.float32
        assert inner.item() == value.item()
        assert rounded.item() == pytest.approx(value.item(), rel=0.02)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"logit_neighbor \(3,\), logit_non_neighbor \(3, 1\)"):
        tnc_loss(torch.zeros(3), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="w is a probability, got 1.5"):
        tnc_loss(torch.zeros(3), torch.zeros(3), w=1.5)
    with pytest.raises(ValueError, match=r"diag_loss.*y \(3, 4\), y_l \(3, 4\), y_k \(3, 5\)"):
        diag_loss(torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(3, 5))


def test_the_discriminators_accuracy():
    assert tnc_accuracy(torch.tensor([1.0, 2.0, -1.0, 3.0]), torch.tensor([-1.0, -2.0, -3.0, 0.5])).item() == 0.75
    assert tnc_accuracy(torch.zeros(4, 1), torch.zeros(4, 1)).item() == 0.5
