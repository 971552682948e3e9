"""A linear layer on an encoder: what training from scratch, fine-tuning and linear evaluation share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.losses.autocast import lift
from seisml.methods.base import Method
from seisml.methods.feature_table import FeatureTable, Part
from seisml.networks.build import fitted_arguments
from seisml.processes.collectives import this_process, total
from seisml.terminal.progress import follow
from seisml.values.ranges import Rate, Rates, Whole

FirstLayerRate = Annotated[float, Field(gt=0, le=1)]


MOST_FEATURES = 200_000  # rows of the table of a frozen encoder's features


class LinearHead(Method):
    """An encoder and a linear layer that gives the task's outputs; a recipe says what it learns them by.

    Trains on what the data module hands out: one drawn trace per event, or all its traces as an ensemble. The layer is
    called ``classifier`` whatever it gives, as in every checkpoint so far.

    Args:
        backbone_type: Class of the encoder, from :mod:`seisml.networks`, or a dotted path to one.
        in_channels: Traces that the encoder sees at once.
        out_size_enc: Features of the encoder; checked against the backbone.
        backbone_params: Further arguments of the encoder; its ``n_samples`` and ``piece_samples`` are the data's where
            they are not given.
        LR: One rate, or ``{"encoder": ..., "clf": ...}``. From scratch the encoder takes the classifier's rate.
        freeze_encoders: Linear evaluation: encoder in eval mode, without gradients.
        freeze_bn_stat_train: Encoder in eval mode while training (averaged BatchNorm statistics), with gradients.
        linear_first_steps: A pretrained encoder stays as it was loaded, statistics included, for so many steps, while
            the classifier learns: a fresh classifier's gradients would undo what was learned before (Kumar et al. 2022,
            arXiv 2202.10054). From scratch there is nothing to keep.
        first_layer_rate: Learning rate of a pretrained encoder's first layer, as a share of its last one's; those in
            between go evenly, on a logarithmic scale (Howard and Ruder 2018, arXiv 1801.06146).
        standardize_features: Scale each feature by its mean and standard deviation over the training events before the
            classifier, which stays linear; a random encoder's features are so small that they would not train it.
        **kwargs: See :class:`seisml.methods.base.Method`.
    """

    def __init__(
        self,
        backbone_type: str = "ResNet34Encoder",
        in_channels: int = 1,
        out_size_enc: int | None = None,
        backbone_params: dict[str, Any] | None = None,
        LR: Rate | Rates | None = None,
        freeze_encoders: bool = False,
        freeze_bn_stat_train: bool = False,
        linear_first_steps: Whole = 0,
        first_layer_rate: FirstLayerRate = 1.0,
        standardize_features: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(LR=LR if LR is not None else {"encoder": 5e-4, "clf": 1e-3}, **kwargs)
        arguments = fitted_arguments(backbone_type, backbone_params, self.facts.n_samples, self.facts.n_pieces)
        self.encoder = self.new_encoder(backbone_type, in_channels, out_size_enc, arguments)
        self.classifier = nn.Linear(self.encoder.out_size, self.task.n_outputs(self.facts))
        # a tiny eps: the features of a random encoder vary by a hundredth and less
        scaling = nn.BatchNorm1d(self.encoder.out_size, eps=1e-10, affine=False)
        self.scaling = scaling if standardize_features else nn.Identity()
        self.freeze_encoders, self.freeze_bn_stat_train = freeze_encoders, freeze_bn_stat_train
        self.linear_first_steps, self.first_layer_rate = linear_first_steps, first_layer_rate
        if freeze_encoders and (linear_first_steps or first_layer_rate != 1):
            raise UserError(
                "exp_params.freeze_encoders: a frozen encoder learns at no rate; leave out linear_first_steps and "
                "first_layer_rate, or set freeze_encoders to false"
            )
        self.linear_only = False  # the encoder stands still in this step
        self.encoder.requires_grad_(not freeze_encoders)
        self.pretrained = False  # set where an encoder is loaded
        self.most_features = MOST_FEATURES
        self._table: FeatureTable | None = None  # of a frozen encoder, while it trains
        self._table_is_used = False

    def training_state(self) -> dict[str, Tensor]:
        """The features of a frozen encoder: computed in other batches, they would differ in the last bit."""
        return {} if self._table is None else self._table.state()

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Take up the features of a frozen encoder."""
        if not state:
            return
        if not self.freeze_encoders:
            raise UserError("it has features of a frozen encoder, and that of this run learns")
        self._table = FeatureTable.restored(state, self.encoder.out_size, self.device)

    def embed(self, picture: Tensor) -> Tensor:
        """Encoder outputs: (N, in_channels, F, W) -> (N, D)."""
        with torch.no_grad() if self.freeze_encoders or self.linear_only else nullcontext():
            return self.encoder(picture)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let the encoder stand still in the first steps, where that is asked for, and then go along."""
        stands = self.trainer.global_step < self.linear_first_steps and self.pretrained
        if stands != self.linear_only:
            self.linear_only = stands
            self.train()
        if self.freeze_encoders and not self._table_is_used:
            if self._table is None:  # a resumed run has its own by now
                self._table = self._filled_table()
            self._leave_out_waveforms(self._table)
            self._table_is_used = True

    def on_fit_end(self) -> None:
        """Forget the features: what follows looks at everything once."""
        self._table, self._table_is_used = None, False

    def encode_units(self, chosen: Batch) -> Tensor:
        """Features of waveforms; those that a frozen encoder has seen come from its table."""
        encode = super().encode_units
        if self._table is None or (self.training and len(self.augmentations.steps)):
            return encode(chosen)
        return self._table.recall(
            _places(chosen), lambda new: encode({name: value[new] for name, value in chosen.items()})
        )

    def _filled_table(self) -> FeatureTable:
        """Features of all traces that epochs come back to; none where training does not even take one epoch.

        Each process looks at its share.
        """
        steps = self.trainer.estimated_stepping_batches * self.trainer.accumulate_grad_batches
        if steps < len(self.trainer.train_dataloader):
            return FeatureTable.filled((), 0)
        self.eval()
        table = FeatureTable.filled(self._looks(), self.most_features // this_process()[1])
        self.train()
        return table.of_all_processes()

    def _leave_out_waveforms(self, table: FeatureTable) -> None:
        """Let the loaders of this training read nothing, where the table has the features of all traces.

        It has fewer where it is full, and where traces are dead: only their waveforms tell.
        """
        data, augmented = self.trainer.datamodule, len(self.augmentations.steps) > 0
        wanted = data.lasting_places(augmented, most=len(table.places))
        if wanted is None or not table.holds(wanted.to(self.device)):
            return
        of_dev = self.trainer.val_dataloaders or []  # a loader, where there is a dev part
        loaders = [of_dev] if isinstance(of_dev, DataLoader) else []
        if data.training_lasts(augmented):
            loaders.append(self.trainer.train_dataloader)
        for loader in loaders:
            loader.sampler.waveforms = False

    def _looks(self) -> Iterator[Part]:
        """Places of the traces of batch after batch, and what encodes them."""
        precision = self.trainer.precision_plugin
        for loader in self.trainer.datamodule.lasting_loaders(augmented=len(self.augmentations.steps) > 0):
            for batch in follow(loader, "features of the frozen encoder", "batch", shown=self.trainer.is_global_zero):
                batch = precision.convert_input({name: value.to(self.device) for name, value in batch.items()})
                _, chosen = self.units(batch)
                yield _places(chosen), partial(self._look, chosen)

    @torch.no_grad()
    def _look(self, chosen: Batch) -> Tensor:
        """Features of units, encoded as in a step."""
        with self.trainer.precision_plugin.forward_context():
            return super().encode_units(chosen)

    def trace_outputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of the traces (B, K, n_outputs), the mask (B, K), and the events' mean features (B, D).

        The outputs are float32 or wider.
        """
        features, mask = self.encode_traces(batch)  # (B, K, D), (B, K)
        output = lift(self.classifier(self._scaled(features, mask)))
        return output, mask, masked_mean(features, mask)

    def _scaled(self, features: Tensor, mask: Tensor) -> Tensor:
        """Standardised features (B, K, D); padding stays zero."""
        scaling = self.scaling
        if isinstance(scaling, nn.Identity):
            return features
        if not self.training:  # statistics of each feature alone: padding can go through
            return torch.where(mask[..., None], scaling(lift(features.flatten(0, 1))).view_as(features), 0.0)
        valid = lift(features[mask])
        if total(len(valid)) == 1:  # one sample has no spread: use what the batches before it gave
            valid = nn.functional.batch_norm(valid, scaling.running_mean, scaling.running_var, eps=scaling.eps)
        else:
            valid = scaling(valid)
        out = torch.zeros_like(features, dtype=valid.dtype)
        out[mask] = valid
        return out

    def train(self, mode: bool = True) -> LinearHead:
        """Set the mode, the encoder staying in eval mode where its statistics are frozen."""
        super().train(mode)
        if self.freeze_bn_stat_train or self.freeze_encoders or self.linear_only:
            self.encoder.eval()
        return self

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Encoder and classifier with a rate each; a frozen encoder is left out."""
        groups = [{"params": self.classifier.parameters(), "lr": self._rate("clf")}]
        if not self.freeze_encoders:
            rate = self._rate("encoder" if self.pretrained else "clf")
            groups.extend(self.encoder_groups(rate))
        return groups

    def encoder_groups(self, rate: float) -> list[dict[str, Any]]:
        """The encoder's layers with a rate each; one rate for all from scratch."""
        return layer_groups(self.encoder, rate, self.first_layer_rate if self.pretrained else 1.0)

    def _rate(self, part: str) -> float:
        """Learning rate of a part."""
        if not isinstance(self.LR, Mapping):
            return self.LR
        if part not in self.LR:
            raise UserError(f"exp_params.LR: there is none for {part}; set exp_params.LR.{part}")
        return self.LR[part]


def _places(chosen: Batch) -> Tensor:
    """Record, first sample and trace of each unit, (N, 3)."""
    return torch.stack([chosen[name] for name in ("index", "start", "trace")], dim=1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the traces of each event: (B, K, D) and (B, K), false on padding, -> (B, D)."""
    return (values * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)


def layer_groups(encoder: nn.Module, rate: float, first_layer: float) -> list[dict[str, Any]]:
    """Parameters of an encoder with the learning rate of their layer.

    Args:
        encoder: Its layers are the modules that have parameters, in the order in which they are named.
        rate: Of the last layer.
        first_layer: That of the first layer, as a share of it; 1 gives one group.
    """
    if first_layer == 1:
        return [{"params": list(encoder.parameters()), "lr": rate}]
    layers = [found for module in encoder.modules() if (found := list(module.parameters(recurse=False)))]
    steps = max(1, len(layers) - 1)
    return [
        {"params": found, "lr": rate * first_layer ** ((steps - number) / steps)} for number, found in enumerate(layers)
    ]
