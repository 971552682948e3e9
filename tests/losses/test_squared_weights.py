from __future__ import annotations

import torch
from torch import nn

from seisml.losses.squared_weights import squared_weights


def test_hand_value():
    network = nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1))
    network[0].weight.data = torch.tensor([[[3.0]], [[4.0]]])
    network[4].weight.data = torch.tensor([[1.0, 2.0]])
    assert squared_weights(network).item() == 30.0
    assert squared_weights(network, convolutions_only=True).item() == 25.0
    assert squared_weights(nn.ReLU()).item() == 0.0


def test_gradient_is_twice_the_weight():
    layer = nn.Linear(3, 2)
    squared_weights(layer).backward()
    torch.testing.assert_close(layer.weight.grad, 2 * layer.weight.detach())
    assert layer.bias.grad is None
