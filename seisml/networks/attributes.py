"""Seismic attributes where a network is expected: an encoder without a weight."""

from __future__ import annotations

import torch
from torch import Tensor

from seisml.networks.encoder import Encoder
from seisml.transforms.attributes import POLARISATION, TRACE, polarisation_attributes, trace_attributes


class AttributesEncoder(Encoder):
    """Attributes of every channel, and those of the polarisation where there are three (vertical first).

    What observatories describe events by (Provost et al. 2017): :mod:`seisml.transforms.attributes`. Takes waveforms
    as they are recorded (``front_end=waveform``, ``front_end.normalize=null``), so that the size of the ground motion
    counts; ``amplitudes=False`` leaves it out, for records of unlike units.

    Args:
        in_channels: Channels of a record.
        amplitudes: Keep the two attributes that depend on the unit of the waveform.
    """

    min_size = (32,)

    def __init__(self, in_channels: int = 1, amplitudes: bool = True):
        names = [name for name in TRACE if amplitudes or not name.startswith("log_")]
        described = [f"{name}_{channel}" for channel in range(in_channels) for name in names]
        described += POLARISATION if in_channels == 3 else ()
        super().__init__(in_channels, out_size=len(described))
        self.names = tuple(described)
        kept = torch.tensor([TRACE.index(name) for name in names])
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Describe waveforms (B, C, T): (B, out_size) float32."""
        self.check_input(x)
        columns = trace_attributes(x)[..., self.kept].flatten(1)
        return torch.cat([columns, polarisation_attributes(x)], dim=1) if self.in_channels == 3 else columns
