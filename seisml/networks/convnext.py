"""ConvNeXt encoders (Liu et al. 2022, arXiv 2201.03545), from torchvision."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torchvision import models

from seisml.networks.encoder import Encoder


class ConvNeXtEncoder(Encoder):
    """A torchvision ConvNeXt for any number of channels, without its classifier and with random weights.

    The mean over the last feature maps and its layer norm stay: 768 features.

    Args:
        build: torchvision's function for the architecture.
        in_channels: Channels of the pictures, which must be at least 32 x 32.
    """

    min_size = (32, 32)  # a stem of stride 4 and three halvings

    def __init__(self, build: Callable[..., models.ConvNeXt], in_channels: int = 1):
        model = build(weights=None)
        norm, flatten, linear = model.classifier
        super().__init__(in_channels, out_size=linear.in_features)
        stem = model.features[0]
        stem[0] = nn.Conv2d(in_channels, stem[0].out_channels, kernel_size=4, stride=4)
        model.classifier = nn.Sequential(norm, flatten)
        self.model = model


class ConvNeXtTinyEncoder(ConvNeXtEncoder):
    """ConvNeXt-Tiny: 768 features, 27.8 million parameters."""

    def __init__(self, in_channels: int = 1):
        super().__init__(models.convnext_tiny, in_channels)


class ConvNeXtSmallEncoder(ConvNeXtEncoder):
    """ConvNeXt-Small: 768 features, 49.5 million parameters."""

    def __init__(self, in_channels: int = 1):
        super().__init__(models.convnext_small, in_channels)
