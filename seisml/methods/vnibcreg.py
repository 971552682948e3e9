"""VNIbCReg: VIbCReg on neighbouring crops with temporal neighbourhood coding (Lee, Aune, Langet and Eidsvik 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seisml.losses.tnc import diag_loss, tnc_loss
from seisml.methods.vibcreg import VIbCReg
from seisml.networks.discriminator import TNCDiscriminator


class VNIbCReg(VIbCReg):
    """VIbCReg on (reference, neighbour) plus ``rho`` times TNC on (reference, neighbour, non-neighbour).

    Args:
        lambda_: Weight of the invariance term.
        mu: Weight of the variance term.
        nu: Weight of the covariance term.
        rho: Weight of the temporal neighbourhood term (Tonekaboni et al. 2021).
        use_diag_loss: Add the cosine terms between the three encoder outputs.
        w: Share of non-neighbours treated as neighbours (positive-unlabelled learning).
        augmentations: By default the neighbouring crop alone, as published.
        **kwargs: See :class:`seisml.methods.vibcreg.VIbCReg`.
    """

    def __init__(
        self,
        lambda_: float = 10.0,
        mu: float = 10.0,
        nu: float = 10.0,
        rho: float = 13.0,
        use_diag_loss: bool = True,
        w: float = 0.0,
        augmentations: Sequence[str | dict[str, Any]] = ("NeighboringCrop",),
        **kwargs: Any,
    ) -> None:
        super().__init__(lambda_, mu, nu, augmentations=augmentations, **kwargs)
        self.rho, self.use_diag_loss, self.w = rho, use_diag_loss, w
        self.discriminator = TNCDiscriminator(self.encoder.out_size)

    def losses(self, views: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """VIbCReg's terms, the TNC term and their weighted sum; the non-neighbour passes the encoder only."""
        reference, neighbor, non_neighbor = views
        terms, (y, y_l) = super().losses((reference, neighbor))
        y_k = self.encoder(non_neighbor)
        tnc = tnc_loss(self.discriminator(y, y_l), self.discriminator(y, y_k), self.w)
        if self.use_diag_loss:
            tnc = tnc + diag_loss(y, y_l, y_k)
        return {**terms, "tnc": tnc, "loss": terms["loss"] + self.rho * tnc}, (y, y_l, y_k)
