"""SimCLR (Chen et al. 2020, arXiv 2002.05709), with the loss of a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seisml.losses.simclr import partner_accuracy, simclr_loss
from seisml.methods.self_supervised.joint_embedding import JointEmbedding


class SimCLR(JointEmbedding):
    """SimCLR with two random crops.

    Args:
        temperature: Temperature of the contrastive loss.
        proj_hid: Hidden width of the projector.
        proj_out: Output width of the projector; the published 128 by default.
        augmentations: By default two independent crops with amplitude jitter.
        **kwargs: See :class:`seisml.methods.self_supervised.joint_embedding.JointEmbedding`.
    """

    def __init__(
        self,
        temperature: float = 0.5,
        proj_hid: int = 512,
        proj_out: int = 128,
        augmentations: Sequence[str | dict[str, Any]] = ("RandomCrop", "RandomAmplitudeJitter"),
        **kwargs: Any,
    ) -> None:
        super().__init__(augmentations=augmentations, proj_hid=proj_hid, proj_out=proj_out, **kwargs)
        self.temperature = temperature

    def pair_loss(self, z: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """SimCLR's normalised-temperature cross-entropy, and how often the other view is found."""
        return {"loss": simclr_loss(z, z2, self.temperature), "partner_accuracy": partner_accuracy(z, z2)}

    def chance_levels(self, batch_size: int) -> dict[str, float]:
        """Of 2B - 1 others any may be the other view."""
        others = 2 * batch_size - 1
        return {"train/loss": math.log(others), "train/partner_accuracy": 1 / others}
