"""What every encoder promises."""

from __future__ import annotations

from torch import Tensor, nn

from seisml.errors import UserError


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
            if len(self.min_size) == 1:
                raise UserError(f"{name} needs waveforms of at least {least} samples, not {given}; take longer windows")
            raise UserError(
                f"{name} needs pictures of at least {least}, not {given}; enlarge front_end.size or the crops, "
                "or choose a ResNet encoder"
            )
