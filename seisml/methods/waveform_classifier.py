"""Supervised training of one-dimensional networks on waveforms."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.losses.squared_weights import squared_weights
from seisml.methods.supervised import Supervised
from seisml.processes.collectives import total
from seisml.values.ranges import Rate, Rates, Weight


class WaveformClassifier(Supervised):
    """A linear classifier on a one-dimensional network, which is built for the data's number of samples.

    The loss is the cross-entropy plus ``l2`` times the sum of the squared weights; Adam keeps its rate unless
    ``cosine`` is set. The run prints the network layer by layer.

    Args:
        backbone_type: Class of the network; see :class:`Supervised`.
        LR: See :class:`Supervised`.
        use_class_weight: See :class:`seisml.methods.classifier.Classifier`.
        l2: Factor of the sum of squared weights in the loss.
        l2_convolutions_only: Count the weights of convolutions only.
        cosine: Let the learning rate fall to zero along a cosine.
        **kwargs: See :class:`Supervised`.
    """

    def __init__(
        self,
        backbone_type: str = "ConvNetEncoder",
        LR: Rate | Rates = 1e-4,
        use_class_weight: bool = False,
        l2: Weight = 0.0,
        l2_convolutions_only: bool = False,
        cosine: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone_type=backbone_type, LR=LR, use_class_weight=use_class_weight, **kwargs)
        self.l2, self.l2_convolutions_only, self.cosine = l2, l2_convolutions_only, cosine

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy of a batch, and the penalty on the weights."""
        return self.penalised(super().training_step(batch, batch_idx), batch)

    def penalised(self, loss: Tensor, batch: Batch) -> Tensor:
        """A loss plus ``l2`` times the sum of the squared weights that are trained."""
        if not self.l2:
            return loss
        networks = (self.encoder, self.classifier)
        parts = nn.ModuleList(part for part in networks if any(weight.requires_grad for weight in part.parameters()))
        penalty = self.l2 * squared_weights(parts, self.l2_convolutions_only)
        self.log("train/l2", penalty, on_step=False, on_epoch=True, batch_size=total(len(batch["label"])))
        return loss + penalty

    def rate_share(self, progress: float) -> float:
        """All of it, or half a cosine where ``cosine`` asks for it."""
        return super().rate_share(progress) if self.cosine else 1.0

    def on_fit_start(self) -> None:
        """Print the network."""
        if self.trainer.is_global_zero:
            network = nn.Sequential(OrderedDict(encoder=self.encoder, classifier=self.classifier))
            waveform = torch.zeros(1, self.in_channels, self.facts.n_samples, device=self.device)
            picture = self.front_end.picture(waveform).full()
            options = {"col_names": ("output_size", "num_params"), "depth": 10, "mode": "eval", "verbose": 0}
            print(torchinfo.summary(network, input_data=picture, **options))
