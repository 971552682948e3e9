"""VICReg (Bardes, Ponce and LeCun 2022, arXiv 2105.04906), by lightly."""

from __future__ import annotations

from torch import Tensor

from seisml.losses.autocast import in_float32
from seisml.losses.checks import check_embeddings


@in_float32
def vicreg_loss(z: Tensor, z2: Tensor, lambda_: float = 25.0, mu: float = 25.0, nu: float = 1.0) -> Tensor:
    """Loss of two views: lambda_ * invariance + mu * variance + nu * covariance.

    Unlike VIbCReg's, the variance term is averaged over the views (a factor 1/2), and the covariance is not normalised
    by the features' lengths and is divided by D, not D^2.

    Args:
        z: Projections of one view (B, D).
        z2: Projections of the other view (B, D).
        lambda_: Weight of the invariance term.
        mu: Weight of the variance term.
        nu: Weight of the covariance term.

    Returns:
        Scalar.

    Raises:
        ValueError: z and z2 are not (B, D) tensors of one shape.
        UserError: A batch of one sample.
    """
    from lightly.loss import VICRegLoss  # here, so that other methods do not wait for lightly's import

    check_embeddings("vicreg_loss", z=z, z2=z2)
    return VICRegLoss(lambda_param=lambda_, mu_param=mu, nu_param=nu)(z, z2)
