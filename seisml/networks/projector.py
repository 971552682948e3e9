"""The projector between the encoder and a self-supervised loss."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from seisml.errors import UserError
from seisml.networks.iternorm import IterNorm


class Projector(nn.Module):
    """Linear-BN-ReLU, Linear-BN-ReLU, Linear, and IterNorm for VIbCReg (Lee and Aune 2021, arXiv 2109.00783).

    Args:
        in_size: The encoder's width E.
        hid: Width of the two hidden layers (``proj_hid``).
        out: Width of the projections D (``proj_out``).
        norm: ``"iternorm"`` whitens the projections (VIbCReg, VNIbCReg); ``"none"`` leaves them as they are.
        num_groups: Groups that IterNorm is asked for.

    Raises:
        UserError: An unknown norm or a width below 1.
    """

    def __init__(
        self,
        in_size: int,
        hid: int = 4096,
        out: int = 4096,
        norm: Literal["iternorm", "none"] = "iternorm",
        num_groups: int = 64,
    ):
        super().__init__()
        if norm not in ("iternorm", "none"):
            raise UserError(f"norm: {norm!r} is not a norm of the projector; choose iternorm or none")
        for name, width in (("in_size", in_size), ("proj_hid", hid), ("proj_out", out)):
            if width < 1:
                raise UserError(f"{name}: a width must be 1 or more, not {width}")
        self.in_size, self.out_size = in_size, out
        self.model = nn.Sequential(
            nn.Linear(in_size, hid), nn.BatchNorm1d(hid), nn.ReLU(inplace=True),
            nn.Linear(hid, hid), nn.BatchNorm1d(hid), nn.ReLU(inplace=True),
            nn.Linear(hid, out),
        )  # fmt: skip
        self.norm = IterNorm(out, num_groups=num_groups) if norm == "iternorm" else nn.Identity()

    def forward(self, y: Tensor) -> Tensor:
        """Projections (B, out) of encoder outputs y (B, in_size)."""
        return self.norm(self.model(y))
