"""VIbCReg: variance-invariance-better-covariance regularisation (Lee and Aune 2021, arXiv 2109.00783)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seisml.losses.vibcreg import vibcreg_loss
from seisml.methods.self_supervised.joint_embedding import JointEmbedding


class VIbCReg(JointEmbedding):
    """VIbCReg with two random crops.

    Args:
        lambda_: Weight of the invariance term.
        mu: Weight of the variance term.
        nu: Weight of the covariance term.
        augmentations: By default two independent crops with amplitude jitter.
        projector_norm: By default IterNorm, as published.
        **kwargs: See :class:`seisml.methods.self_supervised.joint_embedding.JointEmbedding`.
    """

    def __init__(
        self,
        lambda_: float = 25.0,
        mu: float = 25.0,
        nu: float = 200.0,
        augmentations: Sequence[str | dict[str, Any]] = ("RandomCrop", "RandomAmplitudeJitter"),
        projector_norm: str = "iternorm",
        **kwargs: Any,
    ) -> None:
        super().__init__(augmentations=augmentations, projector_norm=projector_norm, **kwargs)
        self.lambda_, self.mu, self.nu = lambda_, mu, nu

    def pair_loss(self, z: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """VIbCReg's invariance, variance and covariance terms."""
        return vibcreg_loss(z, z2, self.lambda_, self.mu, self.nu)
