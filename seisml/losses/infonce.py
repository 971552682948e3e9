"""InfoNCE of contrastive predictive coding (van den Oord, Li and Vinyals 2018, arXiv 1807.03748)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seisml.losses.autocast import in_float32


@in_float32
def infonce_loss(context: Tensor, piece: Tensor, foresight: bool = False) -> Tensor:
    """Find the next piece of a window among the window's pieces 2 to K, by dot products.

    Mean over windows and k = 1..K-1 of -log softmax_j(c_k . z_j) at j = k + 1, with j = 2..K: each of the other pieces
    is a negative, whether it lies before or after. A context that knows again the pieces before it, and foresees
    nothing, reaches log((K - 1)!) / (K - 1).

    With ``foresight`` the mean is over k = 1..K-2 and j = k+1..K: the pieces that are still to come.

    Args:
        context: What is known of a window after each of its pieces, c (B, K, D); the last is not used.
        piece: Embeddings of the pieces, z (B, K, D); the first is not used.
        foresight: Leave out the pieces that have been.

    Returns:
        Scalar; :func:`infonce_constant` where all pieces are alike.

    Raises:
        ValueError: Not two tensors (B, K, D) of one shape with K of 3 or more: of two, one is to be found among one.
    """
    score = infonce_scores(context, piece)
    if foresight:
        score = still_to_come(score)[:, :-1]  # the last is found among one
    n_windows, n_steps, _ = score.shape
    target = torch.arange(n_steps, device=score.device).expand(n_windows, -1)
    return F.cross_entropy(score.flatten(0, 1), target.flatten())


def infonce_constant(n_pieces: int, foresight: bool = False) -> float:
    """What :func:`infonce_loss` gives for K pieces that are all alike: log(K - 1), or log((K - 1)!) / (K - 2)."""
    return math.lgamma(n_pieces) / (n_pieces - 2) if foresight else math.log(n_pieces - 1)


def still_to_come(score: Tensor) -> Tensor:
    """Scores (B, K-1, K-1) of contexts with pieces, minus infinity for the pieces that have been."""
    return score.masked_fill(torch.ones_like(score, dtype=torch.bool).tril(-1), -torch.inf)


@in_float32
def infonce_scores(context: Tensor, piece: Tensor) -> Tensor:
    """Dot products of contexts 1 to K-1 with pieces 2 to K: (B, K, D) twice -> (B, K-1, K-1).

    The right ones stand on the diagonal.

    Raises:
        ValueError: As in :func:`infonce_loss`.
    """
    shape = context.shape
    if context.ndim != 3 or shape != piece.shape or shape[1] < 3 or 0 in shape:
        raise ValueError(
            f"infonce: needs contexts and pieces (B, K, D) of one shape with K >= 3, got context {tuple(shape)}, piece "
            f"{tuple(piece.shape)}"
        )
    return context[:, :-1] @ piece[:, 1:].mT
