"""A fully connected network on whole pictures: every pixel has a weight to every unit of the first hidden layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.encoder import Encoder


class MLPEncoder(Encoder):
    """Hidden layers of a multilayer perceptron, each linear and ReLU; the classifier is the last layer.

    Weights start as in scikit-learn's ``MLPClassifier``: uniform, by Glorot and Bengio (2010).

    Args:
        in_channels: Pictures seen at once.
        n_samples: Pixels of a picture.
        hidden: Units of each hidden layer.

    Shapes:
        (B, in_channels, F, W) with F * W = n_samples, or (B, in_channels, n_samples) -> (B, hidden[-1]).
    """

    def __init__(self, in_channels: int = 1, n_samples: int = 6435, hidden: Sequence[int] = (20,)) -> None:
        super().__init__(in_channels, int(hidden[-1]) if hidden else 1)
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden is {list(hidden)}, and wants the units of one layer or more")
        sizes = [in_channels * n_samples, *hidden]
        self.model = nn.Sequential(
            nn.Flatten(), *(layer for n, m in pairwise(sizes) for layer in (nn.Linear(n, m), nn.ReLU()))
        )
        for layer in self.linear:
            bound = (6.0 / (layer.in_features + layer.out_features)) ** 0.5
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -bound, bound)

    @property
    def linear(self) -> list[nn.Linear]:
        """The linear layers, in order."""
        return [layer for layer in self.model if isinstance(layer, nn.Linear)]

    def take(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        """Take over the weights (n_in, n_out) and biases (n_out,) of the hidden layers from elsewhere."""
        with torch.no_grad():
            for layer, weight, bias in zip(self.linear, weights, biases, strict=True):
                layer.weight.copy_(weight.T)
                layer.bias.copy_(bias)

    def check_input(self, x: Tensor) -> None:
        """Take pictures and waveforms alike; refuse another number of pixels."""
        expected = self.linear[0].in_features
        if x[0].numel() != expected:
            raise UserError(
                f"MLPEncoder was built for {expected} pixels, the input {tuple(x.shape)} has {x[0].numel()}; "
                "leave model_params.backbone_params.n_samples out, and front_end.size at null"
            )
