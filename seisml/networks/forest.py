"""Decision trees of scikit-learn as tensors: they travel in checkpoints and predict in batches, on any device."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from torch import Tensor, nn

CLOSE = 1e-3  # of the spread of the answers: float32 beside scikit-learn's float64


class Trees(nn.Module):
    """Decision trees, and the sum of what they say.

    Args:
        n_trees: Trees.
        max_leaf_nodes: Leaves of a tree at the most, which bounds the memory.
        n_outputs: Numbers K that a leaf holds.
    """

    feature: Tensor
    threshold: Tensor
    child: Tensor
    value: Tensor
    prior: Tensor

    def __init__(self, n_trees: int, max_leaf_nodes: int, n_outputs: int) -> None:
        super().__init__()
        n_nodes = 2 * max_leaf_nodes - 1
        self.register_buffer("feature", torch.full((n_trees, n_nodes), -1, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(n_trees, n_nodes, dtype=torch.float64))
        self.register_buffer("child", torch.zeros(n_trees, n_nodes, 2, dtype=torch.int32))
        self.register_buffer("value", torch.zeros(n_trees, n_nodes, n_outputs))
        self.register_buffer("prior", torch.zeros(n_outputs))

    def put(
        self, number: int, feature: np.ndarray, threshold: np.ndarray, child: np.ndarray, value: np.ndarray, to: Tensor
    ) -> None:
        """Copy a tree of n nodes.

        Args:
            number: Its place.
            feature: Column that a node looks at, (n,); -1 in leaves.
            threshold: What is larger goes right, (n,).
            child: Left and right child, (n, 2).
            value: What the leaves say, (n, len(to)).
            to: The outputs that they say it of.
        """
        n = len(feature)
        self.feature[number, :n] = torch.from_numpy(feature.astype(np.int32))
        self.threshold[number, :n] = torch.from_numpy(threshold.astype(np.float64))
        self.child[number, :n] = torch.from_numpy(child.astype(np.int32))
        self.value[number, :n, to] = torch.from_numpy(value).float()

    def total(self, x: Tensor) -> Tensor:
        """Sum of the leaves that rows (N, A) end in, (N, K) float64."""
        x = x.float()
        n_rows, n_trees = len(x), len(self.feature)
        place = torch.zeros(n_rows, n_trees, dtype=torch.long, device=x.device)
        tree = torch.arange(n_trees, device=x.device)
        for _ in range(self.feature.shape[1]):  # no path is longer, whatever a file says
            feature = self.feature[tree, place].long()  # (N, trees)
            inner = feature >= 0
            if not inner.any():
                break
            right = x.gather(1, feature.clamp_min(0)).double() > self.threshold[tree, place]
            place = torch.where(inner, self.child[tree, place, right.long()].long(), place)
        return self.value[tree, place].double().sum(1)


class BoostedTrees(Trees):
    """A fitted histogram gradient boosting of one number, with the answers of scikit-learn's ``predict``.

    Args:
        n_trees: Rounds of the boosting at the most.
        max_leaf_nodes: Leaves of a tree at the most.

    Shapes:
        ``forward``: (N, A) -> (N,).
    """

    def __init__(self, n_trees: int, max_leaf_nodes: int) -> None:
        super().__init__(n_trees, max_leaf_nodes, 1)

    def take(self, model: HistGradientBoostingRegressor, x: np.ndarray) -> BoostedTrees:
        """Copy a fitted model.

        scikit-learn has no public way to the trees of its histogram boosting, so what is copied is compared.

        Args:
            model: Fitted to (N, A) float32 and numbers.
            x: Rows to compare the answers by, (N, A).

        Returns:
            Itself.

        Raises:
            RuntimeError: The copy answers otherwise than the model: this version of scikit-learn keeps it otherwise.
        """
        self.feature.fill_(-1)
        self.value.zero_()
        self.prior.fill_(float(np.ravel(model._baseline_prediction)[0]))
        for number, (tree,) in enumerate(model._predictors):
            node = tree.nodes
            leaf = node["is_leaf"].astype(bool)
            child = np.stack([node["left"], node["right"]], axis=1)
            feature = np.where(leaf, -1, node["feature_idx"].astype(np.int64))
            value = np.where(leaf, node["value"], 0.0)[:, None]
            self.put(number, feature, node["num_threshold"], child, value, torch.zeros(1, dtype=torch.long))
        expected = model.predict(x)
        difference = np.abs(self(torch.from_numpy(x).to(self.value.device)).cpu().numpy() - expected).max()
        if not difference <= CLOSE * max(float(expected.std()), 1e-12):
            raise RuntimeError(f"copied trees answer otherwise than scikit-learn's, by up to {difference:g}")
        return self

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Numbers (N,) of rows (N, A)."""
        return (self.total(x)[:, 0] + self.prior.double()).float()


class Forest(Trees):
    """A fitted random forest or gradient boosting, with the answers of scikit-learn's ``predict_proba``.

    Args:
        n_trees: Trees; for boosting, rounds times classes (rounds alone for two classes).
        max_leaf_nodes: Leaves of a tree at the most, which bounds the memory.
        n_classes: Number of classes K.

    Shapes:
        ``forward``: (N, A) -> log-probabilities (N, K).
    """

    boosted: Tensor

    def __init__(self, n_trees: int, max_leaf_nodes: int, n_classes: int) -> None:
        super().__init__(n_trees, max_leaf_nodes, n_classes)
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
        feature = np.where(tree.children_left < 0, -1, tree.feature)
        children = np.stack([tree.children_left, tree.children_right], axis=1)
        self.put(number, feature, tree.threshold, children, value, classes)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (N, K) of rows (N, A)."""
        total = self.total(x)
        if self.boosted:
            return torch.log_softmax(total + self.prior, dim=-1).float()
        return (total / len(self.feature)).clamp_min(1e-6).log().float()
