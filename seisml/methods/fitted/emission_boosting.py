"""Statistics of acoustic emission and gradient boosting: what won the LANL contest, beside every network."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.methods.fitted.at_once import FittedAtOnce
from seisml.methods.linear_head import masked_mean
from seisml.methods.regression import NumberPredictor
from seisml.networks.emission_features import EmissionFeaturesEncoder
from seisml.networks.forest import BoostedTrees
from seisml.values.ranges import Count, Period, Weight

SMALLEST_LEAF = 20  # windows: scikit-learn's default
WHOLE = 0.5  # of the median cycle: a record that begins lower than this has lost the beginning of its cycle


class EmissionBoosting(FittedAtOnce, NumberPredictor):
    """Statistics of each window (:mod:`seisml.transforms.emission_features`) and scikit-learn's histogram boosting.

    The trees are fitted once, to all training windows, before the first step; the one epoch that follows measures them.
    Their numbers travel in the checkpoint as tensors, and predict there without scikit-learn.

    Args:
        in_channels: Traces described at once.
        loss: What the boosting lowers: ``absolute`` or ``squared``.
        target: ``time``, or ``fraction``: the number as a share of what its record begins with (the length of the
            cycle), which is predicted times the median of the training records' (what the contest's winners found to
            matter).
        n_estimators: Trees.
        max_leaf_nodes: Leaves of a tree at the most.
        shrinkage: What the answer of each tree is multiplied by.
        model_save_ep_period: Never by default: there is no encoder worth saving.
        **kwargs: See :class:`seisml.methods.base.Method`.

    Raises:
        UserError: A loss that the boosting does not know.
    """

    encoder: EmissionFeaturesEncoder
    cycle: Tensor

    def __init__(
        self,
        in_channels: int = 1,
        loss: Literal["absolute", "squared"] = "absolute",
        target: Literal["time", "fraction"] = "time",
        n_estimators: Count = 200,
        max_leaf_nodes: Count = 31,
        shrinkage: Weight = 0.05,
        model_save_ep_period: Period = -1,
        **kwargs: Any,
    ) -> None:
        if loss not in ("absolute", "squared"):
            raise UserError(f"exp_params.loss: boosting does not know {loss!r}; choose from absolute, squared")
        if target not in ("time", "fraction"):
            raise UserError(f"exp_params.target: {target!r} is unknown; choose from time, fraction")
        super().__init__(loss=loss, model_save_ep_period=model_save_ep_period, **kwargs)
        self.in_channels, self.target = in_channels, target
        self.n_estimators, self.max_leaf_nodes, self.shrinkage = n_estimators, max_leaf_nodes, shrinkage
        self.encoder = EmissionFeaturesEncoder(in_channels)
        self.trees = BoostedTrees(n_estimators, max_leaf_nodes)
        self.register_buffer("cycle", torch.ones(()))  # what a fraction is multiplied by, in the number's unit

    def embed(self, picture: Tensor) -> Tensor:
        """Statistics of waveforms: (N, in_channels, T) -> (N, D)."""
        return self.encoder(picture)

    def on_train_start(self) -> None:
        """Fit the trees to all windows of the training part."""
        x, label, row = self.training_features()
        if self.target == "fraction":
            x, label = self._as_fraction(x, label, row)
        else:
            label = self.task.loss_target(torch.from_numpy(label), self.facts).numpy()
        model = HistGradientBoostingRegressor(
            loss=f"{self.loss}_error", learning_rate=self.shrinkage, max_iter=self.n_estimators,
            max_leaf_nodes=self.max_leaf_nodes, min_samples_leaf=SMALLEST_LEAF, early_stopping=False,
            random_state=self.seed,
        )  # fmt: skip
        self.trees.take(model.fit(x, label), x)

    def answer(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The events' standardised numbers (B, 1), the mean over their traces, and their mean statistics."""
        features, mask = self.encode_traces(batch)  # (B, K, D), (B, K)
        output = features.new_zeros(*mask.shape, 1)
        found = self.trees(features[mask])
        if self.target == "fraction":
            found = self.task.loss_target(found * self.cycle, self.facts)
        output[mask] = found[:, None].to(output.dtype)
        return masked_mean(output, mask), masked_mean(features, mask)

    def _as_fraction(self, x: np.ndarray, label: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Windows of whole cycles, and their numbers as shares of what the record begins with; sets ``cycle``."""
        begins = self.trainer.datamodule.labels[row]
        if np.array_equal(begins, label):
            raise UserError(
                "exp_params.target: a fraction of what its record begins with needs a number that changes along the "
                "record; set exp_params.target=time"
            )
        length = np.unique(np.stack([row, begins], axis=1), axis=0)[:, 1]  # one for each record
        whole = begins >= WHOLE * np.median(length)
        self.cycle.fill_(float(np.median(length[length >= WHOLE * np.median(length)])))
        return x[whole], label[whole] / begins[whole]
