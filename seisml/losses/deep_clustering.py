"""Clustering losses on embeddings of many points at once (Wang, Le Roux and Hershey 2018, ICASSP).

Both compare which points lie together in the embedding with which carry the same label, and both need many points of
several classes: of a single point with a unit embedding, the first is 0 whatever its label.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seisml.losses.autocast import in_float32


@in_float32
def deep_clustering_loss(
    embedding: Tensor, assignment: Tensor, weight: Tensor | None = None, normalize: bool = True
) -> Tensor:
    """Deep-clustering loss: how far the affinities V V^T of the points are from those of their labels, Y Y^T.

    (||V^T V||^2 - 2 ||V^T Y||^2 + ||Y^T Y||^2) / (sum w^2)^2, which is ||V V^T - Y Y^T||^2 (Frobenius) over the number
    of pairs, without an N x N matrix. With weights, the rows of V and Y are multiplied by them.

    Args:
        embedding: V, (N, D).
        assignment: Y, one-hot, (N, C).
        weight: w, (N,), not negative; by default 1 each.
        normalize: Give the rows of V unit length first, as in the paper. False takes them as they are.

    Returns:
        The loss, a scalar, 0 where the embeddings of a class are one unit vector and those of classes orthogonal.
    """
    embedding, assignment = _checked(embedding, assignment, normalize)
    weight = embedding.new_ones(len(embedding)) if weight is None else weight.to(embedding.dtype)
    if weight.shape != embedding.shape[:1]:
        raise ValueError(f"weight must be ({len(embedding)},), got {tuple(weight.shape)}")
    v, y = embedding * weight[:, None], assignment * weight[:, None]
    distance = _squared_norm(v.T @ v) - 2 * _squared_norm(v.T @ y) + _squared_norm(y.T @ y)
    return distance / weight.square().sum().square()


@in_float32
def whitened_kmeans_loss(embedding: Tensor, assignment: Tensor, normalize: bool = True) -> Tensor:
    """Whitened k-means loss: what the labels leave unexplained of whitened embeddings.

    D + C - 2 tr((V^T V + I)^-1 V^T Y (Y^T Y + I)^-1 Y^T V), with unit rows of V. The identities keep the inverses
    defined where a batch spans fewer than D dimensions or lacks a class.

    Args:
        embedding: V, (N, D).
        assignment: Y, one-hot, (N, C).
        normalize: Give the rows of V unit length first, as in the formula. False takes them as they are.

    Returns:
        The loss, a scalar between |D - C| and D + C.
    """
    v, y = _checked(embedding, assignment, normalize)
    cross = v.T @ y  # (D, C)
    of_points = torch.linalg.solve(_plus_identity(v.T @ v), cross)  # (D, C)
    of_labels = torch.linalg.solve(_plus_identity(y.T @ y), cross.T)  # (C, D)
    return v.shape[1] + y.shape[1] - 2 * (of_points * of_labels.T).sum()  # tr(A B) = sum of A * B^T


def _checked(embedding: Tensor, assignment: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    if embedding.ndim != 2 or assignment.ndim != 2 or len(embedding) != len(assignment):
        shapes = f"{tuple(embedding.shape)} and {tuple(assignment.shape)}"
        raise ValueError(f"embedding must be (N, D) and assignment (N, C), got {shapes}")
    return F.normalize(embedding, dim=1) if normalize else embedding, assignment.to(embedding.dtype)


def _squared_norm(x: Tensor) -> Tensor:
    return x.square().sum()


def _plus_identity(x: Tensor) -> Tensor:
    return x + torch.eye(len(x), dtype=x.dtype, device=x.device)
