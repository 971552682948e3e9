"""Decision trees of scikit-learn as tensors: they travel in checkpoints and predict in batches, on any device."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor, nn


class Forest(nn.Module):
    """A fitted random forest or gradient boosting, with the answers of scikit-learn's ``predict_proba``.

    Args:
        n_trees: Trees; for boosting, rounds times classes (rounds alone for two classes).
        max_leaf_nodes: Leaves of a tree at the most, which bounds the memory.
        n_classes: Number of classes K.

    Shapes:
        ``forward``: (N, A) -> log-probabilities (N, K).
    """

    feature: Tensor
    threshold: Tensor
    child: Tensor
    value: Tensor
    prior: Tensor
    boosted: Tensor

    def __init__(self, n_trees: int, max_leaf_nodes: int, n_classes: int) -> None:
        super().__init__()
        n_nodes = 2 * max_leaf_nodes - 1
        self.register_buffer("feature", torch.full((n_trees, n_nodes), -1, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(n_trees, n_nodes, dtype=torch.float64))
        self.register_buffer("child", torch.zeros(n_trees, n_nodes, 2, dtype=torch.int32))
        self.register_buffer("value", torch.zeros(n_trees, n_nodes, n_classes))
        self.register_buffer("prior", torch.zeros(n_classes))
        self.register_buffer("boosted", torch.zeros((), dtype=torch.bool))

    def take(self, model: RandomForestClassifier | GradientBoostingClassifier) -> Forest:
        """Copy a fitted model; classes that it has not met keep the probability 0.

        Args:
            model: Fitted to (N, A) float32 and class numbers.

        Returns:
            Itself.
        """
        classes = torch.from_numpy(np.asarray(model.classes_)).long()
        self.feature.fill_(-1)
        self.value.zero_()
        self.prior.zero_()
        if isinstance(model, RandomForestClassifier):
            self.boosted.fill_(False)
            for number, tree in enumerate(model.estimators_):
                counts = tree.tree_.value[:, 0]  # (nodes, classes)
                self._put(number, tree.tree_, counts / counts.sum(1, keepdims=True), classes)
            return self
        self.boosted.fill_(True)
        trees = model.estimators_  # (rounds, K), or (rounds, 1) for two classes
        share = torch.from_numpy(np.asarray(model.init_.class_prior_)).float()
        self.prior.fill_(-torch.inf)
        self.prior[classes] = share.log()
        columns = classes[1:] if trees.shape[1] == 1 else classes
        for number, tree in enumerate(trees.ravel()):
            column = columns[number % trees.shape[1]][None]
            self._put(number, tree.tree_, model.learning_rate * tree.tree_.value[:, :, 0], column)
        return self

    def _put(self, number: int, tree, value: np.ndarray, classes: Tensor) -> None:
        """Copy a tree; ``value`` (nodes, len(classes)) is what its leaves say of ``classes``."""
        n = tree.node_count
        leaf = tree.children_left < 0
        self.feature[number, :n] = torch.from_numpy(np.where(leaf, -1, tree.feature).astype(np.int32))
        self.threshold[number, :n] = torch.from_numpy(tree.threshold)
        children = np.stack([tree.children_left, tree.children_right], axis=1).astype(np.int32)
        self.child[number, :n] = torch.from_numpy(children)
        self.value[number, :n, classes] = torch.from_numpy(value).float()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (N, K) of rows (N, A)."""
        x = x.float()
        n_rows, n_trees = len(x), len(self.feature)
        place = torch.zeros(n_rows, n_trees, dtype=torch.long, device=x.device)
        tree = torch.arange(n_trees, device=x.device)
        while True:
            feature = self.feature[tree, place].long()  # (N, trees)
            inner = feature >= 0
            if not inner.any():
                break
            right = x.gather(1, feature.clamp_min(0)).double() > self.threshold[tree, place]
            place = torch.where(inner, self.child[tree, place, right.long()].long(), place)
        total = self.value[tree, place].double().sum(1)  # (N, K)
        if self.boosted:
            return torch.log_softmax(total + self.prior, dim=-1).float()
        return (total / n_trees).clamp_min(1e-6).log().float()
