"""VICReg (Bardes, Ponce and LeCun 2022, arXiv 2105.04906), with the loss of a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seisml.losses.vicreg import vicreg_loss
from seisml.methods.self_supervised.joint_embedding import JointEmbedding


class VICReg(JointEmbedding):
    """VICReg with two random crops.

    Args:
        lambda_: Weight of the invariance term.
        mu: Weight of the variance term.
        nu: Weight of the covariance term.
        augmentations: By default two independent crops with amplitude jitter.
        **kwargs: See :class:`seisml.methods.self_supervised.joint_embedding.JointEmbedding`.
    """

    def __init__(
        self,
        lambda_: float = 25.0,
        mu: float = 25.0,
        nu: float = 1.0,
        augmentations: Sequence[str | dict[str, Any]] = ("RandomCrop", "RandomAmplitudeJitter"),
        **kwargs: Any,
    ) -> None:
        super().__init__(augmentations=augmentations, **kwargs)
        self.lambda_, self.mu, self.nu = lambda_, mu, nu

    def pair_loss(self, z: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """VICReg's loss."""
        return {"loss": vicreg_loss(z, z2, self.lambda_, self.mu, self.nu)}
