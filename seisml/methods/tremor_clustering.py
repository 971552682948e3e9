"""Deep metric learning on tremor: embeddings that cluster by class, told apart by a support vector machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from sklearn.svm import LinearSVC
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.errors import UserError, nearest
from seisml.evaluation.embedding import embed_rows
from seisml.losses.deep_clustering import deep_clustering_loss, whitened_kmeans_loss
from seisml.methods.waveform_classifier import WaveformClassifier
from seisml.processes.collectives import gather
from seisml.values.ranges import Rate, Rates

ClusteringLoss = Literal["deep_clustering", "whitened_kmeans"]
LOSSES = {"deep_clustering": deep_clustering_loss, "whitened_kmeans": whitened_kmeans_loss}


class TremorClustering(WaveformClassifier):
    """An encoder trained by a clustering loss over whole batches, and a linear support vector machine on top.

    The support vector machine (scikit-learn's ``LinearSVC``, one class against the rest, balanced class weights) is
    fitted on the embeddings of the training part before each look at the dev part and after training; its weights
    are the classifier's, so that they travel in the checkpoint. Its scores pass through a softmax: they rank events,
    but are not calibrated probabilities.

    Args:
        backbone_type: See :class:`WaveformClassifier`.
        loss: ``deep_clustering`` or ``whitened_kmeans``.
        svm_c: Inverse strength of the support vector machine's regularisation.
        LR: See :class:`seisml.methods.supervised.Supervised`.
        use_class_weight: Weigh the cross-entropy on the dev part by the data's balanced class weights.
        **kwargs: See :class:`WaveformClassifier`.
    """

    def __init__(
        self,
        backbone_type: str = "EmbeddingConvNetEncoder",
        loss: ClusteringLoss = "deep_clustering",
        svm_c: float = 1.0,
        LR: Rate | Rates = 1e-3,
        use_class_weight: bool = True,
        **kwargs: Any,
    ) -> None:
        if loss not in get_args(ClusteringLoss):
            raise UserError(f"exp_params.loss: {loss!r} is unknown; {nearest(loss, get_args(ClusteringLoss))}")
        super().__init__(backbone_type=backbone_type, LR=LR, use_class_weight=use_class_weight, **kwargs)
        if self.freeze_encoders:
            raise UserError("exp_params.freeze_encoders: clustering trains nothing but the encoder; set it to false")
        if self.linear_first_steps:
            raise UserError("exp_params.linear_first_steps: clustering trains nothing but the encoder; set it to 0")
        self.loss, self.svm_c = loss, svm_c
        self.classifier.requires_grad_(False)  # set by the support vector machine

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Clustering loss over all points of a batch."""
        features, mask = self.encode_traces(batch)  # (B, K, D), (B, K)
        label = batch["label"][:, None].expand_as(mask)[mask]
        points, label = gather(features[mask]), gather(label)
        loss = LOSSES[self.loss](points, F.one_hot(label, self.n_classes))
        self.log("train/loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(label))
        return self.penalised(loss, batch)

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """None is known: ``train/loss`` compares the points of a batch with one another."""
        return {}

    def on_validation_start(self) -> None:
        """Fit the support vector machine to the encoder as it is now."""
        self.fit_svm()

    def on_train_end(self) -> None:
        """Fit the support vector machine to the trained encoder."""
        self.fit_svm()

    def fit_svm(self) -> None:
        """Fit the support vector machine on the embeddings of the training part."""
        data = self.trainer.datamodule
        embedded = embed_rows(self, data, data.labelled(data.split.train))
        weight, bias = svm_weights(embedded.features, embedded.label, self.n_classes, self.svm_c)
        self.classifier.weight.data.copy_(weight)
        self.classifier.bias.data.copy_(bias)

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """The encoder's parameters and their rate."""
        rates = self.LR if isinstance(self.LR, Mapping) else {"encoder": self.LR, "clf": self.LR}
        return self.encoder_groups(rates["encoder" if self.pretrained else "clf"])


def svm_weights(embedding: Tensor, label: Tensor, n_classes: int, c: float = 1.0) -> tuple[Tensor, Tensor]:
    """Fit a linear support vector machine.

    Args:
        embedding: (N, D).
        label: Class numbers, (N,).
        n_classes: Number of classes; one that no sample belongs to is never predicted.
        c: Inverse strength of the regularisation.

    Returns:
        Weight (n_classes, D) and bias (n_classes,), whose largest score is the machine's answer.

    Raises:
        UserError: All samples belong to one class.
    """
    machine = LinearSVC(C=c, class_weight="balanced", random_state=0, max_iter=10_000)
    if len(label.unique()) < 2:
        raise UserError("a support vector machine needs two classes to train on, and the training part has one; "
                        "set another dataset.train_test_split_rand_seed or dataset.train_data_ratio")  # fmt: skip
    machine.fit(embedding.double().numpy(), label.numpy())
    coefficients, intercept = torch.from_numpy(machine.coef_), torch.from_numpy(machine.intercept_)
    if len(coefficients) == 1:  # two classes: one score, positive for the second
        coefficients, intercept = torch.cat([-coefficients, coefficients]) / 2, torch.cat([-intercept, intercept]) / 2
    weight = torch.zeros(n_classes, embedding.shape[1])
    bias = torch.full((n_classes,), -1e4)
    present = torch.from_numpy(machine.classes_).long()
    weight[present], bias[present] = coefficients.float(), intercept.float()
    return weight, bias
