"""Class-weighted cross-entropy with classes of weight zero."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from seisml.losses.cross_entropy import weighted_cross_entropy

WEIGHT = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)


def log_probability(n: int) -> torch.Tensor:
    logits = torch.randn(n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    return logits.log_softmax(dim=1)


def test_hand_value():
    log_p = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]]))
    expected = -(0.5 * torch.tensor(0.4).log() + 2 * torch.tensor(0.8).log()) / 2.5
    got = weighted_cross_entropy(log_p, torch.tensor([0, 1, 2]), WEIGHT.float())
    assert got.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_pytorch_where_no_weight_is_zero(smoothing):
    label = torch.tensor([0, 1, 2, 2, 1])
    weight = (WEIGHT + 0.1).float()
    log_p = log_probability(5).float()
    expected = F.cross_entropy(log_p, label, weight=weight, label_smoothing=smoothing)
    got = weighted_cross_entropy(log_p, label, weight, smoothing)
    assert got.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_samples_of_a_weightless_class_change_nothing(smoothing):
    log_p, label = log_probability(4).float(), torch.tensor([0, 1, 2, 0])
    kept = label > 0
    got = weighted_cross_entropy(log_p, label, WEIGHT.float(), smoothing)
    alone = weighted_cross_entropy(log_p[kept], label[kept], WEIGHT.float(), smoothing)
    assert got.item() == pytest.approx(alone.item(), rel=1e-6)


def test_batch_of_only_a_weightless_class_is_zero():
    log_p = log_probability(3).float().requires_grad_()
    loss = weighted_cross_entropy(log_p, torch.zeros(3, dtype=torch.int64), WEIGHT.float(), 0.1)
    loss.backward()
    assert loss.item() == 0.0 and not log_p.grad.any()


def test_gradcheck():
    log_p = log_probability(4).requires_grad_()
    label = torch.tensor([0, 1, 2, 1])
    assert torch.autograd.gradcheck(lambda x: weighted_cross_entropy(x, label, WEIGHT, 0.1), (log_p,))


def test_float32_inside_autocast():
    log_p, label = log_probability(6).float(), torch.tensor([0, 1, 2, 1, 2, 0])
    expected = weighted_cross_entropy(log_p, label, WEIGHT.float(), 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = weighted_cross_entropy(log_p, label, WEIGHT.float(), 0.1)
        half = weighted_cross_entropy(log_p.bfloat16(), label, WEIGHT.float(), 0.1)
    assert inside.dtype == half.dtype == torch.float32
    assert inside.item() == expected.item()
    assert half.item() == pytest.approx(expected.item(), rel=0.02)
