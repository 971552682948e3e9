"""Squared error of the hidden patches of masked autoencoders (He et al. 2022, arXiv 2111.06377)."""

from __future__ import annotations

from torch import Tensor

from seisml.losses.autocast import in_float32


@in_float32
def masked_patch_loss(prediction: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """Mean squared error of predicted patches, whose targets have mean 0 and variance 1 in each patch.

    So a patch counts as much as another however loud it is, and an answer of zeros, the patch's mean everywhere, has a
    loss of 1 but for patches that are flat: 0.

    Args:
        prediction: The hidden patches of each sample as the network answers them, (N, H, P).
        target: What was hidden, (N, H, P).
        eps: Added to the variances.

    Returns:
        The loss of each sample, (N,).

    Raises:
        ValueError: The shapes are not alike, or not (N, H, P).
    """
    if prediction.shape != target.shape or prediction.ndim != 3:
        shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise ValueError(f"masked_patch_loss: needs prediction and target (N, H, P), got {shapes}")
    centred = target - target.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return (prediction - scaled).square().mean((1, 2))
