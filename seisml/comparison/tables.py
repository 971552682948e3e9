"""Frozen encoders: one table of embeddings for each encoder and probe, and the classifiers that are fitted to it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError, shown
from seisml.evaluation.probes import knn_votes
from seisml.files import write_atomically
from seisml.methods.base import Method
from seisml.methods.fitted.attribute_forest import new_trees

Classifier = Literal["constant", "linear", "forest", "knn"]
LEAST = 1e-6  # probability of a class that a classifier has not met


@dataclass(frozen=True)
class Table:
    """Embeddings of all traces of the labelled records of a data set.

    Attributes:
        features: (M, D) float32, one row for each trace (group of ``in_channels`` traces).
        sample: Number of the window that each is a trace of, (M,), from 0 to N - 1.
        row: Rows of the store, of each window, (N,).
        label: Class numbers of the windows, (N,).
        class_weight: Weights of the classes, (K,).
    """

    features: np.ndarray
    sample: np.ndarray
    row: np.ndarray
    label: np.ndarray
    class_weight: np.ndarray

    def write(self, path: Path) -> Path:
        """Write it, whole or not at all."""
        arrays = {field.name: self.__dict__[field.name] for field in fields(self)}

        def save(part: Path) -> None:
            with open(part, "wb") as file:
                np.savez(file, **arrays)

        return write_atomically(path, save)

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read what :meth:`write` wrote.

        Raises:
            UserError: It is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UserError(f"{shown(path)} is damaged; remove its folder to compute it again") from error


@torch.no_grad()
def embed_traces(method: Method, data: StoreDataModule) -> Table:
    """Embed every trace of every labelled window once, in eval mode."""
    method.eval()
    features, sample, row, label = [], [], [], []
    count = 0
    for batch in data.evaluation_loader(data.labelled(np.arange(len(data.ready_store))), single=False):
        found, mask = method.encode_traces(batch)  # (B, K, D), (B, K)
        features.append(found[mask].float().numpy())
        sample.append(np.repeat(np.arange(len(mask)) + count, mask.sum(1).numpy()))
        row.append(batch["index"].numpy())
        label.append(batch["label"].numpy())
        count += len(mask)
    weight = np.asarray(data.facts.class_weights or np.ones(len(data.facts.classes)))
    return Table(*map(np.concatenate, (features, sample, row, label)), weight)


def classify(table: Table, train: np.ndarray, test: np.ndarray, by: Classifier, seed: int) -> np.ndarray:
    """Fit a classifier to the traces of training rows and test it on others.

    - ``constant``: always the class that most training windows have;
    - ``linear``: features standardised over the training traces, and scikit-learn's logistic regression (C = 1);
    - ``forest``: scikit-learn's random forest, as ``+experiment=attributes`` has it;
    - ``knn``: a vote of the 5 nearest neighbours on standardised features.

    The others weigh the classes like the loss of the networks; the answer of a window is the mean of the
    log-probabilities (the sum of the votes) over its traces, as the networks' ensemble is.

    Args:
        table: The embeddings.
        train: Rows of the store to fit to.
        test: Rows to test on.
        by: The classifier.
        seed: Seed of the forest.

    Returns:
        Confusion matrix (K, K): a row per true class.
    """
    x, y, weight = _training_traces(table, train)
    n_classes = len(table.class_weight)
    windows = np.flatnonzero(np.isin(table.row, test))
    if by == "constant":
        common = np.bincount(table.label[np.isin(table.row, train)], minlength=n_classes).argmax()
        return confusion(table.label[windows], np.full(len(windows), common), n_classes)
    asked = np.isin(table.sample, windows)
    if by == "knn":
        scaler = StandardScaler().fit(x)
        known, other = (torch.from_numpy(scaler.transform(some)) for some in (x, table.features[asked]))
        score = knn_votes(known, torch.from_numpy(y), other, n_classes).numpy().astype(float)
    else:
        if by == "linear":
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            model.fit(x, y, logisticregression__sample_weight=weight)
        else:
            model = new_trees("forest", seed=seed).fit(x, y, sample_weight=weight)
        score = np.full((int(asked.sum()), n_classes), np.log(LEAST))
        score[:, model.classes_] = np.log(np.maximum(model.predict_proba(table.features[asked]), LEAST))
    total = np.zeros((len(table.label), n_classes))
    np.add.at(total, table.sample[asked], score)
    count = np.maximum(np.bincount(table.sample, minlength=len(table.label)), 1)[:, None]
    return confusion(table.label[windows], (total / count)[windows].argmax(1), n_classes)


def _training_traces(table: Table, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, class numbers and weights of the traces of training rows; classes of weight 0 are left out."""
    y = table.label[table.sample]
    weight = table.class_weight[y]
    used = np.isin(table.row[table.sample], rows) & (weight > 0)
    return table.features[used], y[used], weight[used]


def confusion(label: np.ndarray, answer: np.ndarray, n_classes: int) -> np.ndarray:
    """Count answers by true class: (K, K) int64, a row per true class."""
    return np.bincount(label * n_classes + answer, minlength=n_classes**2).reshape(n_classes, n_classes)
