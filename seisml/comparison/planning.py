"""Which pieces of work a comparison is made of."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seisml.comparison.plan import (
    ATTRIBUTES,
    CONSTANT,
    ITSELF,
    PRETRAINED,
    RANDOM,
    SCRATCH,
    TABLES,
    Options,
    Part,
    Source,
    Trial,
    fraction_name,
    quoted,
)
from seisml.comparison.tables import Classifier
from seisml.comparison.tasks import (
    AttributeTable,
    Cell,
    EmbeddingTable,
    FrozenCell,
    Pretraining,
    TrainedCell,
)
from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.bundle import read_model
from seisml.run.checkpoints import read_record
from seisml.run.settings import changed, identity
from seisml.store.folder import made_from

PLACES = ("out", "encoder_folder", "figures", "logger")  # top-level settings that change no number
PRETRAIN = "configs/ssl.yaml"
EPOCH = 10  # steps that an epoch of unknown length is taken for, to tell how far one is


@dataclass(frozen=True)
class Encoder:
    """A pretrained encoder as one trial uses it.

    Attributes:
        name: What it is called in the tables.
        path: Its file; made by ``task`` where there is one.
        identity: What tells it from others.
        task: The pretraining that makes it.
        brings_front_end: Whether its front end comes with it, so that no trial changes it.
    """

    name: str
    path: Path
    identity: str
    task: Pretraining | None
    brings_front_end: bool = True


def encoder_of(source: Source, trial: Trial, options: Options, out: Path) -> Encoder:
    """The encoder of a source for a trial: a file, or a pretraining with the trial's seed.

    Pretraining on the probe's own store (``self``) leaves the trial's test events out. Of an experiment over several
    stores those of the command take part, but not that of the probe.

    Raises:
        UserError: A checkpoint or a pretraining that does not go with the probe.
    """
    if source.checkpoint is not None:
        digest = hashlib.sha256(source.checkpoint.read_bytes()).hexdigest()
        record = read_record(read_model(source.checkpoint), source.checkpoint)
        return Encoder(source.name, source.checkpoint, digest, None, "front_end" in record)
    on_itself = source.experiment is None or source.store == ITSELF
    root = trial.probe.store or trial.config["dataset"].get("root") if on_itself else source.store
    cfg = _pretraining(source.experiment_for(trial.probe), root, options.pretrain_overrides)
    values: dict[str, Any] = {"seed": trial.seed}
    if options.stores and "stores" in cfg.dataset:
        here = Path(trial.config["dataset"].get("root", "")).resolve()
        values["dataset.stores"] = [store for store in options.stores if Path(store).resolve() != here]
        if not values["dataset.stores"]:
            raise UserError(f"--stores: there is none but that of {trial.probe.name}, which is left out; add another")
    cfg = changed(cfg, values)
    settings = plain(cfg)
    leaves_out = on_itself or options.hold_out
    asked = {"config": settings, "split": trial.whole_hash if leaves_out else ""}
    if leaves_out:
        held_out = [*cfg.dataset.get("hold_out", []), str(trial.held_out)]
        cfg = changed(cfg, {"dataset.split_file": str(trial.whole)} if on_itself else {"dataset.hold_out": held_out})
    folder, config = out / PRETRAINED / source.name / short(asked), OmegaConf.to_container(cfg)
    stores = settings["dataset"].get("stores") or [settings["dataset"].get("root")]
    made = "_".join(made_from(store) for store in stores if store)
    task = Pretraining(folder, asked, _steps(settings), config, made)
    return Encoder(source.name, task.encoder, short(asked), task)


@functools.cache
def _pretraining(experiment: str, root: str | None, overrides: tuple[str, ...]) -> DictConfig:
    """Compose a pretraining experiment; once for all trials."""
    quiet = ("figures=false", "~logger", "trainer_params.enable_progress_bar=false")
    place = (f"dataset.root={quoted(root)}",) if root else ()
    return compose(PRETRAIN, (f"+experiment={experiment}", *place, *quiet, *overrides))


def plan_cells(
    trial: Trial, encoders: Sequence[Encoder], options: Options, out: Path
) -> tuple[list[EmbeddingTable], list[Cell]]:
    """The tables of embeddings and the cells of a trial."""
    tables: list[EmbeddingTable] = []
    cells: list[Cell] = []
    settings = plain(OmegaConf.create(trial.config))
    asked = {"probe": settings}
    place = out / TABLES / trial.probe.name
    described = {"probe": {"dataset": _of_the_data(settings["dataset"])}, "encoder": ATTRIBUTES}
    attributes = AttributeTable(place / f"attributes_{short(described)}", described, 0, trial, trial.whole, None)
    frozen: list[tuple[str, Classifier, EmbeddingTable, str]] = [
        (CONSTANT, "constant", attributes, CONSTANT),
        (ATTRIBUTES, "forest", attributes, f"{ATTRIBUTES} + forest"),
    ]
    random = {**asked, "encoder": RANDOM, "split": trial.whole_hash}
    none = EmbeddingTable(place / f"random_{short(random)}", random, 0, trial, trial.whole, None)
    embedded = {RANDOM: none}
    for encoder in encoders:
        of_all = {**asked, "probe": {"dataset": _of_the_data(settings["dataset"])}, "encoder": encoder.identity}
        from_it = of_all if encoder.brings_front_end else {**random, "encoder": encoder.identity}
        embedded[encoder.name] = EmbeddingTable(
            place / f"{encoder.name}_{short(from_it)}", from_it, 0, trial, trial.whole, encoder.path
        )
    for name, table in embedded.items():
        frozen.append((name, "linear", table, f"{name} + linear"))
        if options.knn:
            frozen.append((name, "knn", table, f"{name} + kNN"))
    tables = [attributes, *embedded.values()]
    for part in trial.parts:
        for name, by, table, row in frozen:
            made = {**asked, "split": part.split_hash, "row": row, "table": table.folder.name}
            cells.append(FrozenCell(_folder(trial, part, row), made, 0, trial, part, row, name, table.table, by))
        cells.append(_trained(trial, part, SCRATCH, SCRATCH, "", None, options, asked))
        for encoder in encoders:
            row = f"{encoder.name} + fine-tuned"
            cells.append(_trained(trial, part, row, encoder.name, encoder.identity, encoder.path, options, asked))
    return tables, cells


def _trained(
    trial: Trial,
    part: Part,
    row: str,
    name: str,
    identity: str,
    checkpoint: Path | None,
    options: Options,
    asked: dict[str, Any],
) -> TrainedCell:
    """A cell that trains; it chooses its settings, and from scratch its steps."""
    budgets = options.budgets if checkpoint is None else (1.0,)
    candidates = tuple(replace(way, times=times) for way in trial.candidates for times in budgets)
    trying = sum(way.times for way in candidates) * len(part.inner) if len(candidates) > 1 else 0
    made = {**asked, "split": part.split_hash, "row": row, "encoder": identity, "steps": options.steps}
    made["budgets"] = list(budgets)
    if any(way.settings for way in trial.candidates):
        made["choose"] = [way.settings for way in trial.candidates]
    steps = round(options.steps * (1 + trying))
    folder = _folder(trial, part, row)
    return TrainedCell(folder, made, steps, trial, part, row, name, options.steps, candidates, checkpoint)


def _folder(trial: Trial, part: Part, row: str) -> Path:
    """Folder of a cell; two shares that come to the same events are computed once."""
    same = next(other for other in trial.parts if other.split_hash == part.split_hash)
    return trial.folder / fraction_name(same.fraction) / row.replace(" + ", "_").replace(" ", "_")


def _of_the_data(dataset: dict[str, Any]) -> dict[str, Any]:
    """What of a data set's settings embeddings of all its records depend on: nothing that is drawn with a seed."""
    drawn = (
        "seed",
        "train_test_split_rand_seed",
        "train_data_ratio",
        "test_data_ratio",
        "dev_data_ratio",
        "dev_from",
        "batch_size",
    )
    return {key: value for key, value in dataset.items() if key not in drawn}


def plain(cfg: Any) -> dict[str, Any]:
    """A composed configuration as plain values, without what changes no number; folders are named by it."""
    values: Any = OmegaConf.to_container(cfg, resolve=True)
    return identity({key: value for key, value in values.items() if key not in PLACES})


def short(values: dict[str, Any]) -> str:
    """A name for plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _steps(settings: dict[str, Any]) -> int:
    """Steps of a pretraining, as far as they are known before its data are opened."""
    trainer = settings["trainer_params"]
    most = trainer.get("max_steps", -1)
    return most if most > 0 else EPOCH * max(1, trainer.get("max_epochs") or 1)
