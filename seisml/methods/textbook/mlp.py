"""A multilayer perceptron on spectrograms of a table, with the settings of the exercise it comes from."""

from __future__ import annotations

from typing import Any, Literal

from seisml.methods.waveform_classifier import WaveformClassifier
from seisml.values.ranges import Rate, Rates, Weight


class MLP(WaveformClassifier):
    """A linear classifier behind fully connected hidden layers; see :class:`seisml.networks.textbook.mlp.MLPEncoder`.

    Args:
        backbone_type: The network.
        LR: Learning rate, which stays.
        optimizer: ``sgd`` (momentum 0.9 by Nesterov), ``adam`` or ``adamw``.
        l2: Factor of the sum of squared weights in the loss; 1e-5 is scikit-learn's ``alpha`` of 1e-3 at a batch of 50
            (alpha / 2 / 50).
        **kwargs: See :class:`seisml.methods.waveform_classifier.WaveformClassifier`.
    """

    def __init__(
        self,
        backbone_type: str = "MLPEncoder",
        LR: Rate | Rates = 1e-3,
        optimizer: Literal["adam", "adamw", "sgd"] = "sgd",
        l2: Weight = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone_type=backbone_type, LR=LR, optimizer=optimizer, l2=l2, **kwargs)
