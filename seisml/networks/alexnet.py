"""AlexNet (Krizhevsky, Sutskever and Hinton 2012), from torchvision."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import nn
from torchvision import models

from seisml.networks.encoder import Encoder
from seisml.networks.resnet import global_pool


class AlexNetEncoder(Encoder):
    """torchvision's AlexNet for any number of channels, without its classifier and with random weights.

    Args:
        in_channels: Channels of the pictures, which must be at least 63 x 63.
        pool: ``"avg"`` or ``"max"`` pool globally to 256 features; ``"grid"`` is torchvision's, the mean over a
            grid of 6 x 6 cells, 9216 features.
    """

    min_size = (63, 63)  # of a smaller one nothing is left after the third pooling

    def __init__(self, in_channels: int = 1, pool: Literal["avg", "max", "grid"] = "avg"):
        features = models.alexnet(weights=None).features
        pooling = nn.AdaptiveAvgPool2d((6, 6)) if pool == "grid" else global_pool(pool)
        super().__init__(in_channels, out_size=256 * 36 if pool == "grid" else 256)
        first = features[0]
        features[0] = nn.Conv2d(in_channels, first.out_channels, kernel_size=11, stride=4, padding=2)
        self.model = nn.Sequential(OrderedDict(features=features, avgpool=pooling, flatten=nn.Flatten()))
