"""Seismic attributes and a random forest or boosting: how observatories classify events (Provost et al. 2017)."""

from __future__ import annotations

from typing import Any, Literal

from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.methods.classifier import Classifier, ensemble
from seisml.methods.fitted.at_once import FittedAtOnce
from seisml.networks.attributes import AttributesEncoder
from seisml.networks.forest import Forest
from seisml.values.ranges import Count, Period


class AttributeForest(FittedAtOnce, Classifier):
    """Attributes of each trace, classified by scikit-learn's trees; an event's answer is the mean over its traces.

    The trees are fitted once, to all traces of the labelled training events, before the first step; the one epoch that
    follows measures them. Their numbers travel in the checkpoint as tensors, and predict there without scikit-learn.
    Source: Provost, Hibert and Malet (2017), doi 10.1002/2016GL070709.

    Args:
        in_channels: Traces described at once; 3 adds the polarisation, the vertical first. None: those of the data.
        model: ``forest`` (random forest) or ``boosting`` (gradient boosting).
        n_estimators: Trees of the forest, rounds of the boosting.
        max_leaf_nodes: Leaves of a tree at the most.
        amplitudes: Keep the attributes that depend on the waveform's unit.
        model_save_ep_period: Never by default: there is no encoder worth saving.
        **kwargs: See :class:`seisml.methods.classifier.Classifier`.
    """

    encoder: AttributesEncoder

    def __init__(
        self,
        in_channels: int | None = None,
        model: Literal["forest", "boosting"] = "forest",
        n_estimators: Count = 300,
        max_leaf_nodes: Count = 128,
        amplitudes: bool = True,
        model_save_ep_period: Period = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(model_save_ep_period=model_save_ep_period, **kwargs)
        self.in_channels, self.model = in_channels or self.facts.in_channels, model
        self.n_estimators, self.max_leaf_nodes = n_estimators, max_leaf_nodes
        self.encoder = AttributesEncoder(self.in_channels, amplitudes)
        rounds = self.n_classes if model == "boosting" and self.n_classes > 2 else 1
        self.forest = Forest(n_estimators * rounds, max_leaf_nodes, self.n_classes)

    def embed(self, picture: Tensor) -> Tensor:
        """Attributes of waveforms: (N, in_channels, T) -> (N, D)."""
        return self.encoder(picture)

    def on_train_start(self) -> None:
        """Fit the trees to all traces of the labelled training events."""
        x, label, _ = self.training_features()
        model = new_trees(self.model, self.n_estimators, self.max_leaf_nodes, self.seed)
        weight = self.class_weight.cpu().numpy()[label]
        used = weight > 0
        self.forest.take(model.fit(x[used], label[used], sample_weight=weight[used]))

    def predict_log_probability(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the events, the mean over their traces, and their mean attributes."""
        features, mask = self.encode_traces(batch)  # (B, K, D), (B, K)
        log_probability = features.new_zeros(*mask.shape, self.n_classes)
        log_probability[mask] = self.forest(features[mask])
        mean = (features * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        return ensemble(log_probability, mask), mean


def new_trees(
    model: Literal["forest", "boosting"] = "forest", n_estimators: int = 300, max_leaf_nodes: int = 128, seed: int = 0
) -> RandomForestClassifier | GradientBoostingClassifier:
    """Make scikit-learn's trees, not yet fitted; arguments as in :class:`AttributeForest`."""
    kind = RandomForestClassifier if model == "forest" else GradientBoostingClassifier
    return kind(n_estimators=n_estimators, max_leaf_nodes=max_leaf_nodes, random_state=seed)
