"""SimCLR's normalised temperature-scaled cross-entropy (Chen et al. 2020, arXiv 2002.05709), by lightly."""

from __future__ import annotations

import torch
from torch import Tensor

from seisml.losses.autocast import in_float32
from seisml.losses.checks import check_embeddings


@in_float32
def simclr_loss(z: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """Find each sample's other view among the 2B - 1 other embeddings of the batch, by cosine similarity.

    Args:
        z: Projections of one view (B, D).
        z2: Projections of the other view (B, D).
        temperature: Divides the cosine similarities; positive.

    Returns:
        Scalar; log(2B - 1) where all embeddings are alike.

    Raises:
        ValueError: z and z2 are not (B, D) tensors of one shape, or the temperature is not positive.
        UserError: A batch of one sample.
    """
    from lightly.loss import NTXentLoss  # here, so that other methods do not wait for lightly's import

    check_embeddings("simclr_loss", z=z, z2=z2)
    if temperature <= 0:
        raise ValueError(f"simclr_loss: temperature must be positive, got {temperature}; 0.1 to 0.5 is usual")
    return NTXentLoss(temperature=temperature, memory_bank_size=0)(z, z2)


@in_float32
def partner_accuracy(z: Tensor, z2: Tensor) -> Tensor:
    """Share of embeddings that are nearest, of all 2B - 1 others, to their sample's other view, by cosine similarity.

    Args:
        z: Projections of one view (B, D).
        z2: Projections of the other view (B, D).

    Returns:
        Scalar in [0, 1]; by chance 1 / (2B - 1).

    Raises:
        ValueError: z and z2 are not (B, D) tensors of one shape.
        UserError: A batch of one sample.
    """
    check_embeddings("partner_accuracy", z=z, z2=z2)
    both = torch.nn.functional.normalize(torch.cat([z, z2]).detach(), dim=1)
    similarity = (both @ both.T).fill_diagonal_(-2.0)
    partner = torch.arange(len(both), device=z.device).roll(len(z))
    return (similarity.argmax(1) == partner).to(both.dtype).mean()
