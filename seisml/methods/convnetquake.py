"""ConvNetQuake: noise, or an earthquake of which geographic cluster (Perol, Gharbi and Denolle 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seisml.methods.waveform_classifier import WaveformClassifier
from seisml.networks.convnetquake import scale_by_fan_in
from seisml.tasks.classification import Classification
from seisml.values.class_names import NOISE
from seisml.values.ranges import Weight


class ConvNetQuake(WaveformClassifier):
    """The published recipe: cross-entropy + 5e-4 times the squared weights of the convolutions, Adam at 1e-4.

    The paper's 1e-3 is a factor of TensorFlow's ``l2_loss``, which halves the sum; the published code regularises the
    convolutions alone. Fresh weights are drawn by fan-in, the classifier's too.

    Args:
        backbone_type: See :class:`WaveformClassifier`.
        in_channels: Components that the network sees at once.
        l2: Factor of the sum of squared weights.
        l2_convolutions_only: Count the weights of convolutions only.
        augmentations: By default noise of 1.0-1.2 times the channel's standard deviation on half of the windows.
        noise_class: Class that means "no event".
        **kwargs: See :class:`WaveformClassifier`.
    """

    def __init__(
        self,
        backbone_type: str = "ConvNetQuakeEncoder",
        in_channels: int = 3,
        l2: Weight = 5e-4,
        l2_convolutions_only: bool = True,
        noise_class: str = NOISE,
        augmentations: Sequence[str | dict[str, Any]] = ({"GaussianNoise": {"low": 1.0, "high": 1.2, "share": 0.5}},),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            backbone_type=backbone_type,
            in_channels=in_channels,
            l2=l2,
            l2_convolutions_only=l2_convolutions_only,
            augmentations=augmentations,
            task=Classification(noise_class),
            **kwargs,
        )
        scale_by_fan_in(self.classifier)
