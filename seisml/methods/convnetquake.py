"""ConvNetQuake: noise, or an earthquake of which geographic cluster (Perol, Gharbi and Denolle 2018)."""

from __future__ import annotations

from typing import Any

from seisml.methods.waveform_classifier import WaveformClassifier
from seisml.tasks.classification import Classification


class ConvNetQuake(WaveformClassifier):
    """The published recipe: cross-entropy + 1e-3 times the squared weights, Adam at 1e-4.

    Args:
        backbone_type: See :class:`WaveformClassifier`.
        in_channels: Components that the network sees at once.
        l2: Factor of the sum of squared weights; 5e-4 with ``l2_convolutions_only`` is the published code's.
        noise_class: Class that means "no event".
        **kwargs: See :class:`WaveformClassifier`.
    """

    def __init__(
        self,
        backbone_type: str = "seisml.networks.convnetquake.ConvNetQuakeEncoder",
        in_channels: int = 3,
        l2: float = 1e-3,
        noise_class: str = "noise",
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone_type=backbone_type, in_channels=in_channels, l2=l2, **kwargs)
        self.task = Classification(noise_class)
