"""A small convolutional network on spectrograms of a table."""

from __future__ import annotations

from typing import Any

from seisml.methods.waveform_classifier import WaveformClassifier
from seisml.values.ranges import Rate, Rates, Weight


class PictureConvNet(WaveformClassifier):
    """A linear classifier behind :class:`seisml.networks.textbook.picture_convnet.PictureConvNetEncoder`.

    Args:
        backbone_type: The network.
        LR: Learning rate of Adam, which stays.
        l2: Factor of the sum of squared weights in the loss.
        **kwargs: See :class:`seisml.methods.waveform_classifier.WaveformClassifier`.
    """

    def __init__(
        self,
        backbone_type: str = "PictureConvNetEncoder",
        LR: Rate | Rates = 1e-3,
        l2: Weight = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone_type=backbone_type, LR=LR, l2=l2, **kwargs)
