"""A small one-dimensional convolutional network that embeds waveforms, for deep metric learning on tremor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.convnet import at_least, check_depth, per_layer
from seisml.networks.encoder import Encoder


class EmbeddingConvNetEncoder(Encoder):
    """Blocks of Conv1d - BatchNorm1d - ReLU - MaxPool1d, the largest value of each channel over time, Linear, tanh.

    The largest value over time makes it take any length that its poolings can halve.

    Args:
        in_channels: Channels of the waveforms.
        n_layers: Number of blocks.
        channels: Channels of the blocks, one value for all or a list of one each.
        kernel_size: Kernel of the convolutions; their input is padded to keep its length.
        pool_factor: What a block divides the length by.
        embedding_size: Features D.

    Raises:
        UserError: A value that is not a positive whole number, or a list of another length than ``n_layers``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_layers: int = 10,
        channels: int | Sequence[int] = 16,
        kernel_size: int = 3,
        pool_factor: int = 2,
        embedding_size: int = 10,
    ) -> None:
        check_depth(n_layers)
        at_least("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise UserError(f"kernel_size: {kernel_size} is even; give an odd one, which keeps the length")
        at_least("pool_factor", pool_factor)
        super().__init__(in_channels, at_least("embedding_size", embedding_size))
        self.min_size = (pool_factor**n_layers,)
        layers: list[nn.Module] = []
        width = in_channels
        for size in per_layer("channels", channels, n_layers):
            layers += [nn.Conv1d(width, size, kernel_size, padding=kernel_size // 2), nn.BatchNorm1d(size), nn.ReLU()]
            layers.append(nn.MaxPool1d(pool_factor))
            width = size
        head = [nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(width, embedding_size), nn.Tanh()]
        self.model = nn.Sequential(nn.Sequential(*layers), *head)

    def check_input(self, x: Tensor) -> None:
        """Raise where x is not (B, in_channels, T), or T is too short for the poolings."""
        if x.ndim == 3 and not torch.jit.is_tracing() and x.shape[2] < self.min_size[0]:
            raise UserError(
                f"EmbeddingConvNetEncoder needs waveforms of at least {self.min_size[0]} samples, not {x.shape[2]}; "
                "lower model_params.backbone_params.n_layers"
            )
        super().check_input(x)
