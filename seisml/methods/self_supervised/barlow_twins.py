"""Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230), with the loss of a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seisml.losses.barlow_twins import barlow_twins_loss
from seisml.methods.self_supervised.joint_embedding import JointEmbedding


class BarlowTwins(JointEmbedding):
    """Barlow Twins with two random crops.

    Args:
        lambda_: Weight of the redundancy reduction term.
        augmentations: By default two independent crops with amplitude jitter.
        **kwargs: See :class:`seisml.methods.self_supervised.joint_embedding.JointEmbedding`.
    """

    def __init__(
        self,
        lambda_: float = 5e-3,
        augmentations: Sequence[str | dict[str, Any]] = ("RandomCrop", "RandomAmplitudeJitter"),
        **kwargs: Any,
    ) -> None:
        super().__init__(augmentations=augmentations, **kwargs)
        self.lambda_ = lambda_

    def pair_loss(self, z: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """Barlow Twins' loss."""
        return {"loss": barlow_twins_loss(z, z2, self.lambda_)}
