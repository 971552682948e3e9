"""One-dimensional convolutions whose dilation grows from layer to layer, for long waveforms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seisml.networks.convnet import at_least, check_depth
from seisml.networks.encoder import Encoder

WIDEST = 2**20  # samples between the taps of a convolution


class DilatedConvNetEncoder(Encoder):
    """A strided convolution, residual convolutions of growing dilation, and what they give on average and at most.

    van den Oord et al. (2016), "WaveNet", arXiv 1609.03499, for the dilations; here they look both ways. The context
    of the last layer is ``stem_stride (2 + (kernel_size - 1) (1 + g + ... + g ** (n_layers - 1)))`` samples, g being
    ``dilation_growth``. The network takes waveforms of any length.

    Args:
        in_channels: Channels of the waveforms.
        channels: Channels of all layers; the encoder gives twice as many features.
        n_layers: Residual convolutions.
        kernel_size: Their taps, odd.
        dilation_growth: What each multiplies the dilation by.
        stem_stride: Samples that the first convolution moves on by; it spans twice as many.

    Raises:
        UserError: A size that makes no network.

    Shapes:
        ``forward``: (B, C, T) -> (B, 2 * channels).
    """

    min_size = (1,)

    def __init__(
        self,
        in_channels: int = 1,
        channels: int = 32,
        n_layers: int = 6,
        kernel_size: int = 3,
        dilation_growth: int = 2,
        stem_stride: int = 8,
    ):
        super().__init__(in_channels, 2 * at_least("channels", channels))
        check_depth(n_layers)
        at_least("kernel_size", kernel_size)
        at_least("dilation_growth", dilation_growth)
        span = 2 * at_least("stem_stride", stem_stride)
        stem = nn.Conv1d(in_channels, channels, span, stride=stem_stride, padding=span // 2, bias=False)
        dilations = [min(dilation_growth**layer, WIDEST) for layer in range(n_layers)]
        self.model = nn.Sequential(
            nn.Sequential(stem, nn.BatchNorm1d(channels), nn.ReLU()),
            nn.Sequential(*(DilatedBlock(channels, kernel_size, dilation) for dilation in dilations)),
            MeanAndLargest(),
        )


class DilatedBlock(nn.Module):
    """Convolution, BatchNorm and ReLU beside a shortcut: (B, C, T) -> (B, C, T)."""

    def __init__(self, channels: int, kernel_size: int, dilation: int):
        super().__init__()
        convolution = nn.Conv1d(channels, channels, kernel_size, padding="same", dilation=dilation, bias=False)
        self.body = nn.Sequential(convolution, nn.BatchNorm1d(channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block gives to what it got."""
        return x + self.body(x)


class MeanAndLargest(nn.Module):
    """Mean and largest value along time: (B, C, T) -> (B, 2 C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1)
