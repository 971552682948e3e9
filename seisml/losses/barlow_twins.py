"""Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230), by lightly."""

from __future__ import annotations

from torch import Tensor

from seisml.losses.autocast import in_float32
from seisml.losses.checks import check_embeddings


@in_float32
def barlow_twins_loss(z: Tensor, z2: Tensor, lambda_: float = 5e-3) -> Tensor:
    """Push the cross-correlation C (D x D) of two views' features towards the identity.

    sum_i (1 - C_ii)^2 + lambda_ * sum_{i != j} C_ij^2, with features standardised over the batch.

    Args:
        z: Projections of one view (B, D).
        z2: Projections of the other view (B, D).
        lambda_: Weight of the redundancy-reduction term.

    Returns:
        Scalar.

    Raises:
        ValueError: z and z2 are not (B, D) tensors of one shape.
        UserError: A batch of one sample.
    """
    from lightly.loss import BarlowTwinsLoss  # here, so that other methods do not wait for lightly's import

    check_embeddings("barlow_twins_loss", z=z, z2=z2)
    return BarlowTwinsLoss(lambda_param=lambda_)(z, z2)
