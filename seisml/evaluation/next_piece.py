"""How well the next piece of a window is picked among its pieces, and what takes no foresight."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seisml.evaluation.regression import event_bootstrap


def next_piece_metrics(score: Tensor, label: Tensor, window: np.ndarray) -> dict[str, Any]:
    """Score picks among pieces 2 to K of a window.

    Of those pieces each context has met some. To know them again, and so to leave them out, takes memory alone, and
    lifts the accuracy above chance; ``foresight_acc`` is the accuracy among the pieces that are still to come.

    Args:
        score: Of pieces 2 to K for each context, (N, K - 1).
        label: The right piece, (N,) from 0: context k has met the first k of them.
        window: (N,) names of the windows that the contexts lie in; intervals resample windows.

    Returns:
        ``n`` windows, ``next_piece_acc`` and ``foresight_acc``, each with its ``_interval`` (95 %) and ``_chance``, and
        ``confusion_matrix``, (K - 1, K - 1) counts of right and picked pieces.
    """
    n = score.shape[1]
    hit = next_piece_hits(score, label).numpy().astype(float)
    foreseen, asked = (part.numpy() for part in foresight_hits(score, label))
    counts = torch.bincount(label * n + score.argmax(-1), minlength=n * n).view(n, n)
    return {
        "n": len(np.unique(window)),
        "next_piece_acc": float(hit.mean()),
        "next_piece_acc_interval": list(event_bootstrap(hit, window)),
        "next_piece_acc_chance": 1 / n,
        "foresight_acc": float(foreseen[asked].mean()),
        "foresight_acc_interval": list(event_bootstrap(foreseen[asked].astype(float), window[asked])),
        "foresight_acc_chance": foresight_chance(n + 1),
        "confusion_matrix": counts.tolist(),
    }


def next_piece_hits(score: Tensor, label: Tensor) -> Tensor:
    """Whether the right one of all pieces has the largest score: (N, K - 1) and (N,) -> (N,) bool."""
    return score.argmax(-1) == label


def foresight_hits(score: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the right one of the pieces still to come has the largest score.

    Args:
        score: (N, K - 1).
        label: (N,).

    Returns:
        (N,) bool, and where there is more than one piece to come, (N,) bool.
    """
    n = score.shape[1]
    met = torch.arange(n, device=score.device) < label[:, None]
    return score.masked_fill(met, -torch.inf).argmax(-1) == label, label < n - 1


def foresight_chance(n_pieces: int) -> float:
    """The foresight accuracy of a guess: (1/2 + ... + 1/(K - 1)) / (K - 2)."""
    return sum(1 / left for left in range(2, n_pieces)) / (n_pieces - 2)
