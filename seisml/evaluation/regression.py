"""Test metrics of predicted numbers, as plain values that fit in a JSON file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.evaluation.bootstrap import event_bootstrap, event_numbers


def regression_metrics(predicted: Tensor, true: Tensor, event: np.ndarray) -> dict[str, Any]:
    """Compare predicted numbers with true ones.

    Args:
        predicted: (N,).
        true: (N,), in the same unit; NaN means unlabelled and is left out.
        event: (N,) names of the events; records of one event are not independent, so the interval resamples events.

    Returns:
        ``n``, ``n_events``, ``mae`` (mean absolute error), ``mae_interval`` (95 %), ``rmse``, ``bias`` (mean of
        predicted - true), ``r2`` (share of the variance explained) and ``spread`` (standard deviation of the
        predictions in units of that of the true values), both None where the true values are all equal. Errors in the
        values' unit.

    Raises:
        UserError: Nothing is labelled, or predictions are not finite.
        ValueError: The shapes do not fit each other.
    """
    if not predicted.shape == true.shape == event.shape or predicted.ndim != 1:
        raise ValueError(f"predicted {tuple(predicted.shape)}, true {tuple(true.shape)}, event {event.shape}: not (N,)")
    x, y = predicted.detach().double().cpu().numpy(), true.detach().double().cpu().numpy()
    known = ~np.isnan(y)
    x, y, event = x[known], y[known], event[known]
    if not len(y):
        raise UserError("nothing to score: no test sample has a label; give the test part of the split labelled events")
    if not np.isfinite(x).all():
        raise UserError(
            f"predictions are not finite for {int((~np.isfinite(x)).sum())} of {len(x)} samples: the training "
            "diverged; lower exp_params.LR"
        )
    error = x - y
    spread = float(((y - y.mean()) ** 2).sum())
    return {
        "n": len(y),
        "n_events": event_numbers(event)[1],
        "mae": float(np.abs(error).mean()),
        "mae_interval": list(event_bootstrap(np.abs(error), event)),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "r2": 1 - float((error**2).sum()) / spread if spread > 0 else None,
        "spread": float(x.std() / y.std()) if spread > 0 else None,
    }


def bin_number(values: Tensor, low: float, high: float, n_bins: int) -> Tensor:
    """Number of the equal bin of [low, high] that each value lies in; values outside go to the bins at the ends."""
    return ((values - low) / (high - low) * n_bins).floor().clamp(0, n_bins - 1).to(torch.int64)
