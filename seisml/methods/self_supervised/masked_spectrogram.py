"""Masked-spectrogram modelling: tell the hidden patches of a spectrogram from the others.

After masked autoencoders (He et al. 2022, arXiv 2111.06377), for encoders that give one vector of features: hidden
patches are covered and not left out, as in SimMIM (Xie et al. 2022, arXiv 2111.09886), and each is decoded from the
features of the whole picture and its place in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.masked_patches import masked_patch_loss
from seisml.methods.base import Method
from seisml.processes.collectives import gather, total
from seisml.transforms.patches import grid, hide, to_patches
from seisml.transforms.randomness import SampleRandom
from seisml.values.ranges import Count, Period

WAVES = 8  # cosines along each axis that tell a patch's place

HiddenShare = Annotated[float, Field(gt=0, lt=1)]


class PatchDecoder(nn.Module):
    """Patches from the features of a picture and the patches' places.

    Args:
        in_size: Features D.
        hid: Width of the two hidden layers.
        out_size: Values P of a patch.
    """

    def __init__(self, in_size: int, hid: int, out_size: int) -> None:
        super().__init__()
        self.of_features, self.of_place = nn.Linear(in_size, hid), nn.Linear(2 * WAVES, hid)
        self.rest = nn.Sequential(nn.GELU(), nn.Linear(hid, hid), nn.GELU(), nn.Linear(hid, out_size))

    def forward(self, features: Tensor, number: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode patches (N, H, P) with these numbers (N, H), row after row, in a grid of rows and columns."""
        axes = ((number // size[1], size[0]), (number % size[1], size[1]))
        wave = torch.arange(1, WAVES + 1, device=number.device) * math.pi
        place = [torch.cos(wave * ((at[..., None] + 0.5) / n)) for at, n in axes]  # (N, H, WAVES) each
        return self.rest(self.of_features(features)[:, None] + self.of_place(torch.cat(place, -1)))


class MaskedSpectrogram(Method):
    """Patches of each drawn trace's spectrogram are hidden, and decoded from the encoder's features.

    Args:
        backbone_type: Class of the encoder, from :mod:`seisml.networks`, or a dotted path to one.
        in_channels: Traces that the encoder sees at once; a patch is hidden in all of them.
        out_size_enc: Features of the encoder; checked against the backbone.
        patch_size: Frequencies and columns of a patch. Neighbouring columns share samples: it should be wider.
        hidden_share: Share of the patches that is hidden.
        decoder_hid: Width of the decoder's hidden layers.
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
        patch_size: Sequence[Count] = (16, 16),
        hidden_share: HiddenShare = 0.6,
        decoder_hid: Count = 256,
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
        if len(patch_size) != 2:
            raise UserError(f"patch_size: {list(patch_size)} is not a number of frequencies and one of columns")
        self.encoder = self.new_encoder(backbone_type, in_channels, out_size_enc, backbone_params)
        self.patch_size, self.hidden_share = (patch_size[0], patch_size[1]), hidden_share
        self.decoder = PatchDecoder(self.encoder.out_size, decoder_hid, in_channels * math.prod(patch_size))

    def embed(self, picture: Tensor) -> Tensor:
        """Encoder outputs of whole pictures: (N, in_channels, F, W) -> (N, D)."""
        return self.encoder(picture)

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """The mean of each hidden patch for all of it."""
        return {"train/loss": 1.0}

    def chance_levels(self, batch_size: int) -> dict[str, float]:
        """The mean of each hidden patch explains nothing of what lies in it."""
        return {"train/explained": 0.0}

    def hidden(self, picture: Tensor, random: SampleRandom) -> Tensor:
        """Draw the numbers of the patches of each picture that are hidden, (N, H); as many of each.

        Raises:
            UserError: The pictures have fewer than two patches.
        """
        rows, columns = grid(picture, self.patch_size) if picture.ndim == 4 else (0, 0)
        n = rows * columns
        if n < 2:
            raise UserError(
                f"model_params.patch_size: pictures of {' x '.join(map(str, picture.shape[2:]))} have {n} patches of "
                f"{self.patch_size[0]} x {self.patch_size[1]}; lower it, enlarge front_end.size, or take "
                "front_end=spectrogram"
            )
        count = min(n - 1, max(1, round(self.hidden_share * n)))
        return random.uniform("patches", n).argsort(1)[:, :count]

    def losses(self, picture: Tensor, random: SampleRandom) -> tuple[Tensor, Tensor]:
        """Loss of each picture (N, in_channels, F, W), and that of its hidden patches' means, (N,) each."""
        hidden = self.hidden(picture, random)
        patches = to_patches(picture, self.patch_size)
        target = patches.gather(1, hidden[..., None].expand(-1, -1, patches.shape[-1]))
        features = self.encoder(hide(picture, hidden, self.patch_size))
        prediction = self.decoder(features, hidden, grid(picture, self.patch_size))
        return masked_patch_loss(prediction, target), masked_patch_loss(torch.zeros_like(target), target)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Hide patches of every drawn view, by itself, and tell them."""
        random = self.random(batch)
        views = self.augmentations(self.views(batch), random)
        pairs = [self.losses(view, random.fork(f"masked#{k}")) for k, view in enumerate(views)]
        loss, constant = (gather(torch.stack(some, 1)).mean() for some in zip(*pairs, strict=True))
        size = total(len(batch["index"]))
        self.log("train/loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=size)
        explained = 1 - loss.detach() / constant.clamp_min(torch.finfo(constant.dtype).tiny)
        self.log("train/explained", explained, on_step=False, on_epoch=True, batch_size=size)
        return {"loss": loss, "train/explained": explained}
