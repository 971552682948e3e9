"""SimCLR's normalised temperature-scaled cross-entropy (Chen et al. 2020, arXiv 2002.05709), by lightly."""

from __future__ import annotations

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
