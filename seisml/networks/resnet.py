"""Residual encoders (He et al. 2016, arXiv 1512.03385), from torchvision's building blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from seisml.errors import UserError
from seisml.networks.encoder import Encoder

Pool = Literal["avg", "max"]


def global_pool(pool: str) -> nn.Module:
    """Global pooling (B, C, F, W) -> (B, C, 1, 1), ``"avg"`` or ``"max"``."""
    if pool not in ("avg", "max"):
        raise UserError(f"pool: {pool!r} is not a global pooling; choose avg or max")
    return nn.AdaptiveAvgPool2d(1) if pool == "avg" else nn.AdaptiveMaxPool2d(1)


class ResNetEncoder(Encoder):
    """A torchvision ResNet for any number of channels, without its classifier and with random weights.

    ``self.model`` has torchvision's parameter names, so the state dict reads ``model.conv1.weight``,
    ``model.layer1.0.conv1.weight``... as in the published checkpoints. The first convolution starts from PyTorch's
    default weights, as published, all others from torchvision's. The pictures may have any size.

    Args:
        build: torchvision's function for the architecture.
        in_channels: Channels of the pictures.
        pool: Global pooling of the last feature maps.
        max_pool: Keep the pooling behind the first convolution; False looks at small pictures more closely.
    """

    imagenet: ClassVar[models.WeightsEnum]

    def __init__(
        self, build: Callable[..., models.ResNet], in_channels: int = 1, pool: Pool = "avg", max_pool: bool = True
    ):
        model = build(weights=None)
        super().__init__(in_channels, out_size=model.fc.in_features)
        first = model.conv1
        model.conv1 = nn.Conv2d(in_channels, first.out_channels, kernel_size=7, stride=2, padding=3, bias=False)
        if not max_pool:
            model.maxpool = nn.Identity()
        model.avgpool = global_pool(pool)
        model.fc = nn.Identity()
        self.model = model

    def load_imagenet(self) -> None:
        """Load torchvision's ImageNet weights, fetched where they are not in PyTorch's cache.

        The first convolution takes the mean over the three colours, times three over its channels: it answers to a
        picture as the network of three channels answers to the picture repeated in each.

        Raises:
            UserError: They can neither be found nor fetched.
        """
        weights = type(self).imagenet
        try:
            state = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
            first = state["conv1.weight"].sum(dim=1, keepdim=True)  # (64, 1, 7, 7)
            state["conv1.weight"] = first.expand(-1, self.in_channels, -1, -1) / self.in_channels
            self.model.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})
        except Exception as error:  # no connection, a proxy's refusal, a damaged file: PyTorch promises nothing
            where = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
            raise UserError(
                f"load_encoder.weights: imagenet could not be loaded from {weights.url} "
                f"({' '.join(str(error).split())[:100]}); set load_encoder.weights=null, or put the file at {where}"
            ) from error


class ResNet18Encoder(ResNetEncoder):
    """ResNet-18: 512 features, 11.2 million parameters."""

    imagenet = models.ResNet18_Weights.IMAGENET1K_V1

    def __init__(self, in_channels: int = 1, pool: Pool = "avg", max_pool: bool = True):
        super().__init__(models.resnet18, in_channels, pool, max_pool)


class ResNet34Encoder(ResNetEncoder):
    """ResNet-34: 512 features, 21.3 million parameters."""

    imagenet = models.ResNet34_Weights.IMAGENET1K_V1

    def __init__(self, in_channels: int = 1, pool: Pool = "avg", max_pool: bool = True):
        super().__init__(models.resnet34, in_channels, pool, max_pool)


class ResNet50Encoder(ResNetEncoder):
    """ResNet-50: 2048 features, 23.5 million parameters."""

    imagenet = models.ResNet50_Weights.IMAGENET1K_V1

    def __init__(self, in_channels: int = 1, pool: Pool = "avg", max_pool: bool = True):
        super().__init__(models.resnet50, in_channels, pool, max_pool)


class ResNet152Encoder(ResNetEncoder):
    """ResNet-152: 2048 features, 58.1 million parameters."""

    imagenet = models.ResNet152_Weights.IMAGENET1K_V1

    def __init__(self, in_channels: int = 1, pool: Pool = "avg", max_pool: bool = True):
        super().__init__(models.resnet152, in_channels, pool, max_pool)


class SmallResNetEncoder(Encoder):
    """A narrow residual network that trains in minutes on a laptop's processor.

    One basic block per width; the stem and every block after the first shrink the picture. Pictures may have any size;
    with the default stem, 64 x 64 ends as 2 x 2 and 128 x 711 as 4 x 23 before the pooling.

    Args:
        in_channels: Channels of the pictures.
        widths: Channels of each stage; the last is the number of features.
        stem_stride: Stride of the first convolution (7 x 7), one number or (frequency, time).
        pool: Global pooling of the last feature maps.
    """

    def __init__(
        self,
        in_channels: int = 1,
        widths: Sequence[int] = (16, 32, 64, 128),
        stem_stride: int | Sequence[int] = 4,
        pool: Pool = "avg",
    ):
        widths = _integers("widths", widths, least=1, most=4096)
        stride = _integers("stem_stride", stem_stride, least=1, most=7)
        stride = stride * 2 if len(stride) == 1 else stride
        if len(stride) != 2:
            raise UserError(f"stem_stride: needs one number or (frequency, time), not {stem_stride}")
        super().__init__(in_channels, out_size=widths[-1])
        layers = OrderedDict(
            conv1=nn.Conv2d(in_channels, widths[0], kernel_size=7, stride=stride, padding=3, bias=False),
            bn1=nn.BatchNorm2d(widths[0]),
            relu=nn.ReLU(inplace=True),
        )
        for i, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False), start=1):
            layers[f"layer{i}"] = _block(before, width, stride=1 if i == 1 else 2)
        layers["avgpool"] = global_pool(pool)
        layers["flatten"] = nn.Flatten()
        self.model = nn.Sequential(layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _block(before: int, width: int, stride: int) -> BasicBlock:
    """A basic residual block, with a projected shortcut where it changes the shape."""
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
    return BasicBlock(before, width, stride=stride, downsample=shortcut)


def _integers(key: str, value: int | Sequence[int], least: int, most: int) -> tuple[int, ...]:
    """One whole number or several, each between two limits, as a tuple."""
    numbers = (value,) if isinstance(value, (int, float)) else tuple(value or ())
    if not numbers or not all(isinstance(n, int) and least <= n <= most for n in numbers):
        raise UserError(f"{key}: needs whole numbers from {least} to {most}, not {value}")
    return numbers
