"""Temporal neighbourhood coding (Tonekaboni, Eytan and Goldenberg 2021, arXiv 2106.00750)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seisml.losses.autocast import in_float32
from seisml.losses.checks import check_embeddings


@in_float32
def tnc_loss(logit_neighbor: Tensor, logit_non_neighbor: Tensor, w: float = 0.0) -> Tensor:
    """Binary cross-entropy of a discriminator that tells neighbours from non-neighbours.

    Means over the batch of BCE(d(y, y_l), 1) + (1 - w) BCE(d(y, y_k), 0) + w BCE(d(y, y_k), 1), where a crop from
    outside the neighbourhood is a positive with probability w (positive-unlabelled learning, equation 2 of the paper).

    Args:
        logit_neighbor: Discriminator's logits d(y, y_l) for (reference, neighbour), (B,) or (B, 1).
        logit_non_neighbor: Logits d(y, y_k) for (reference, non-neighbour), of the same shape.
        w: Weight of the unlabelled crops as positives, in [0, 1]; VNIbCReg uses 0.

    Returns:
        Scalar; 2 log 2 where all logits are 0.

    Raises:
        ValueError: The shapes differ, or w is outside [0, 1].
    """
    if logit_neighbor.shape != logit_non_neighbor.shape or logit_neighbor.numel() == 0:
        raise ValueError(
            f"tnc_loss: needs two logits of one shape (B,) or (B, 1), got logit_neighbor "
            f"{tuple(logit_neighbor.shape)}, logit_non_neighbor {tuple(logit_non_neighbor.shape)}"
        )
    if not 0.0 <= w <= 1.0:
        raise ValueError(f"tnc_loss: w is a probability, got {w}; give a number from 0 to 1")
    bce = F.binary_cross_entropy_with_logits
    neighbor = bce(logit_neighbor, torch.ones_like(logit_neighbor))
    # Cross-entropy is linear in its target: (1 - w) BCE(d, 0) + w BCE(d, 1) = BCE(d, w).
    return neighbor + bce(logit_non_neighbor, torch.full_like(logit_non_neighbor, w))


@in_float32
def tnc_accuracy(logit_neighbor: Tensor, logit_non_neighbor: Tensor) -> Tensor:
    """Share of pairs that the discriminator tells rightly; by chance 0.5.

    Args:
        logit_neighbor: Logits of (reference, neighbour), (B,) or (B, 1).
        logit_non_neighbor: Logits of (reference, non-neighbour), of the same shape.

    Returns:
        Scalar in [0, 1].
    """
    right = torch.cat([logit_neighbor.flatten() > 0, logit_non_neighbor.flatten() <= 0])
    return right.to(logit_neighbor.dtype).mean()


@in_float32
def diag_loss(y: Tensor, y_l: Tensor, y_k: Tensor) -> Tensor:
    """Correlate the reference with its neighbour and decorrelate it from the non-neighbour (VNIbCReg).

    mean (1 - cos(y, y_l))^2 + mean cos(y, y_k)^2, each of the three centred over its features first.

    Args:
        y: Encoder outputs of the reference crops (B, E).
        y_l: Encoder outputs of the neighbouring crops (B, E).
        y_k: Encoder outputs of the non-neighbouring crops (B, E).

    Returns:
        Scalar in [0, 5]; 0.5 is the least where near and far crops look alike.

    Raises:
        ValueError: The three are not (B, E) tensors of one shape.
    """
    check_embeddings("diag_loss", min_batch=1, y=y, y_l=y_l, y_k=y_k)
    y, y_l, y_k = (v - v.mean(dim=1, keepdim=True) for v in (y, y_l, y_k))
    alike = F.cosine_similarity(y, y_l, dim=1)  # (B,)
    unlike = F.cosine_similarity(y, y_k, dim=1)
    return torch.mean((1.0 - alike) ** 2) + torch.mean(unlike**2)
