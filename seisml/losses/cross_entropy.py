"""Cross-entropy with class weights that may be zero."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from seisml.losses.autocast import in_float32


@in_float32
def weighted_cross_entropy(
    log_probability: Tensor, label: Tensor, class_weight: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Class-weighted cross-entropy, averaged with the weights of the samples' classes.

    Equal to ``torch.nn.functional.cross_entropy`` with ``weight``, but for samples whose class has weight 0: they
    add nothing (not even through label smoothing), and a batch of only such samples gives 0, not NaN.

    Args:
        log_probability: Log-softmax outputs, (B, K).
        label: Class numbers, (B,) int64.
        class_weight: Weight of each class, (K,).
        label_smoothing: Share of the target spread evenly over all classes.

    Returns:
        The loss, a scalar.
    """
    weight = class_weight[label]
    loss = F.cross_entropy(
        log_probability, label, weight=class_weight, label_smoothing=label_smoothing, reduction="none"
    )
    total = weight.sum()
    return (loss * (weight > 0)).sum() / total.where(total > 0, total.new_ones(()))
