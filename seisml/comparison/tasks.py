"""The pieces of work of a comparison: pretrainings, tables of embeddings, and cells; each with a folder of its own."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from seisml.comparison.plan import NO_DEV, Candidate, Part, Trial
from seisml.comparison.tables import Classifier, Table, classify, embed_traces
from seisml.errors import UserError, shown
from seisml.evaluation.paired import confusion_scores
from seisml.methods.fitted.attribute_forest import AttributeForest
from seisml.run.build import read_pretrained
from seisml.run.effective import effective
from seisml.run.folds import open_all
from seisml.run.results import RunResult
from seisml.run.settings import changed
from seisml.run.train import prepare_method, train
from seisml.transforms.waveform import WaveformFrontEnd


@dataclass(frozen=True)
class Task(ABC):
    """A piece of work.

    Attributes:
        folder: Where its files go, once it is done.
        asked: What it is made from, plain values: what is there already must have been made from the same.
        steps: Training steps that it takes.
    """

    folder: Path
    asked: dict[str, Any]
    steps: int

    @property
    def needs(self) -> Path | None:
        """A file of another task without which it cannot be done."""
        return None

    @property
    def data(self) -> str:
        """What tells the data that it reads from others in the same place; empty where it reads none."""
        return ""

    @property
    def weight(self) -> int:
        """Training steps that take about as long; to tell how far one is."""
        return max(1, self.steps)

    @abstractmethod
    def compute(self, folder: Path) -> dict[str, Any]:
        """Do it; files go into ``folder``, which takes its place afterwards. Returns plain values."""

    def check(self, result: dict[str, Any]) -> None:  # noqa: B027 - most have nothing to check
        """Look at a result that was read from a file.

        Raises:
            ValueError: It is not one of this task.
        """


@dataclass(frozen=True)
class Pretraining(Task):
    """Pretrain an encoder without labels.

    Attributes:
        config: The composed configuration of the run, as that of a trial.
        made: What tells its data from others; see :attr:`Task.data`.
    """

    config: dict[str, Any]
    made: str

    @property
    def data(self) -> str:
        """That of its stores."""
        return self.made

    @property
    def encoder(self) -> Path:
        """The encoder that it leaves."""
        return self.folder / "encoder.ckpt"

    def compute(self, folder: Path) -> dict[str, Any]:
        """Train; the last encoder stays."""
        result = train(one_run(self.config, {"encoder_folder": str(folder / "encoders")}), folder / "run")
        assert result.encoder is not None
        shutil.copyfile(result.encoder, folder / self.encoder.name)
        _remove_weights(folder / "run", folder / "encoders")
        return {"knn_acc": result.metrics.get("probe/knn_acc"), "seconds": result.metrics["seconds"]["total"]}


@dataclass(frozen=True)
class EmbeddingTable(Task):
    """Embed all traces of a probe by a frozen encoder.

    Attributes:
        trial: Of whose training part the front end takes its floor, and whose seed a random encoder has.
        split_file: That training part.
        encoder: The pretrained encoder; None for a random one.
    """

    trial: Trial
    split_file: Path
    encoder: Path | None

    @property
    def data(self) -> str:
        """The trial's."""
        return self.trial.data

    @property
    def needs(self) -> Path | None:
        """The encoder."""
        return self.encoder

    @property
    def weight(self) -> int:
        """A pass over all records, forward alone."""
        return 20

    @property
    def table(self) -> Path:
        """The table that it leaves."""
        return self.folder / "table.npz"

    def compute(self, folder: Path) -> dict[str, Any]:
        """Embed."""
        place = {"dataset.split_file": str(self.split_file), **NO_DEV}  # what is embedded trains nothing
        cfg = one_run(self.trial.config, {**place, **_load(self.encoder)})
        pl.seed_everything(cfg.seed, workers=True, verbose=False)  # the weights that training from scratch begins with
        pretrained = read_pretrained(cfg)
        cfg = effective(cfg, pretrained)
        data = open_all(cfg)
        return self._keep(embed_traces(prepare_method(cfg, data, pretrained), data), folder)

    def _keep(self, table: Table, folder: Path) -> dict[str, Any]:
        finite = np.isfinite(table.features).all(axis=1)
        if not finite.all():
            name = "the encoder" if self.encoder is None else shown(self.encoder)
            raise UserError(
                f"features of {int((~finite).sum())} of {len(finite)} traces are not finite; pretrain {name} again, "
                "with trainer_params.precision=32-true or a lower rate"
            )
        table.write(folder / self.table.name)
        return {"traces": len(table.features), "features": table.features.shape[1]}


@dataclass(frozen=True)
class AttributeTable(EmbeddingTable):
    """Seismic attributes of all traces of a probe; with the polarisation where all records are ZNE."""

    def compute(self, folder: Path) -> dict[str, Any]:
        """Describe."""
        data = open_all(one_run(self.trial.config, {"dataset.in_channels": None}))
        front_end = WaveformFrontEnd(normalize=None, sampling_rate=data.facts.sampling_rate)
        method = AttributeForest(facts=data.facts, front_end=front_end)
        return self._keep(embed_traces(method, data), folder)


@dataclass(frozen=True)
class Cell(Task):
    """One row of the table at one number of labels, in one trial: what gives a confusion matrix.

    Attributes:
        trial: The trial.
        part: The number of labels.
        row: What the row is called.
        encoder: What its encoder is called.
    """

    trial: Trial
    part: Part
    row: str
    encoder: str

    @property
    def data(self) -> str:
        """The trial's."""
        return self.trial.data

    def check(self, result: dict[str, Any]) -> None:
        """A confusion matrix is what counts."""
        counts = np.asarray(result["confusion_matrix"])
        if counts.ndim != 2 or len(set(counts.shape)) > 1 or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise ValueError("confusion_matrix")


@dataclass(frozen=True)
class FrozenCell(Cell):
    """A classifier on a table of embeddings.

    Attributes:
        table: The table.
        by: The classifier.
    """

    table: Path
    by: Classifier

    @property
    def needs(self) -> Path | None:
        """The table."""
        return self.table

    def compute(self, folder: Path) -> dict[str, Any]:
        """Fit and test."""
        split = pd.read_csv(self.part.split_file, usecols=["part", "row"])
        train_rows, test_rows = (split["row"][split["part"] == name].to_numpy() for name in ("train", "test"))
        counts = classify(Table.read(self.table), train_rows, test_rows, self.by, self.trial.seed)
        return {"confusion_matrix": counts.tolist()}


@dataclass(frozen=True)
class TrainedCell(Cell):
    """Training of encoder and classifier, from a pretrained encoder or from scratch.

    Settings and the number of steps are the best of several: by accuracy on dev parts made of training events, of
    equals those next to ``nominal``, and of these the first. The run that counts then trains on all training events.

    Attributes:
        nominal: Training steps.
        candidates: What is chosen from; one is taken as it is.
        checkpoint: The pretrained encoder; None from scratch.
    """

    nominal: int
    candidates: tuple[Candidate, ...]
    checkpoint: Path | None

    @property
    def needs(self) -> Path | None:
        """The encoder."""
        return self.checkpoint

    def compute(self, folder: Path) -> dict[str, Any]:
        """Choose where there is a choice, train, test."""
        choosing = len(self.candidates) > 1 and bool(self.part.inner)
        scores, failed = self._scores(folder) if choosing else ({}, {})
        able = [way for way in self.candidates if way.name not in failed]
        if not able:
            raise UserError(f"none of what is chosen from can be trained: {next(iter(failed.values()))}")
        chosen = max(able, key=lambda way: (scores.get(way.name, 0.0), -abs(np.log(way.times))))
        result = self._train(chosen, self.part.split_file, folder / "run")
        return {
            "confusion_matrix": result.metrics["test/confusion_matrix"],
            "learned": result.metrics["learned"],
            "steps": self._steps(chosen),
            "settings": chosen.settings,
            "dev_acc": scores,
            "failed": failed,
        }

    def _scores(self, folder: Path) -> tuple[dict[str, float], dict[str, str]]:
        """Accuracy of each candidate on the dev parts, all of them together; and why others cannot be trained."""
        scores, failed = {}, {}
        for place, candidate in enumerate(self.candidates):
            counts = 0
            try:
                for number, split in enumerate(self.part.inner):
                    result = self._train(candidate, split, folder / f"inner{number}_{place}")
                    counts += np.array(result.metrics["test/confusion_matrix"])
            except UserError as error:
                failed[candidate.name] = f"{candidate.name}: {error}"
                continue
            scores[candidate.name] = confusion_scores(counts)["acc"]
        return scores, failed

    def _steps(self, candidate: Candidate) -> int:
        return max(1, round(candidate.times * self.nominal))

    def _train(self, candidate: Candidate, split_file: Path, folder: Path) -> RunResult:
        length = {"trainer_params.max_steps": self._steps(candidate), "trainer_params.max_epochs": -1}
        values = {"dataset.split_file": str(split_file), **length, **_load(self.checkpoint)}
        result = train(one_run(candidate.config, values), folder)
        _remove_weights(folder)
        return result


def one_run(config: dict[str, Any], values: dict[str, Any]) -> DictConfig:
    """The configuration of one of several like runs."""
    return changed(OmegaConf.create(config), values)


def _load(encoder: Path | None) -> dict[str, str]:
    return {} if encoder is None else {"load_encoder.ckpt_fname": str(encoder)}


def _remove_weights(run: Path, *others: Path) -> None:
    """Remove the checkpoints of a run that has been tested: hundreds of them fill a disk."""
    for folder in (run / "checkpoints", *others):
        shutil.rmtree(folder, ignore_errors=True)
