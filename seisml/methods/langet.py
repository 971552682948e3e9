"""The earlier Åknes classifier on stacked traces (Langet and Silverberg 2023, doi 10.5194/esurf-11-89-2023)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.autocast import lift
from seisml.methods.classifier import Classifier
from seisml.networks.backbone_with_clf import build_backbone_with_clf
from seisml.transforms.stacking import stack_traces
from seisml.values.ranges import Rate, Weight


class StackedTraceClassifier(Classifier):
    """All traces of an event stacked into one, its spectrogram classified by AlexNet or a ResNet.

    Args:
        backbone_with_clf_type: ``AlexNet``, ``ResNet18`` or ``ResNet34``.
        LR: Learning rate.
        weight_decay: Weight decay of Adam.
        **kwargs: See :class:`seisml.methods.classifier.Classifier`.
    """

    def __init__(
        self, backbone_with_clf_type: str = "ResNet34", LR: Rate = 1e-3, weight_decay: Weight = 1e-4, **kwargs: Any
    ) -> None:
        super().__init__(LR=LR, weight_decay=weight_decay, **kwargs)
        network = build_backbone_with_clf(backbone_with_clf_type, 1, self.n_classes)
        network.to(memory_format=torch.channels_last)
        self.encoder, self.head = network.encoder, network.head

    def embed(self, picture: Tensor) -> Tensor:
        """Encoder outputs: (N, 1, F, W) -> (N, D)."""
        return self.encoder(picture)

    @property
    def class_head(self) -> nn.Module:
        """The layers from features to classes."""
        return self.head

    def predict_log_probability(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the events and the features of their stacked traces."""
        waveform = batch["waveform"]
        mask = batch.get("trace_mask")
        if mask is None and self.training:
            raise UserError(
                f"{self.name} stacks all traces of an event, but batches carry drawn ones; "
                "set dataset.return_single_spectrogram_train=false"
            )
        if mask is None:
            mask = torch.ones(waveform.shape[:2], dtype=torch.bool, device=waveform.device)
        if self.training:
            noise = (batch["noise"],) if "noise" in batch else None
            (waveform,) = self.augmentations.on_waveforms((waveform,), self.random(batch), noise)
        view = self.front_end.picture(stack_traces(waveform, mask))
        picture = self.augmentations((view,), self.random(batch))[0] if self.training else view.full()
        features = self.embed(picture)  # (B, D)
        return torch.log_softmax(lift(self.head(features)), dim=-1), features
