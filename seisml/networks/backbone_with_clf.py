"""Backbones with their classifier, the networks of the original implementation (Langet and Silverberg 2023)."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision import models

from seisml.errors import UserError, nearest
from seisml.networks.alexnet import AlexNetEncoder
from seisml.networks.encoder import Encoder
from seisml.networks.resnet import ResNet18Encoder, ResNet34Encoder

RESNETS = {"ResNet18": ResNet18Encoder, "ResNet34": ResNet34Encoder}
BACKBONES_WITH_CLF = ("AlexNet", *RESNETS)


class BackboneWithClf(nn.Module):
    """An encoder followed by a head that gives one logit per class.

    Attributes:
        encoder: Pictures (B, C, F, W) -> features (B, E).
        head: Features -> logits (B, K).
    """

    def __init__(self, encoder: Encoder, head: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of pictures (B, C, F, W)."""
        return self.head(self.encoder(x))


def build_backbone_with_clf(backbone_with_clf_type: str, in_channels: int, n_classes: int) -> BackboneWithClf:
    """Build one of the networks of the original implementation, with fresh weights.

    ``AlexNet`` is torchvision's with its three-layer classifier and dropout; ``ResNet18`` and ``ResNet34`` pool by the
    global maximum and end in one linear layer.

    Args:
        backbone_with_clf_type: ``"AlexNet"``, ``"ResNet18"`` or ``"ResNet34"``.
        in_channels: Channels of the pictures.
        n_classes: Number of classes K.

    Returns:
        The network, pictures (B, in_channels, F, W) -> logits (B, n_classes).

    Raises:
        UserError: An unknown name, or no class.
    """
    if backbone_with_clf_type not in BACKBONES_WITH_CLF:
        raise UserError(
            f"backbone_with_clf_type: no network is called {backbone_with_clf_type!r}; "
            f"{nearest(backbone_with_clf_type, BACKBONES_WITH_CLF)}"
        )
    if n_classes < 1:
        raise UserError(f"n_classes: a classifier needs 1 or more classes, not {n_classes}")
    if backbone_with_clf_type == "AlexNet":
        head = models.alexnet(weights=None, num_classes=n_classes).classifier
        return BackboneWithClf(AlexNetEncoder(in_channels, pool="grid"), head)
    encoder = RESNETS[backbone_with_clf_type](in_channels, pool="max")
    return BackboneWithClf(encoder, nn.Linear(encoder.out_size, n_classes))
