"""VIbCReg: variance, invariance and better-covariance regularisation (Lee and Aune 2021, arXiv 2109.00783).

The terms are functions of projections z (B, D), and gather-then-call gives the loss of a batch spread over processes.
VICReg's variance term carries a factor 1/2 that this one does not, so the two share no function: see ``vicreg.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seisml.losses.autocast import in_float32
from seisml.losses.checks import check_embeddings

VARIANCE_EPS = 1e-4


@in_float32
def invariance(z: Tensor, z2: Tensor) -> Tensor:
    """Mean squared difference of two views over all B * D elements.

    Args:
        z: Projections of one view (B, D).
        z2: Projections of the other view (B, D).

    Returns:
        Scalar.
    """
    check_embeddings("invariance", z=z, z2=z2)
    return F.mse_loss(z, z2)


@in_float32
def variance(z: Tensor) -> Tensor:
    """Hinge on each feature's standard deviation: mean_d relu(1 - sqrt(var_d + 1e-4)), var with Bessel's correction.

    Args:
        z: Projections of one view (B, D).

    Returns:
        Scalar in [0, 1]; about 0.99 when the features have collapsed.
    """
    check_embeddings("variance", z=z)
    std = torch.sqrt(z.var(dim=0) + VARIANCE_EPS)  # (D,)
    return F.relu(1.0 - std).mean()


def covariance(z: Tensor) -> Tensor:
    """Mean over all D * D entries of the squared off-diagonal correlations between features.

    Features are centred over the batch and L2-normalised over the batch axis; K = Z^T Z (D x D). The cheaper of two
    forms with the same value and gradient is taken: the Gram form where B < D.

    Args:
        z: Projections of one view (B, D).

    Returns:
        Scalar; about 1 / (B - 1), not 0, for independent features, and where B <= D never below 1 / (B - 1) - 1 / D.
    """
    check_embeddings("covariance", z=z)
    return covariance_gram(z) if z.shape[0] < z.shape[1] else covariance_full(z)


@in_float32
def covariance_full(z: Tensor) -> Tensor:
    """:func:`covariance` through the D x D matrix Z^T Z: O(B D^2), best where B >= D."""
    check_embeddings("covariance_full", z=z)
    unit, _ = _unit_features(z)
    correlation = unit.T @ unit  # (D, D)
    # In place is safe (the product's gradient needs only its factors), and a zeroed diagonal, unlike a subtracted one,
    # keeps the digits of small off-diagonal entries.
    return correlation.fill_diagonal_(0.0).square().sum() / z.shape[1] ** 2


@in_float32
def covariance_gram(z: Tensor) -> Tensor:
    """:func:`covariance` through the B x B matrix Z Z^T: O(B^2 D), best where B < D.

    ||Z^T Z||_F = ||Z Z^T||_F, and the diagonal of Z^T Z holds 1 for each feature that varies and 0 for a constant one,
    so the off-diagonal sum of squares is ||Z Z^T||_F^2 minus the number of features that vary.
    """
    check_embeddings("covariance_gram", z=z)
    unit, varies = _unit_features(z)
    gram = unit @ unit.T  # (B, B)
    return (gram.square().sum() - varies.sum()) / z.shape[1] ** 2


def vibcreg_loss(
    z: Tensor, z2: Tensor, lambda_: float = 25.0, mu: float = 25.0, nu: float = 200.0
) -> dict[str, Tensor]:
    """Total VIbCReg loss of two views: lambda_ * invariance + mu * variance + nu * covariance.

    The variance and covariance terms are summed over the two views. The default weights are the paper's; VNIbCReg on
    the Åknes data uses 10 for all three.

    Args:
        z: Projections of one view (B, D).
        z2: Projections of the other view (B, D).
        lambda_: Weight of the invariance term.
        mu: Weight of the variance term.
        nu: Weight of the covariance term.

    Returns:
        Scalars ``loss`` and, unweighted, ``invariance``, ``variance`` and ``covariance``.

    Raises:
        ValueError: z and z2 are not (B, D) tensors of one shape.
        UserError: A batch of one sample.
    """
    check_embeddings("vibcreg_loss", z=z, z2=z2)
    terms = {
        "invariance": invariance(z, z2),
        "variance": variance(z) + variance(z2),
        "covariance": covariance(z) + covariance(z2),
    }
    loss = lambda_ * terms["invariance"] + mu * terms["variance"] + nu * terms["covariance"]
    return {"loss": loss, **terms}


def _unit_features(z: Tensor) -> tuple[Tensor, Tensor]:
    """Centre each feature over the batch and scale it to unit length; a constant feature becomes zeros.

    A feature counts as constant when its spread is rounding error of its mean. Dividing by such a norm would turn
    noise into a unit vector and multiply the gradient by millions.

    Returns:
        The features (B, D) and whether each varies, bool (D,).
    """
    mean = z.mean(dim=0)
    centred = z - mean
    energy = centred.square().sum(dim=0)  # (D,)
    rounding = 16 * torch.finfo(z.dtype).eps * mean.detach().abs()
    varies = energy > z.shape[0] * rounding.square()
    scale = torch.where(varies, energy, 1.0).rsqrt() * varies
    return centred * scale, varies
