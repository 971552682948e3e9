"""Encoders, heads, projector and normalisation: nn.Modules only."""

from seisml.networks.alexnet import AlexNetEncoder
from seisml.networks.backbone_with_clf import BackboneWithClf, build_backbone_with_clf
from seisml.networks.build import build_encoder, find_encoder
from seisml.networks.context import ContextEncoder
from seisml.networks.convnet import ConvNetEncoder
from seisml.networks.convnetquake import ConvNetQuakeEncoder
from seisml.networks.convnext import ConvNeXtSmallEncoder, ConvNeXtTinyEncoder
from seisml.networks.discriminator import TNCDiscriminator
from seisml.networks.embedding_convnet import EmbeddingConvNetEncoder
from seisml.networks.encoder import Encoder
from seisml.networks.iternorm import IterNorm
from seisml.networks.projector import Projector
from seisml.networks.resnet import (
    ResNet18Encoder,
    ResNet34Encoder,
    ResNet50Encoder,
    ResNet152Encoder,
    SmallResNetEncoder,
)
from seisml.networks.textbook.mlp import MLPEncoder
from seisml.networks.textbook.picture_convnet import PictureConvNetEncoder

__all__ = [
    "AlexNetEncoder",
    "BackboneWithClf",
    "ContextEncoder",
    "ConvNeXtSmallEncoder",
    "ConvNeXtTinyEncoder",
    "ConvNetEncoder",
    "ConvNetQuakeEncoder",
    "EmbeddingConvNetEncoder",
    "Encoder",
    "IterNorm",
    "MLPEncoder",
    "PictureConvNetEncoder",
    "Projector",
    "ResNet152Encoder",
    "ResNet18Encoder",
    "ResNet34Encoder",
    "ResNet50Encoder",
    "SmallResNetEncoder",
    "TNCDiscriminator",
    "build_backbone_with_clf",
    "build_encoder",
    "find_encoder",
]
