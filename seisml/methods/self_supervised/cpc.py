"""Contrastive predictive coding (van den Oord, Li and Vinyals 2018, arXiv 1807.03748) on pieces of long records."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.infonce import infonce_constant, infonce_loss, infonce_scores
from seisml.methods.base import Method
from seisml.networks.build import fitted_arguments
from seisml.networks.context import ContextEncoder
from seisml.processes.collectives import gather
from seisml.tasks.next_piece import NextPiece
from seisml.tasks.regression import BinnedRegression
from seisml.values.ranges import Weight


class CPC(Method):
    """After each piece of a window, pick the next one among the window's pieces 2 to K, by InfoNCE.

    The score is the dot product of the context and a piece's embedding, as published for LANL, or with ``linear_map``
    of a linear map of the context, as in the paper. Nothing is drawn: the negatives are the window's other pieces, as
    published. A context has met some of them, and to know those again is learnt first; with ``foresight`` the pieces
    that have been are not negatives.

    A head may learn numbers beside it, in bins: the label of each piece from the context after it.

    Args:
        backbone_type: Class of the network: ContextEncoder, or the dotted path of a subclass.
        in_channels: Traces that the network sees at once.
        out_size_enc: Size of the context; checked against the network.
        backbone_params: Further arguments of the network; ``piece_samples`` is the data's where it is not given.
        linear_map: Map the context linearly before it is compared; needed where the two sizes differ.
        foresight: Pick the next piece among those that are still to come.
        target_weight: Weight of the head's cross-entropy; 0 trains none.
        n_bins: Bins of the head.
        **kwargs: See :class:`seisml.methods.base.Method`.

    Raises:
        UserError: Fewer than three pieces, another kind of network, sizes that differ without ``linear_map``, a head
            without numbers to learn, or a probe of classes.
    """

    task: NextPiece = NextPiece()

    def __init__(
        self,
        backbone_type: str = "ContextEncoder",
        in_channels: int = 1,
        out_size_enc: int | None = None,
        backbone_params: dict[str, Any] | None = None,
        linear_map: bool = False,
        foresight: bool = False,
        target_weight: Weight = 0.0,
        n_bins: Annotated[int, Field(ge=2, le=10_000)] = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.facts.n_pieces < 3:
            raise UserError(
                f"dataset.n_pieces: CPC picks the next piece among others and needs 3 or more, not "
                f"{self.facts.n_pieces}; set dataset.n_pieces=10 and a dataset.window_length that holds them"
            )
        if self.knn_acc_record_ep_period > 0:
            raise UserError(
                "exp_params.knn_acc_record_ep_period: CPC reads no classes for a probe to tell apart; set -1"
            )
        arguments = fitted_arguments(backbone_type, backbone_params, self.facts.n_samples, self.facts.n_pieces)
        self.encoder = self.new_encoder(backbone_type, in_channels, out_size_enc, arguments)
        if not isinstance(self.encoder, ContextEncoder):
            raise UserError(
                f"model_params.backbone_type: CPC needs a context after each piece, which {backbone_type} does not "
                "give; take ContextEncoder"
            )
        context_size, piece_size = self.encoder.out_size, self.encoder.piece_size
        if context_size != piece_size and not linear_map:
            raise UserError(
                f"exp_params.linear_map: contexts have {context_size} features and pieces {piece_size}, so that they "
                "have no dot product; set it to true, or backbone_params.context_size to the last of its channels"
            )
        self.predictor = nn.Linear(context_size, piece_size, bias=False) if linear_map else nn.Identity()
        self.foresight = foresight
        self.target_weight, self.target = target_weight, BinnedRegression(n_bins)
        if target_weight > 0 and self.facts.quantity is None:
            raise UserError(
                "exp_params.target_weight: there are no numbers for the head to learn; name the column that holds "
                "them, dataset.label_column=..., or set it to 0"
            )
        head = [nn.Linear(context_size, context_size // 2), nn.ReLU(), nn.Linear(context_size // 2, n_bins)]
        self.target_head: nn.Module = nn.Sequential(*head) if target_weight > 0 else nn.Identity()

    def embed(self, picture: Tensor) -> Tensor:
        """Context after the last piece: (N, in_channels, T) -> (N, H)."""
        return self.encoder(picture)

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """InfoNCE where all pieces are alike."""
        return {"train/infonce": infonce_constant(self.facts.n_pieces, self.foresight)}

    # -- steps -----------------------------------------------------------------------------------------------------
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch; each drawn trace is a sequence."""
        waveforms = self.augmentations(self.views(batch), self.random(batch))
        label = batch["piece_label"].repeat(len(waveforms), 1)
        return self._step(torch.cat(waveforms), label, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy on the dev part, each trace a sequence."""
        _, chosen = self.units(batch)
        (view,) = self.views(chosen)
        self._step(view.full(), batch["piece_label"][chosen["event"]], "dev")

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """For each context of each trace: log-probabilities of the pieces, and the right one."""
        _, chosen = self.units(batch)
        (view,) = self.views(chosen)
        z, c = self.encoder.sequences(view.full())
        scores, right = _picks(self.predictor(c), z)
        n_contexts = self.facts.n_pieces - 1
        return {
            "output": scores.log_softmax(-1),
            "embedding": c[:, :-1].flatten(0, 1).float(),
            "label": right,
            "index": chosen["index"].repeat_interleave(n_contexts),
            "start": chosen["start"].repeat_interleave(n_contexts),
        }

    def _step(self, waveform: Tensor, label: Tensor, part: str) -> Tensor:
        """Losses of waveforms (N, in_channels, T) whose pieces have numbers (N, K), logged as those of a part."""
        z, c = self.encoder.sequences(waveform)
        if part == "train":  # several processes share a batch; of the dev part each sees everything
            z, c, label = gather(z), gather(c), gather(label)
        prediction = self.predictor(c)
        loss = infonce = infonce_loss(prediction, z, self.foresight)
        logged = {"infonce": infonce, **self.task.batch_metrics(*_picks(prediction, z), self.facts)}
        known = label.isfinite()
        if self.target_weight > 0 and known.any():
            output = self.target_head(c).float()[known].log_softmax(-1)
            target = F.nll_loss(output, self.target.loss_target(label[known], self.facts))
            loss = infonce + self.target_weight * target
            logged |= {"target_loss": target, **self.target.batch_metrics(output, label[known], self.facts)}
        self.log_dict(
            {f"{part}/{name}": value for name, value in {"loss": loss, **logged}.items()},
            prog_bar=True, on_step=False, on_epoch=True, batch_size=len(z),
        )  # fmt: skip
        return loss


def _picks(prediction: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of pieces 2 to K for each context, (B * (K - 1), K - 1), and the right one of each, (B * (K - 1),)."""
    scores = infonce_scores(prediction, z)  # the right ones on the diagonal
    n_contexts = scores.shape[1]
    return scores.flatten(0, 1), torch.arange(n_contexts, device=scores.device).repeat(len(scores))
