"""A small convolutional network on pictures, as textbooks have it: convolutions, pooling, a fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from seisml.networks.encoder import Encoder


class PictureConvNetEncoder(Encoder):
    """Blocks of convolution, ReLU and max-pooling by 2, averaged to a small grid, then one fully connected layer.

    Args:
        in_channels: Pictures seen at once.
        channels: Kernels of each block.
        kernel_size: Rows and columns of a kernel.
        grid: Rows and columns that the last feature maps are averaged to, whatever the picture's size.
        out_size: Units of the fully connected layer.

    Shapes:
        (B, in_channels, F, W) -> (B, out_size).
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: Sequence[int] = (8, 16),
        kernel_size: int = 5,
        grid: Sequence[int] = (4, 6),
        out_size: int = 32,
    ) -> None:
        super().__init__(in_channels, out_size)
        if not channels or kernel_size % 2 == 0:
            raise ValueError(f"channels {list(channels)} want a block or more, kernel_size {kernel_size} an odd number")
        sizes, blocks = [in_channels, *channels], []
        rows, columns = grid
        for n, m in zip(sizes, sizes[1:], strict=False):
            blocks += [nn.Conv2d(n, m, kernel_size, padding=kernel_size // 2), nn.ReLU(), nn.MaxPool2d(2)]
        blocks += [nn.AdaptiveAvgPool2d((rows, columns)), nn.Flatten()]
        self.model = nn.Sequential(*blocks, nn.Linear(sizes[-1] * rows * columns, out_size), nn.ReLU())
