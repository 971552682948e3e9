"""VNIbCReg: VIbCReg on neighbouring crops with temporal neighbourhood coding (Lee, Aune, Langet and Eidsvik 2022)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.tnc import diag_loss, tnc_accuracy, tnc_loss
from seisml.methods.self_supervised.vibcreg import VIbCReg
from seisml.networks.discriminator import TNCDiscriminator
from seisml.processes.collectives import gather
from seisml.transforms.likeness import AUTO, Likeness
from seisml.values.ranges import Weight

PUBLISHED_RHO = 13.0


class VNIbCReg(VIbCReg):
    """VIbCReg on (reference, neighbour) plus ``rho`` times TNC on (reference, neighbour, non-neighbour).

    Args:
        lambda_: Weight of the invariance term.
        mu: Weight of the variance term.
        nu: Weight of the covariance term.
        rho: Weight of the temporal neighbourhood term (Tonekaboni et al. 2021). ``auto`` takes the published 13 times
            what the training data let it learn: how much more often than by chance a neighbouring crop resembles the
            reference more than a non-neighbouring one does (:func:`seisml.transforms.likeness.told_apart`), 0 to 1.
        use_diag_loss: Add the cosine terms between the three encoder outputs.
        w: Share of non-neighbours treated as neighbours (positive-unlabelled learning).
        augmentations: By default the neighbouring crop alone, as published.
        **kwargs: See :class:`seisml.methods.self_supervised.vibcreg.VIbCReg`.
    """

    def __init__(
        self,
        lambda_: float = 10.0,
        mu: float = 10.0,
        nu: float = 10.0,
        rho: Weight | Literal["auto"] = PUBLISHED_RHO,
        use_diag_loss: bool = True,
        w: float = 0.0,
        augmentations: Sequence[str | dict[str, Any]] = ("NeighboringCrop",),
        **kwargs: Any,
    ) -> None:
        super().__init__(lambda_, mu, nu, augmentations=augmentations, **kwargs)
        self.rho: float | None = None if rho == AUTO else float(rho)
        self.use_diag_loss, self.w = use_diag_loss, w
        self.discriminator = TNCDiscriminator(self.encoder.out_size)

    @torch.no_grad()
    def fit_settings(self, samples: Callable[[], Iterable[Batch]]) -> dict[str, float]:
        """Settle the width of crops, then ``rho``; see the class."""
        found = super().fit_settings(samples)
        if self.rho is None:
            likeness = Likeness("exp_params.rho")
            for batch in samples():
                likeness.add(*three_crops(self.augmentations(self.views(batch), self.random(batch))))
            told = likeness.told_apart()
            self.rho = PUBLISHED_RHO * told.excess
            found |= {"rho": self.rho, "rho.told_apart": told.share}
        return found

    def losses(self, views: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """VIbCReg's terms, the neighbour term, what it is made of, and the weighted sum.

        The non-neighbour passes the encoder only. The neighbour term ``tnc`` is the cross-entropy of the discriminator
        (its accuracy is told beside it) and, where asked for, the cosine terms.
        """
        if self.rho is None:
            raise UserError("exp_params.rho: auto has not been fitted to training data; give a number")
        reference, neighbor, non_neighbor = three_crops(views)
        terms, features = super().losses((reference, neighbor))
        features = (*features, self.encoder(non_neighbor))
        y, y_l, y_k = map(gather, features)
        logits = self.discriminator(y, y_l), self.discriminator(y, y_k)
        tnc = tnc_loss(*logits, self.w)
        terms |= {"tnc_cross_entropy": tnc, "tnc_accuracy": tnc_accuracy(*logits)}
        if self.use_diag_loss:
            terms["tnc_cosine"] = diag_loss(y, y_l, y_k)
            tnc = tnc + terms["tnc_cosine"]
        return {**terms, "tnc": tnc, "loss": terms["loss"] + self.rho * tnc}, features

    def chance_levels(self, batch_size: int) -> dict[str, float]:
        """What the neighbour term comes to where near and far crops look alike."""
        positive = (1 + self.w) / 2  # of all pairs
        entropy = -sum(share * math.log(share) for share in (positive, 1 - positive) if share > 0)
        return {"train/tnc_cross_entropy": 2 * entropy, "train/tnc_accuracy": 0.5, "train/tnc_cosine": 0.5}


def three_crops(views: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Take reference, neighbour and non-neighbour apart; refuse any other number."""
    if len(views) != 3:
        raise UserError(
            f"augmentations: VNIbCReg learns from three crops, and these make {len(views)} views; name "
            "NeighboringCrop, or take model_params=vibcreg"
        )
    return views[0], views[1], views[2]
