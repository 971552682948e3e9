"""The penalty on large weights that stands in a loss itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def squared_weights(network: nn.Module, convolutions_only: bool = False) -> Tensor:
    """Sum of the squared weights of all convolutions and linear layers; biases and BatchNorm do not count.

    Args:
        network: The network, or a list of parts in an ``nn.ModuleList``.
        convolutions_only: Leave linear layers out, as the published code of ConvNetQuake does.

    Returns:
        A scalar.
    """
    kinds = (nn.Conv1d, nn.Conv2d) if convolutions_only else (nn.Conv1d, nn.Conv2d, nn.Linear)
    weights = [module.weight for module in network.modules() if isinstance(module, kinds)]
    return torch.stack([weight.float().square().sum() for weight in weights]).sum() if weights else torch.zeros(())
