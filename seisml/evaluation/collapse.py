"""Collapse monitors: single numbers that tell when a self-supervised network stops telling its inputs apart.

A complete collapse (one output for every input) shows as a feature std of 0, a dimensional collapse (few directions
used) as a low effective rank, and redundant features as a high off-diagonal correlation.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def collapse_monitors(z: Tensor) -> dict[str, Tensor]:
    """Compute all monitors; the effective rank is that of the features centred over the batch.

    Args:
        z: (B, D) embeddings of different inputs, B >= 2.

    Returns:
        ``feature_std``, ``off_diagonal_correlation`` and ``effective_rank``, 0-dimensional float32 tensors.
    """
    z = _checked(z)
    return {
        "feature_std": feature_std(z),
        "off_diagonal_correlation": off_diagonal_correlation(z),
        "effective_rank": effective_rank(z - z.mean(dim=0)),
    }


@torch.no_grad()
def feature_std(z: Tensor) -> Tensor:
    """Return the mean over features of the standard deviation over the batch (with Bessel's correction).

    Args:
        z: (B, D) embeddings, B >= 2.

    Returns:
        0-dimensional tensor; 0 is a complete collapse, about 1 is what the variance term of VIbCReg asks for.
    """
    return _checked(z).std(dim=0).mean()


@torch.no_grad()
def off_diagonal_correlation(z: Tensor) -> Tensor:
    """Return the root mean square of the correlation coefficients between different features.

    Features that do not vary have no correlation and are left out. B independent samples of independent features give
    about ``1 / sqrt(B - 1)``, not 0. Where B < D it comes from the B x B Gram matrix, as the covariance term does.

    Args:
        z: (B, D) embeddings, B >= 2.

    Returns:
        0-dimensional tensor in [0, 1]; NaN where fewer than two features vary.
    """
    z = _checked(z)
    mean = z.mean(dim=0)
    centered = z - mean
    norm = centered.norm(dim=0)
    # subtracting the mean of a constant leaves rounding errors, which must not be blown up to unit length
    varies = norm > 1e-6 * mean.abs() * len(z) ** 0.5
    unit = torch.where(varies, centered / norm.clamp_min(torch.finfo(z.dtype).tiny), torch.zeros_like(z))  # (B, D)
    with torch.autocast(z.device.type, enabled=False):
        product = unit @ unit.T if z.shape[0] < z.shape[1] else unit.T @ unit
    n = varies.sum()
    off_diagonal = (product.square().sum() - n).clamp_min(0)  # the n diagonal entries are 1
    return torch.where(n > 1, (off_diagonal / (n * (n - 1)).clamp_min(1)).sqrt(), torch.nan)


@torch.no_grad()
def effective_rank(z: Tensor) -> Tensor:
    """Return the effective rank of a matrix, exp of the entropy of its normalised singular values.

    Roy and Vetterli (2007), "The effective rank: a measure of effective dimensionality", EUSIPCO. The matrix is taken
    as it stands: a large mean over the batch counts as one strong direction, so centre ``z`` to look past it.

    Args:
        z: (B, D) embeddings.

    Returns:
        0-dimensional tensor from 1 (one direction) to min(B, D) (all alike); 0 for a matrix of zeros; NaN where a
        value is not finite.
    """
    z = _checked(z, least=1)
    if not z.isfinite().all():  # the decomposition would raise, and a monitor must not end the run it watches
        return z.new_full((), torch.nan)
    singular = torch.linalg.svdvals(z)
    total = singular.sum()
    p = singular / total.clamp_min(torch.finfo(z.dtype).tiny)
    return torch.where(total > 0, torch.special.entr(p).sum().exp(), 0.0)


def _checked(z: Tensor, least: int = 2) -> Tensor:
    """Return (B, D) float32 embeddings (float64 stays)."""
    if z.ndim != 2 or z.shape[0] < least or z.shape[1] < 1:
        raise ValueError(f"embeddings {tuple(z.shape)} should be (B, D) with B >= {least}")
    return z if z.dtype == torch.float64 else z.float()
