"""What the recipes that tell classes apart share: weighted cross-entropy, and the ensemble over traces."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.cross_entropy import weighted_cross_entropy
from seisml.methods.predictor import Predictor
from seisml.tasks.classification import Classification
from seisml.values.ranges import Share


class Classifier(Predictor):
    """A recipe that ends in class probabilities.

    Args:
        n_classes: Number of classes; by default the data's, and checked against it.
        use_class_weight: Weigh the loss by the data's balanced class weights.
        label_smoothing: Share of the target spread over all classes.
        **kwargs: See :class:`seisml.methods.base.Method`.
    """

    task: Classification = Classification()
    class_weight: Tensor

    def __init__(
        self,
        n_classes: int | None = None,
        use_class_weight: bool = True,
        label_smoothing: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        names = self.facts.classes
        if n_classes is not None and n_classes != len(names):
            raise UserError(
                f"exp_params.n_classes is {n_classes} but the data have {len(names)} classes ({', '.join(names)}); "
                "set it to that number or leave it out"
            )
        self.n_classes = len(names)
        self.label_smoothing = label_smoothing
        weights = self.facts.class_weights if use_class_weight and self.facts.class_weights else (1.0,) * len(names)
        self.register_buffer("class_weight", torch.tensor(weights))

    def predict_log_probability(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (B, n_classes) of each event and its features (B, D)."""
        raise NotImplementedError

    def answer(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities and features."""
        return self.predict_log_probability(batch)

    def loss_of(self, output: Tensor, label: Tensor) -> Tensor:
        """Weighted cross-entropy."""
        return weighted_cross_entropy(output, label, self.class_weight, self.label_smoothing)

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """Cross-entropy of the weighted shares of the classes, with the weights and smoothing of the loss.

        The loss of one log-probability vector for all is linear in it, so two numbers give the best one: the loss of
        the uniform vector, A log K, and its gradient by the scores, A / K - a, where a / A are the shares.
        """
        label = label.to(self.class_weight.device)
        if self.n_classes < 2 or not len(label):
            return {}
        with torch.enable_grad():
            score = torch.zeros_like(self.class_weight, requires_grad=True)
            uniform = self.loss_of(score.log_softmax(-1).expand(len(label), -1), label)
            (gradient,) = torch.autograd.grad(uniform, score)
        total = uniform.detach() / math.log(self.n_classes)
        share = (total / self.n_classes - gradient).clamp_min(0) / total.clamp_min(torch.finfo(score.dtype).tiny)
        tiny = torch.finfo(score.dtype).tiny
        return {"train/loss": float(self.loss_of(share.clamp_min(tiny).log().expand(len(label), -1), label))}


def ensemble(log_probability: Tensor, mask: Tensor) -> Tensor:
    """Average log-softmax over the traces of an event, then normalise.

    Args:
        log_probability: Log-softmax of each trace, (B, K, n_classes).
        mask: False on padding, (B, K).

    Returns:
        Log-probabilities of each event, (B, n_classes).
    """
    weight = mask.to(log_probability.dtype)[..., None]
    mean = (log_probability * weight).sum(1) / weight.sum(1).clamp_min(1)
    return F.log_softmax(mean, dim=-1)
