"""Statistics of acoustic emission where a network is expected: an encoder without a weight."""

from __future__ import annotations

import torch
from torch import Tensor

from seisml.networks.encoder import Encoder
from seisml.transforms.emission_features import NAMES, SHORTEST, emission_features


class EmissionFeaturesEncoder(Encoder):
    """Statistics of every channel: :mod:`seisml.transforms.emission_features`, with the noise that the winners added.

    Takes waveforms in counts, as they are recorded (``front_end=waveform``, ``normalize=null``, ``demean=false``).

    Args:
        in_channels: Channels of a record.
    """

    min_size = (SHORTEST,)

    def __init__(self, in_channels: int = 1):
        super().__init__(in_channels, out_size=in_channels * len(NAMES))
        self.names = tuple(f"{name}_{channel}" for channel in range(in_channels) for name in NAMES)

    def forward(self, x: Tensor) -> Tensor:
        """Describe waveforms (B, C, T): (B, out_size) float32."""
        self.check_input(x)
        noise = torch.Generator().manual_seed(0)  # the same at training and at prediction
        return emission_features(x.flatten(0, 1), noise).reshape(len(x), self.out_size)
