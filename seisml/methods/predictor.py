"""What the recipes that learn from labels share: steps, logged values, and the outputs that evaluation reads."""

from __future__ import annotations

from torch import Tensor

from seisml.data.sampling import Batch
from seisml.methods.base import Method
from seisml.processes.collectives import gather


class Predictor(Method):
    """A recipe that answers with its task's outputs and learns them from labels."""

    def answer(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Outputs (B, n_outputs) of the events, as the task reads them, and their features (B, D)."""
        raise NotImplementedError

    def loss_of(self, output: Tensor, label: Tensor) -> Tensor:
        """The loss of outputs (B, n_outputs) with labels (B,), without penalties on the weights."""
        raise NotImplementedError

    def _step(self, batch: Batch, part: str) -> Tensor:
        output, _ = self.answer(batch)
        label = batch["label"]
        if part == "train":  # several processes share a batch; of the dev part each sees everything
            output, label = gather(output), gather(label)
        loss = self.loss_of(output, label)
        watched = {"loss": loss, **self.task.batch_metrics(output, label, self.facts)}
        self.log_dict(
            {f"{part}/{name}": value for name, value in watched.items()},
            prog_bar=True, on_step=False, on_epoch=True, batch_size=len(label),
        )  # fmt: skip
        return loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and cheap metrics on the dev part."""
        self._step(batch, "dev")

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Everything that evaluation needs of a batch: output, embedding, label, index and start."""
        output, features = self.answer(batch)
        return {
            "output": output.float(),
            "embedding": features.float(),
            "label": batch["label"],
            "index": batch["index"],
            "start": batch["start"],
        }
