"""Stack the traces of an event into one."""

from __future__ import annotations

import torch
from torch import Tensor


def stack_traces(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Stack the traces of each event with weights proportional to 1 / std, normalised to sum to 1.

    Source: Langet and Silverberg (2023), doi 10.5194/esurf-11-89-2023. A trace that is dead (constant), holds a
    non-finite sample or is masked gets weight 0.

    Args:
        x: Waveforms, (B, C, T).
        mask: True where a trace exists, (B, C). None: all of them do.

    Returns:
        (B, 1, T), in the dtype of ``x``; zeros where an event has no live trace.
    """
    std = x.std(dim=-1, correction=0)  # (B, C)
    constant = (x == x[..., :1]).all(dim=-1)  # rounding can leave a constant trace a std above 0
    live = torch.isfinite(std) & (std > 0) & ~constant
    if mask is not None:
        live = live & mask.to(torch.bool)
    weight = torch.where(live, std, 1.0).reciprocal() * live
    weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    x = torch.where(live[..., None], x, 0.0)  # 0 * NaN would be NaN
    return (weight[..., None] * x).sum(dim=1, keepdim=True)
