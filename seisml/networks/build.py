"""Building an encoder by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from seisml.errors import UserError, nearest
from seisml.networks.alexnet import AlexNetEncoder
from seisml.networks.cnn_lstm import CnnLstmEncoder
from seisml.networks.context import ContextEncoder
from seisml.networks.convnet import ConvNetEncoder
from seisml.networks.convnetquake import ConvNetQuakeEncoder
from seisml.networks.convnext import ConvNeXtSmallEncoder, ConvNeXtTinyEncoder
from seisml.networks.dilated_convnet import DilatedConvNetEncoder
from seisml.networks.embedding_convnet import EmbeddingConvNetEncoder
from seisml.networks.encoder import Encoder
from seisml.networks.resnet import (
    ResNet18Encoder,
    ResNet34Encoder,
    ResNet50Encoder,
    ResNet152Encoder,
    SmallResNetEncoder,
)
from seisml.networks.textbook.mlp import MLPEncoder
from seisml.networks.textbook.picture_convnet import PictureConvNetEncoder
from seisml.values.classes import find_class

ENCODERS: dict[str, type[Encoder]] = {
    cls.__name__: cls
    for cls in (
        ResNet18Encoder, ResNet34Encoder, ResNet50Encoder, ResNet152Encoder, SmallResNetEncoder, AlexNetEncoder,
        ConvNeXtTinyEncoder, ConvNeXtSmallEncoder, ConvNetEncoder, ConvNetQuakeEncoder, EmbeddingConvNetEncoder,
        DilatedConvNetEncoder, CnnLstmEncoder, ContextEncoder, MLPEncoder, PictureConvNetEncoder,
    )
}  # fmt: skip
ENCODERS |= {"convnext_tiny": ConvNeXtTinyEncoder, "convnext_small": ConvNeXtSmallEncoder}  # as published files say


def build_encoder(backbone_type: str, in_channels: int = 1, out_size_enc: int | None = None, **kwargs: Any) -> Encoder:
    """Build an encoder by name.

    Args:
        backbone_type: Name of a class in ``seisml.networks`` (``"ResNet34Encoder"``), or the dotted path of your own
            subclass of :class:`Encoder` (``"my_package.my_module.MyEncoder"``).
        in_channels: Channels of the pictures.
        out_size_enc: The features you expect; checked against what the encoder gives. None takes what it gives.
        **kwargs: The encoder's other arguments, such as ``pool``.

    Returns:
        The encoder, with fresh weights.

    Raises:
        UserError: An unknown name or argument, or ``out_size_enc`` that does not fit.
    """
    encoder_class = find_encoder(backbone_type)
    known = inspect.signature(encoder_class).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    for key in kwargs:
        if key not in known and not open_ended:
            raise UserError(f"{key}: {backbone_type} has no such argument; {nearest(key, known)}")
    encoder = encoder_class(in_channels=in_channels, **kwargs)
    if out_size_enc is not None and out_size_enc != encoder.out_size:
        raise UserError(
            f"out_size_enc: {backbone_type} gives {encoder.out_size} features, not {out_size_enc}; "
            f"set {encoder.out_size} or null"
        )
    _widen_narrow_inputs(encoder)
    return encoder


def fitted_arguments(
    backbone_type: str, backbone_params: Mapping[str, Any] | None, n_samples: int, n_pieces: int = 1
) -> dict[str, Any]:
    """Complete an encoder's arguments with those that are the data's, where it has such.

    Args:
        backbone_type: As in :func:`build_encoder`.
        backbone_params: Arguments that are given; None in place of a value leaves it to the data.
        n_samples: Length of the waveforms, its argument ``n_samples``.
        n_pieces: Pieces of a waveform; ``n_samples / n_pieces`` is its argument ``piece_samples``.

    Returns:
        The arguments.
    """
    arguments = dict(backbone_params or {})
    known = inspect.signature(find_encoder(backbone_type)).parameters
    for name, size in (("n_samples", n_samples), ("piece_samples", n_samples // n_pieces)):
        if name in known and arguments.get(name) is None:
            arguments[name] = size
    return arguments


def find_encoder(backbone_type: str) -> type[Encoder]:
    """The encoder class of that name or dotted path; :class:`UserError` where there is none."""
    if "." not in str(backbone_type) and backbone_type not in ENCODERS:
        raise UserError(f"backbone_type: no encoder is called {backbone_type!r}; {nearest(backbone_type, ENCODERS)}")
    cure = "derive it from seisml.networks.Encoder"
    return find_class(backbone_type, Encoder, "backbone_type", ENCODERS, cure)


def _widen_narrow_inputs(network: nn.Module) -> None:
    """Let convolutions append zeros, in training on CPUs, to inputs with fewer columns than their stride.

    In bfloat16 the gradient of the weights is unset memory there, numbers up to 1e35 and NaN (PyTorch 2.15 with
    oneDNN's ``jit_bf16:avx512_core_bf16``); a crop of 11 columns comes to a small ResNet's last stage with one. The
    zeros are some of those that the convolution pads with anyway: they ask for no further output.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d) and module.padding_mode == "zeros":
            if module.stride[-1] > 1 and not isinstance(module.padding, str):
                module.register_forward_pre_hook(_widened)


def _widened(layer: nn.Conv1d | nn.Conv2d, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    (x,) = inputs
    stride, missing = layer.stride[-1], layer.stride[-1] - x.shape[-1]
    if not layer.training or missing <= 0 or x.device.type != "cpu":
        return None
    reach = layer.dilation[-1] * (layer.kernel_size[-1] - 1) + 1
    unseen = x.shape[-1] + 2 * int(layer.padding[-1]) - reach  # columns behind the first window
    return (F.pad(x, (0, missing)),) if 0 <= unseen and unseen + missing < stride else None
