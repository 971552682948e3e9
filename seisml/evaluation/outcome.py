"""What a trained run says about its test part: predictions, metrics and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seisml.evaluation import figures
from seisml.evaluation.embedding import embed_rows
from seisml.evaluation.metrics import classification_metrics
from seisml.evaluation.probes import knn_votes

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method

GALLERY_SIZE = 12
MAP_SIZE = 1000  # points of the embedding map; t-SNE of more takes many seconds


@dataclass
class Outcome:
    """Predictions on the test part.

    Attributes:
        log_probability: (N, n_classes).
        label: (N,).
        row: Rows of the store, (N,).
        embedding: (N, D).
        classifier: What made the predictions.
    """

    log_probability: Tensor
    label: Tensor
    row: Tensor
    embedding: Tensor
    classifier: str = "the method's own"

    @property
    def predicted(self) -> Tensor:
        """Most likely class of each event, (N,)."""
        return self.log_probability.argmax(-1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Metrics with the prefix ``test/``."""
        values = classification_metrics(self.log_probability, self.label, classes)
        return {f"test/{name}": value for name, value in values.items()}


def classify(trainer: pl.Trainer, method: Method, data: StoreDataModule) -> Outcome | None:
    """Predict the test part: with the classifier, or with a 5-nearest-neighbour vote on an encoder's embeddings.

    Args:
        trainer: The trainer that fitted the method.
        method: The fitted method.
        data: Its data module.

    Returns:
        The predictions; ``None`` where the test part is empty (a store without labels).
    """
    if not len(data.split.test):
        return None
    if hasattr(method, "predict_log_probability"):
        batches = trainer.predict(method, data.test_dataloader())
        joined = {name: torch.cat([batch[name].cpu() for batch in batches]) for name in batches[0]}
        return Outcome(joined["log_probability"], joined["label"], joined["index"], joined["embedding"])
    train_x, train_y = embed_rows(method, data, data.labelled(data.split.train))
    test_x, test_y = embed_rows(method, data, data.split.test)
    votes = knn_votes(train_x, train_y, test_x, len(data.facts.classes))
    share = (votes.float() + 1e-3) / (votes + 1e-3).sum(-1, keepdim=True)
    rows = torch.from_numpy(np.asarray(data.split.test))
    return Outcome(share.log(), test_y, rows, test_x, "5 nearest neighbours of one trace's embedding")


def draw(
    folder: Path, outcome: Outcome | None, history: pd.DataFrame, method: Method, data: StoreDataModule
) -> dict[str, Path]:
    """Draw the run's figures.

    Args:
        folder: Where they go; made where missing.
        outcome: Predictions on the test part.
        history: Logged values, one row per epoch.
        method: The fitted method, for the pictures of the gallery.
        data: Its data module.

    Returns:
        The file of each figure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    if len(history):
        made["loss_curves"] = figures.loss_curves(history)
    if outcome is not None:
        classes = data.facts.classes
        matrix = classification_metrics(outcome.log_probability, outcome.label, classes)["confusion_matrix"]
        made["confusion_matrix"] = figures.confusion_matrix(matrix, classes)
        title = f"Embeddings of the {len(outcome.label)} test events"
        made["embedding_map"] = figures.embedding_map(
            outcome.embedding.numpy(), outcome.label.numpy(), classes, title, MAP_SIZE
        )
        made["gallery"] = _gallery(outcome, method, data)
    paths = {}
    for name, figure in made.items():
        paths[name] = folder / f"{name}.png"
        figures.save(figure, paths[name])
    return paths


def _gallery(outcome: Outcome, method: Method, data: StoreDataModule) -> Any:
    """Test events of all classes, wrongly predicted ones among them, one trace of each."""
    label, predicted = outcome.label.numpy(), outcome.predicted.numpy()
    chosen = np.asarray(figures.gallery_rows(label, predicted, min(GALLERY_SIZE, data.batch_size)))
    batch = next(iter(data.evaluation_loader(outcome.row.numpy()[chosen], single=True)))
    waveform = batch["waveform"][:, :1].to(method.device)
    with torch.no_grad():
        picture = method.front_end(waveform)[:, 0].float().cpu().numpy()
    frequencies = getattr(method.front_end, "frequencies", None)
    return figures.gallery(
        waveform[:, 0].cpu().numpy(),
        picture if picture.ndim == 3 else None,
        label[chosen],
        predicted[chosen],
        data.facts.classes,
        data.facts.sampling_rate,
        probability=outcome.log_probability.exp().amax(-1).numpy()[chosen],
        frequency_range=(frequencies[0], frequencies[-1]) if frequencies else None,
        title=f"{len(chosen)} of {len(label)} test events; {(label != predicted).sum()} of all are wrong",
    )
