"""What every encoder promises, and building one by name."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from seisml.classes import find_class
from seisml.errors import UserError, nearest

PUBLISHED_NAMES = {"convnext_tiny": "ConvNeXtTinyEncoder", "convnext_small": "ConvNeXtSmallEncoder"}


class Encoder(nn.Module):
    """Base of all encoders: pictures (B, C, F, W) in, features (B, out_size) out.

    A subclass sets ``self.model`` to the network that maps the one to the other, and ``min_size`` where pictures can be
    too small for it; a network for waveforms (B, C, T) has a ``min_size`` of one number.

    Attributes:
        in_channels: Channels C it takes.
        out_size: Features it gives per picture.
        min_size: Smallest picture it takes, per axis after the channels.
    """

    min_size: tuple[int, ...] = (1, 1)
    model: nn.Module

    def __init__(self, in_channels: int, out_size: int):
        super().__init__()
        if in_channels < 1:
            raise UserError(f"in_channels: an encoder takes 1 or more channels, not {in_channels}; set 1 or more")
        self.in_channels = in_channels
        self.out_size = out_size

    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            x: Pictures (B, in_channels, F, W).

        Returns:
            Features (B, out_size).

        Raises:
            ValueError: Wrong number of axes.
            UserError: Wrong number of channels, or a picture smaller than ``min_size``.
        """
        self.check_input(x)
        return self.model(x)

    def check_input(self, x: Tensor) -> None:
        """Raise where x does not fit; see :meth:`forward`."""
        name, shape = type(self).__name__, tuple(x.shape)
        if len(shape) != 2 + len(self.min_size):
            axes = "(B, C, F, W)" if len(self.min_size) == 2 else "(B, C, T)"
            raise ValueError(f"{name}: needs input {axes}, got {shape}")
        if shape[1] != self.in_channels:
            raise UserError(
                f"in_channels: {name} was built for {self.in_channels} channels, the input {shape} has {shape[1]}; "
                f"set model_params.in_channels={shape[1]}, or choose that many traces"
            )
        if any(size < least for size, least in zip(shape[2:], self.min_size, strict=True)):
            least = " x ".join(map(str, self.min_size))
            given = " x ".join(map(str, shape[2:]))
            raise UserError(
                f"{name} needs pictures of at least {least}, not {given}; enlarge front_end.size or the crops, "
                "or choose a ResNet encoder"
            )


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
    return encoder


def find_encoder(backbone_type: str) -> type[Encoder]:
    """The encoder class of that name or dotted path; :class:`UserError` where there is none."""
    from seisml import networks  # here, because the package imports this module

    choices = {
        name: value
        for name, value in vars(networks).items()
        if inspect.isclass(value) and issubclass(value, Encoder) and value is not Encoder
    }
    choices |= {name: choices[ours] for name, ours in PUBLISHED_NAMES.items()}
    if "." not in str(backbone_type) and backbone_type not in choices:
        raise UserError(f"backbone_type: no encoder is called {backbone_type!r}; {nearest(backbone_type, choices)}")
    cure = "derive it from seisml.networks.Encoder"
    return find_class(backbone_type, Encoder, "backbone_type", choices, cure)
