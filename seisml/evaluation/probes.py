"""Probe: how well nearest neighbours read the classes from frozen embeddings.

It is fitted on the embeddings of the train part and scored on others, never on those it was fitted on.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

DISTANCES_AT_ONCE = 2**23  # distances held in memory at a time: 32 MiB of float32


@torch.no_grad()
def knn_accuracy(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    k: int = 5,
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> float:
    """Score a k-nearest-neighbour classifier on embeddings.

    Majority vote, ties to the smaller label, as in scikit-learn's ``KNeighborsClassifier``. Works on the embeddings'
    device, in float32, a slice of the test samples at a time, so that memory stays bounded.

    Args:
        train_x: (N, D) embeddings to search; centred internally, which changes no distance but keeps its digits.
        train_y: (N,) labels; -1 means unlabelled and is left out.
        test_x: (M, D) embeddings to classify.
        test_y: (M,) labels; -1 is left out.
        k: Number of neighbours; all of the train samples where there are fewer.
        metric: "euclidean" as published, or "cosine" for embeddings whose length means nothing.

    Returns:
        Fraction classified correctly; NaN where one side has no labelled sample or an embedding is not finite.

    Raises:
        ValueError: Shapes do not fit, k < 1 or an unknown metric.
    """
    train_x, train_y = _labelled(train_x, train_y)
    test_x, test_y = _labelled(test_x, test_y)
    if k < 1 or metric not in ("euclidean", "cosine") or train_x.shape[1] != test_x.shape[1]:
        raise ValueError(
            f"knn_accuracy: k={k} (1 or more), metric={metric!r} (euclidean or cosine), "
            f"features {train_x.shape[1]} and {test_x.shape[1]} (equal)"
        )
    if not _usable(train_x, test_x):
        return float("nan")
    n_classes = int(max(train_y.max(), test_y.max())) + 1
    votes = knn_votes(train_x, train_y, test_x, n_classes, k, metric)
    return votes.argmax(dim=1).eq(test_y.to(votes.device)).double().mean().item()


@torch.no_grad()
def knn_votes(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    n_classes: int,
    k: int = 5,
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> Tensor:
    """Count the classes among the nearest neighbours; the first of equal counts is the vote's winner.

    Args:
        train_x: (N, D) labelled embeddings to search.
        train_y: (N,) their labels.
        test_x: (M, D) embeddings to classify.
        n_classes: Number of classes K.
        k: Number of neighbours; all of the train samples where there are fewer.
        metric: "euclidean" or "cosine".

    Returns:
        (M, K) int64 counts, on the device of ``train_x``.
    """
    train_x = train_x.float()  # embeddings made under autocast have too few digits to rank distances
    test_x, train_y = test_x.to(train_x), train_y.to(train_x.device)
    if metric == "cosine":
        train_x, test_x = (torch.nn.functional.normalize(x, dim=1) for x in (train_x, test_x))
    center = train_x.mean(dim=0)
    train_x, test_x = train_x - center, test_x - center
    k = min(k, len(train_x))
    step = max(1, DISTANCES_AT_ONCE // len(train_x))
    half_square = train_x.square().sum(dim=1) / 2  # (N,)
    votes = torch.zeros(len(test_x), n_classes, dtype=torch.int64, device=train_x.device)
    with torch.autocast(train_x.device.type, enabled=False):
        for query, vote in zip(test_x.split(step), votes.split(step), strict=True):
            # the query's norm shifts all its distances alike: half the squared distance, up to that shift
            distance = half_square - query @ train_x.T  # (m, N)
            neighbor = distance.topk(k, dim=1, largest=False).indices  # (m, k)
            vote.scatter_add_(1, train_y[neighbor], torch.ones_like(neighbor))  # a view: fills its rows of votes
    return votes


def _labelled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return float32 embeddings and labels without the unlabelled samples."""
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"embeddings {tuple(x.shape)} and labels {tuple(y.shape)} should be (N, D) and (N,)")
    keep = y != -1
    return x.detach()[keep.to(x.device)].float(), y.detach()[keep].long()


def _usable(train_x: Tensor, test_x: Tensor) -> bool:
    """Tell whether both sides have samples and finite values."""
    return bool(len(train_x) and len(test_x) and train_x.isfinite().all() and test_x.isfinite().all())
