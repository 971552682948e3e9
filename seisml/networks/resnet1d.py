"""The one-dimensional residual network of the paper on VIbCReg (Lee and Aune 2021, arXiv 2109.00783)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seisml.networks.encoder import Encoder


class ResNet1DEncoder(Encoder):
    """Conv(7, stride 2)-BN-ReLU-MaxPool(3, 2), then a residual block for each width, global average pooling.

    From the second block on the length is halved. 1.75 million parameters with the published widths and one channel.

    Args:
        in_channels: Channels of the waveforms.
        widths: Channels of each block; the last is the number of features.
        kernel_size: Samples that the blocks' convolutions span, odd.

    Shapes:
        ``forward``: (B, C, T) -> (B, widths[-1]).
    """

    min_size = (1,)

    def __init__(self, in_channels: int = 1, widths: Sequence[int] = (64, 128, 256, 512), kernel_size: int = 3):
        super().__init__(in_channels, out_size=widths[-1])
        blocks = [
            ResidualBlock1D(before, width, kernel_size, stride=1 if number == 0 else 2)
            for number, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False))
        ]
        self.model = nn.Sequential(
            nn.Conv1d(in_channels, widths[0], 7, stride=2, padding=3, bias=False),
            nn.BatchNorm1d(widths[0]),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2, padding=1),
            *blocks,
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
        )


class ResidualBlock1D(nn.Module):
    """Two convolutions and a shortcut, projected where the shape changes: (B, C, T) -> (B, width, T / stride)."""

    def __init__(self, in_channels: int, width: int, kernel_size: int = 3, stride: int = 1):
        super().__init__()
        padding = kernel_size // 2
        self.body = nn.Sequential(
            nn.Conv1d(in_channels, width, kernel_size, stride=stride, padding=padding, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Conv1d(width, width, kernel_size, padding=padding, bias=False),
            nn.BatchNorm1d(width),
        )
        changes = stride != 1 or in_channels != width
        self.shortcut: nn.Module = nn.Identity()
        if changes:
            projection = nn.Conv1d(in_channels, width, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm1d(width))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Add the block to its shortcut."""
        return self.relu(self.body(x) + self.shortcut(x))
