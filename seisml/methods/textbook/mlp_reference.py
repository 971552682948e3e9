"""scikit-learn's multilayer perceptron, trained by scikit-learn, tested like every other network: a reference."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.methods.textbook.mlp import MLP
from seisml.networks.textbook.mlp import MLPEncoder
from seisml.values.ranges import Count, Period

NEVER = -1e4  # score of a class that the training part lacks


class MLPReference(MLP):
    """``sklearn.neural_network.MLPClassifier`` with the settings of the network beside it.

    It is fitted to the labelled training records before the first step; its weights become those of an
    :class:`MLPEncoder` and the classifier, so that they are tested, saved and loaded like others.
    The one epoch that follows measures them.

    Args:
        max_iter: Epochs of scikit-learn's training; it goes through all of them.
        optimizer: ``adam`` or ``sgd`` (momentum 0.9 by Nesterov), its ``solver``.
        model_save_ep_period: Never by default: there is no encoder worth saving.
        **kwargs: See :class:`seisml.methods.textbook.mlp.MLP`.
    """

    encoder: MLPEncoder

    def __init__(
        self,
        max_iter: Count = 100,
        optimizer: Literal["adam", "sgd"] = "sgd",
        model_save_ep_period: Period = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, model_save_ep_period=model_save_ep_period, **kwargs)
        if not isinstance(self.encoder, MLPEncoder) or not isinstance(self.LR, int | float):
            raise UserError("model_params.backbone_type: the reference is an MLPEncoder, with one exp_params.LR")
        self.max_iter = max_iter
        self.automatic_optimization = False  # nothing here has a gradient

    def configure_optimizers(self) -> None:
        """None: scikit-learn has its own."""

    def on_train_start(self) -> None:
        """Fit the network to the labelled training records."""
        picture, label = self.training_pictures()
        hidden = [layer.out_features for layer in self.encoder.linear]
        batch_size = min(self.trainer.datamodule.batch_size, len(label))
        model = MLPClassifier(
            hidden, solver=self.optimizer, alpha=2 * batch_size * self.l2, batch_size=batch_size,
            learning_rate_init=float(self.LR), max_iter=self.max_iter, n_iter_no_change=self.max_iter, tol=0.0,
            random_state=self.seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is told how long to train
            model.fit(picture, label)
        self.take(model)

    @torch.no_grad()
    def training_pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Flattened pictures (N, D) and class numbers (N,) of the labelled training records."""
        data = self.trainer.datamodule
        pictures, labels = [], []
        for batch in data.evaluation_loader(data.labelled(data.split.train), single=True):
            pictures.append(self.front_end(batch["waveform"].to(self.device)).flatten(1).cpu().numpy())
            labels.append(batch["label"].numpy())
        return np.concatenate(pictures), np.concatenate(labels)

    def take(self, model: MLPClassifier) -> None:
        """Take over the weights of a fitted model; of two classes it has one score, positive for the second."""
        weights = [torch.from_numpy(np.asarray(values)).float() for values in model.coefs_]
        biases = [torch.from_numpy(np.asarray(values)).float() for values in model.intercepts_]
        self.encoder.take(weights[:-1], biases[:-1])
        last, bias = weights[-1].T, biases[-1]
        if len(model.classes_) == 2:
            last, bias = torch.cat([torch.zeros_like(last), last]), torch.cat([torch.zeros_like(bias), bias])
        with torch.no_grad():
            self.classifier.weight.zero_()
            self.classifier.bias.fill_(NEVER)
            self.classifier.weight[torch.from_numpy(model.classes_)] = last.to(self.device)
            self.classifier.bias[torch.from_numpy(model.classes_)] = bias.to(self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Measure loss and accuracy on the training records."""
        super().training_step(batch, batch_idx)
        return None

    def on_train_epoch_end(self) -> None:
        """Stop: another epoch would measure the same network again."""
        self.trainer.should_stop = True
