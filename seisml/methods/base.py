"""What every training recipe has: a front end, an encoder, and an optimiser with a cosine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from seisml.data.sampling import Batch
from seisml.errors import UserError
from seisml.methods.optimizers import OptimizerName, new_optimizer
from seisml.networks.build import build_encoder
from seisml.networks.encoder import Encoder
from seisml.tasks.base import Task
from seisml.tasks.facts import DataFacts
from seisml.tasks.unlabelled import Unlabelled
from seisml.transforms.pipeline import Augmentations
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import View
from seisml.values.ranges import Count, Decay, Period, Rate, Rates, Share, Weight


class Method(pl.LightningModule):
    """Base of the training recipes.

    Args:
        facts: What the data set tells about itself.
        front_end: Waveforms to pictures; part of the network, so that checkpoints take waveforms.
        augmentations: Names (or name: arguments) of the augmentations, in order; those of waveforms, then those of
            views.
        LR: Learning rate; a mapping of part to rate where a recipe has several.
        optimizer: ``adam``, whose weight decay is an L2 penalty, ``adamw``, which decays the weights by themselves
            (Loshchilov and Hutter 2019, arXiv 1711.05101), or ``sgd`` (momentum 0.9 by Nesterov).
        weight_decay: Weight decay of the optimiser.
        warm_up: Share of the steps over which the learning rates rise from zero, before the cosine.
        ema_decay: Share of an exponential moving average of the weights that each step keeps; the average is what is
            looked at, saved and tested. See :class:`seisml.run.weights.averaged.AveragedWeights`. None: the last
            step's weights.
        stop_patience: Stop after so many looks at the dev part (one an epoch) that were no better; -1 never stops.
        model_save_ep_period: Save the encoder every so many epochs; -1 saves none.
        gradient_clip_val: Clip the gradient's norm to this; 0 does not clip.
        knn_acc_record_ep_period: Score the encoder by its 5 nearest neighbours every so many epochs; -1 never.
        collapse_record_step_period: Log the collapse monitors of the encoder every so many steps; -1 never.
        max_pictures: Pictures that go through the encoder at once when all traces of a batch are looked at.
        seed: Seed of the augmentations.
        name: What the run is called.
        task: What a recipe's settings make of its class's task (a noise class, a number of bins); recipes give it.

    Attributes:
        task: What a label is to this recipe. The class's reads the data; an instance's may know more, of the same kind.
    """

    task: Task = Unlabelled()

    def __init__(
        self,
        facts: DataFacts,
        front_end: nn.Module,
        augmentations: Sequence[str | dict[str, Any]] = (),
        LR: Rate | Rates = 1e-3,
        optimizer: OptimizerName = "adam",
        weight_decay: Weight = 0.0,
        warm_up: Share = 0.0,
        ema_decay: Decay | None = None,
        stop_patience: Period = -1,
        model_save_ep_period: Period = 50,
        gradient_clip_val: Weight = 0.0,
        knn_acc_record_ep_period: Period = -1,
        collapse_record_step_period: Period = -1,
        max_pictures: Count = 512,
        seed: int = 0,
        name: str = "",
        task: Task | None = None,
    ) -> None:
        super().__init__()
        if task is not None:
            self.task = task
        self.facts = facts
        self.front_end = front_end
        self.augmentations = Augmentations(augmentations)
        self.LR, self.optimizer, self.weight_decay, self.warm_up = LR, optimizer, weight_decay, warm_up
        self.ema_decay, self.stop_patience = ema_decay, stop_patience
        self.model_save_ep_period, self.gradient_clip_val = model_save_ep_period, gradient_clip_val
        self.knn_acc_record_ep_period = knn_acc_record_ep_period
        self.collapse_record_step_period = collapse_record_step_period
        self.max_pictures, self.seed = max_pictures, seed
        self.name = name or type(self).__name__
        self.in_channels = 1
        self.encoder: nn.Module | None = None  # what is saved, probed and watched; a recipe puts its network here
        self._encoder_settings: dict[str, Any] = {}
        self.run_record: dict[str, Any] = {}  # plain values that travel in the checkpoint: configuration, facts, split

    # -- what a recipe defines -------------------------------------------------------------------------------------
    @property
    def class_head(self) -> nn.Module | None:
        """What makes scores of classes from features, in recipes that can take over another's."""
        return None

    def embed(self, picture: Tensor) -> Tensor:
        """Features of pictures: (N, in_channels, F, W) -> (N, D)."""
        raise NotImplementedError

    def encoder_settings(self) -> dict[str, Any]:
        """What it takes to build the encoder again (``backbone_type``...); nothing where it cannot be taken apart."""
        return self._encoder_settings

    def new_encoder(
        self, backbone_type: str, in_channels: int, out_size: int | None, backbone_params: Mapping[str, Any] | None
    ) -> Encoder:
        """Build the encoder that was chosen, and keep its settings; see :func:`seisml.networks.build.build_encoder`."""
        arguments = dict(backbone_params or {})
        encoder = build_encoder(backbone_type, in_channels, out_size, **arguments)
        encoder.to(memory_format=torch.channels_last)  # faster convolutions, in bfloat16 above all
        self.in_channels = in_channels
        self._encoder_settings = {
            "backbone_type": backbone_type,
            "backbone_params": arguments,
            "in_channels": in_channels,
        }
        return encoder

    def training_state(self) -> dict[str, Tensor]:
        """What training has gathered beside weights and buffers, so that a resumed run goes on with it."""
        return {}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`training_state` gave.

        Args:
            state: That, or what a file says is that; its tensors are whole.

        Raises:
            UserError: It is not that of this method.
        """

    @torch.no_grad()
    def fit_settings(self, samples: Callable[[], Iterable[Batch]]) -> dict[str, float]:
        """Settle by training data what settings leave to them (``auto``), before training.

        Args:
            samples: Gives batches as training will read them, the same each time it is called.

        Returns:
            What was found, by the setting's name; nothing where all settings are numbers, and no sample is read.
        """
        return self.augmentations.fit(lambda: ((self.views(batch), self.random(batch)) for batch in samples()))

    def constant_losses(self, label: Tensor) -> dict[str, float]:
        """What logged losses come to for an answer that ignores its input; no loss that is not known is named.

        Args:
            label: (N,) labels that an epoch of training meets.

        Returns:
            Name of the logged value (``train/loss``) and what the best constant answer would give.
        """
        return {}

    def chance_levels(self, batch_size: int) -> dict[str, float]:
        """What logged terms of the loss come to where the features tell nothing; only those that are known.

        Args:
            batch_size: Samples of a batch.

        Returns:
            Name of the logged value (``train/tnc_accuracy``) and its level.
        """
        return {}

    # -- shared steps ----------------------------------------------------------------------------------------------
    def random(self, batch: Batch) -> SampleRandom:
        """Randomness of each sample of a batch, from (seed, epoch, record, start) alone."""
        return SampleRandom(self.seed, batch["epoch"], batch["index"], batch.get("start", 0))

    def views(self, batch: Batch) -> tuple[View, ...]:
        """What the front end makes of the drawn traces, one view of ``in_channels`` channels for each draw.

        In training the waveforms are augmented before, each draw by itself.
        """
        waveform = batch["waveform"]  # (B, K * in_channels, T)
        if waveform.shape[1] % self.in_channels:
            raise UserError(
                f"batches carry {waveform.shape[1]} traces, which in_channels={self.in_channels} does not divide; "
                "set dataset.in_channels to the network's"
            )
        draws = waveform.split(self.in_channels, dim=1)
        if self.training:
            noise = batch["noise"].split(self.in_channels, dim=1) if "noise" in batch else None
            draws = self.augmentations.on_waveforms(draws, self.random(batch), noise)
        return tuple(self.front_end.picture(draw) for draw in draws)

    def units(self, batch: Batch) -> tuple[Tensor, Batch]:
        """Take a batch of whole events apart into what the network looks at: traces, or groups of ``in_channels``.

        Returns:
            The mask (B, K), false on padding, and a batch of the N units that are there: ``event`` (its place in the
            batch), ``epoch``, ``index``, ``start`` and ``trace`` (the first in the record), (N,), and ``waveform`` and
            ``noise`` (N, in_channels, T) where they are given.
        """
        one = batch["waveform"][..., 0] if "waveform" in batch else batch["trace"]  # (B, C)
        n_events, n_traces = one.shape
        n_units, ones = n_traces // self.in_channels, torch.ones_like(one, dtype=torch.bool)
        whole, used = "trace_mask" not in batch, n_units * self.in_channels
        mask = batch.get("trace_mask", ones)[:, :used].unflatten(1, (n_units, self.in_channels)).all(-1)  # (B, K)

        def there(x: Tensor) -> Tensor:
            """Those of (B, K, ...) that are there, (N, ...); padding costs nothing."""
            return x.flatten(0, 1) if whole else x[mask]  # a selection would have a size that no export knows

        start = batch.get("start", torch.zeros_like(batch["index"]))  # a record's first window where nothing is said
        event = torch.arange(n_events, device=mask.device)
        of_events = {"event": event, "epoch": batch["epoch"], "index": batch["index"], "start": start}
        chosen = {name: there(values[:, None].expand(-1, n_units)) for name, values in of_events.items()}
        number = torch.arange(n_units, device=mask.device).expand(n_events, -1)
        chosen["trace"] = there(batch["trace"][:, : used : self.in_channels] if "trace" in batch else number)
        for name in ("waveform", "noise"):
            if name in batch:  # (N, in_channels, T)
                chosen[name] = there(batch[name][:, :used].unflatten(1, (n_units, self.in_channels)))
        return mask, chosen

    def encode_traces(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features of every trace (or group of ``in_channels`` traces) of a batch, a bounded number at a time.

        Returns:
            Features (B, K, D), and the mask (B, K), false on padding.
        """
        mask, chosen = self.units(batch)
        features = self.encode_units(chosen)
        if "trace_mask" not in batch:
            return features.unflatten(0, mask.shape), mask
        out = features.new_zeros(*mask.shape, features.shape[-1])
        out[mask] = features
        return out, mask

    def encode_units(self, chosen: Batch) -> Tensor:
        """Features of waveforms, at most ``max_pictures`` at once, augmented in training.

        Args:
            chosen: ``waveform`` (N, in_channels, T), ``epoch``, ``index`` (row of the store), ``start`` (first sample)
                and ``trace`` (first trace in the record) of each, (N,); in training also ``noise``, where it is given.

        Returns:
            Features, (N, D).
        """
        features = []
        for block in self._blocks(chosen["waveform"]):
            part = {name: values[block] for name, values in chosen.items()}
            (view,) = self.views(part)
            if self.training:
                (picture,) = self.augmentations((view,), self.random(part))
            else:
                picture = view.full()
            features.append(self.embed(picture))
        return torch.cat(features)

    def _blocks(self, x: Tensor) -> list[slice]:
        """At most ``max_pictures`` of (N, ...) at a time; all of them in an export, which knows no number."""
        if torch.compiler.is_compiling():
            return [slice(None)]
        return [slice(start, start + self.max_pictures) for start in range(0, len(x), self.max_pictures)]

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Parameters and their learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": self.LR}]

    def build_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of the parameters that are trained."""
        return new_optimizer(self.optimizer, self.parameter_groups(), self.weight_decay, self.device)

    def configure_optimizers(self) -> dict[str, Any]:
        """The optimiser, its rates falling to zero along a cosine stepped every iteration over the run's real steps."""
        optimizer = self.build_optimizer()
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        rising = round(self.warm_up * steps)

        def share(step: int) -> float:
            return min(1.0, (step + 1) / (rising + 1)) * self.rate_share(min(1.0, step / steps))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate_share(self, progress: float) -> float:
        """Share of the learning rates that is left when so much of the run (0 to 1) is done: half a cosine."""
        return 0.5 * (1 + math.cos(math.pi * progress))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient where ``gradient_clip_val`` of the recipe asks for it, by default its norm.

        The trainer's ``gradient_clip_val`` is refused before it gets here: one setting for one thing.
        """
        if self.gradient_clip_val > 0:
            self.clip_gradients(optimizer, self.gradient_clip_val, gradient_clip_algorithm or "norm")

    def on_train_epoch_start(self) -> None:
        """Set the training mode: Lightning keeps whatever mode it finds and never calls ``train`` itself."""
        self.train()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the run's configuration, facts and split into the checkpoint, as plain values."""
        checkpoint["seisml"] = self.run_record
