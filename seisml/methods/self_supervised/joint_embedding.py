"""What the self-supervised recipes on pairs of views share."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.autocast import weights_cast_once
from seisml.methods.base import Method
from seisml.networks.projector import Projector
from seisml.processes.collectives import gather, total
from seisml.values.ranges import Count, Period


class JointEmbedding(Method):
    """Two traces of an event, drawn at random, cropped to views and pulled together.

    Args:
        backbone_type: Class of the encoder, from :mod:`seisml.networks`, or a dotted path to one.
        in_channels: Traces that the encoder sees at once.
        out_size_enc: Features of the encoder; checked against the backbone.
        proj_hid: Hidden width of the projector.
        proj_out: Output width of the projector.
        projector_norm: Normalisation of the projector's output, ``iternorm`` or ``none``.
        backbone_params: Further arguments of the encoder.
        knn_acc_record_ep_period: See :class:`seisml.methods.base.Method`.
        collapse_record_step_period: See :class:`seisml.methods.base.Method`.
        **kwargs: See :class:`seisml.methods.base.Method`.
    """

    def __init__(
        self,
        backbone_type: str = "ResNet34Encoder",
        in_channels: int = 1,
        out_size_enc: int | None = None,
        proj_hid: Count = 4096,
        proj_out: Count = 4096,
        projector_norm: str = "none",
        backbone_params: dict[str, Any] | None = None,
        knn_acc_record_ep_period: Period = 1,
        collapse_record_step_period: Period = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            knn_acc_record_ep_period=knn_acc_record_ep_period,
            collapse_record_step_period=collapse_record_step_period,
            **kwargs,
        )
        self.encoder = self.new_encoder(backbone_type, in_channels, out_size_enc, backbone_params)
        self.projector: nn.Module = Projector(self.encoder.out_size, proj_hid, proj_out, norm=projector_norm)

    def pair_loss(self, z: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """Terms of the loss between the projections of two views, each (B, proj_out); ``loss`` is their sum."""
        raise NotImplementedError

    def losses(self, views: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """Terms of the loss from the augmented views, each (B, in_channels, F, W).

        The views pass one after the other, so that batch statistics see each by itself. Several processes compute the
        loss of their common batch; the features are those of this process.

        Returns:
            The terms, ``loss`` their sum, and the encoder's features of each view, (B, D).
        """
        features = tuple(self.encoder(view) for view in views[:2])
        return self.pair_loss(*(gather(self.projector(y)) for y in features)), features

    def embed(self, picture: Tensor) -> Tensor:
        """Encoder outputs of whole pictures: (N, in_channels, F, W) -> (N, D)."""
        return self.encoder(picture)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Crop views and compute the recipe's loss; its terms are handed on to who looks on."""
        pictures = self.views(batch)
        if len(pictures) != 2:
            raise UserError(
                f"{self.name} needs two views of each event but batches carry {len(pictures)}; set dataset.is_ssl=true"
            )
        crops = self.augmentations(pictures, self.random(batch))
        with weights_cast_once(self.device.type):
            terms, _ = self.losses(crops)
        size = total(len(batch["index"]))
        self.log("train/loss", terms["loss"], prog_bar=True, on_step=False, on_epoch=True, batch_size=size)
        parts = {f"train/{name}": value.detach() for name, value in terms.items() if name != "loss"}
        self.log_dict(parts, on_step=False, on_epoch=True, batch_size=size)
        return {"loss": terms["loss"], **parts}
