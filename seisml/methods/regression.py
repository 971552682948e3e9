"""Predicting a number with an encoder: a time, a distance, a magnitude."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.optimize import minimize_scalar
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.errors import UserError, nearest
from seisml.methods.classifier import ensemble
from seisml.methods.linear_head import LinearHead, masked_mean
from seisml.methods.predictor import Predictor
from seisml.tasks.regression import BinnedRegression, Regression

RegressionLoss = Literal["squared", "absolute", "huber"]
LOSSES = {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}


class NumberPredictor(Predictor):
    """A recipe that learns a number without the mean of the training part and in units of its standard deviation.

    Both come from the data's facts; the number is predicted in its unit.

    Args:
        loss: ``squared``, ``absolute``, or ``huber`` (squared up to one standard deviation, absolute beyond).
        **kwargs: See :class:`seisml.methods.base.Method`.
    """

    task: Regression = Regression()

    def __init__(self, loss: RegressionLoss = "huber", **kwargs: Any) -> None:
        if loss not in get_args(RegressionLoss):
            raise UserError(f"exp_params.loss: {loss!r} is unknown; {nearest(loss, get_args(RegressionLoss))}")
        super().__init__(**kwargs)
        self.loss = loss

    def loss_of(self, output: Tensor, label: Tensor) -> Tensor:
        """The chosen loss between standardised numbers, in float32."""
        return LOSSES[self.loss](output[:, 0].float(), self.task.loss_target(label, self.facts))

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """The least loss that one number for all records gives."""
        target = self.task.loss_target(label, self.facts)

        def loss(constant: float) -> float:
            return float(self.loss_of(torch.full((len(label), 1), constant), label))

        if not len(label):
            return {}
        best = minimize_scalar(loss, bounds=(float(target.min()), float(target.max())), method="bounded")
        return {"train/loss": float(best.fun)}


class Regressor(NumberPredictor, LinearHead):
    """A linear layer with one output on an encoder; an event's number is the mean over its traces.

    Arguments as in :class:`NumberPredictor` and :class:`seisml.methods.linear_head.LinearHead`.
    """

    def answer(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The events' standardised numbers (B, 1) and their mean features."""
        output, mask, features = self.trace_outputs(batch)
        return masked_mean(output, mask), features


class BinnedRegressor(LinearHead, Predictor):
    """A number predicted as one of equal bins, by cross-entropy; an event's answer is the ensemble over its traces.

    Args:
        n_bins: Bins between the least and the largest value of the training part.
        **kwargs: See :class:`seisml.methods.linear_head.LinearHead`.
    """

    task: Regression = BinnedRegression()

    def __init__(self, n_bins: Annotated[int, Field(ge=2, le=10_000)] = 16, **kwargs: Any) -> None:
        super().__init__(task=BinnedRegression(n_bins), **kwargs)

    def answer(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the bins and the events' mean features."""
        output, mask, features = self.trace_outputs(batch)
        return ensemble(output.log_softmax(-1), mask), features

    def loss_of(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy of the bins."""
        return F.nll_loss(output.float(), self.task.loss_target(label, self.facts))

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """Entropy of the bins' shares."""
        share = self.task.loss_target(label, self.facts).bincount() / max(len(label), 1)
        return {"train/loss": float(torch.special.entr(share).sum())} if len(label) else {}
