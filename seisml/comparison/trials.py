"""The paired splits of a comparison: the same test and training events for every row of one trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from seisml.comparison.plan import NO_DEV, Candidate, Options, Part, Probe, Trial, fraction_name
from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.data.folds import fold_splits, thinned
from seisml.data.grouping import DEV, GroupDraw
from seisml.data.hold_out import write_held_out
from seisml.data.splits import Split
from seisml.errors import UserError
from seisml.run.folds import open_all
from seisml.run.settings import changed
from seisml.store.folder import made_from
from seisml.store.identity import event_ids

QUIET = ("figures=false", "~logger", "exp_params.model_save_ep_period=-1", "trainer_params.enable_progress_bar=false")
FINETUNE = "configs/finetune.yaml"
ENOUGH = 40  # training events of which one dev part of a fifth says something; of fewer, inner folds do
INNER_FOLDS = 3


def make_trials(probe: Probe, options: Options, out: Path) -> list[Trial]:
    """Draw the splits of a probe, write them down, and say what every cell of theirs is made from.

    Raises:
        UserError: The probe's data cannot be opened or split.
    """
    words = (*probe.overrides, *QUIET, *options.overrides)
    composed = compose(FINETUNE, words)
    test_ratio = float(OmegaConf.select(composed, "dataset.test_data_ratio", default=0.2))
    of_training = OmegaConf.select(composed, "dataset.dev_from") == "train"  # what each run sets aside by itself
    if not of_training and any(text.lstrip("+").startswith("dataset.dev_data_ratio=") for text in options.overrides):
        raise UserError(
            "--set dataset.dev_data_ratio: a dev part beside the labelled events would be labels that are not counted; "
            "add dataset.dev_from=train, which takes it from them"
        )
    labels = {"dataset.train_data_ratio": 1 - test_ratio, **({} if of_training else NO_DEV)}
    composed = changed(composed, labels)
    ways = [(" ".join(some), changed(compose(FINETUNE, (*words, *some)), labels)) for some in options.choose]
    trials = []
    for seed in range(options.seeds):
        cfg = changed(composed, {"seed": seed})
        data = open_all(changed(cfg, NO_DEV))
        if not data.facts.classes:
            raise UserError(f"--probe {probe.name}: its labels are not classes; compare data sets of classes")
        if len(data.facts.classes) < 2:
            raise UserError(f"--probe {probe.name}: all its labels are {data.facts.classes[0]}; two classes are needed")
        config = _values(cfg)
        candidates = tuple(Candidate(settings, _values(changed(way, {"seed": seed}))) for settings, way in ways)
        _check_alternatives(candidates, config, data)
        for fold, split in _splits(data, options.folds):
            name = f"seed{seed}" if fold is None else f"seed{seed}_fold{fold}"
            trials.append(_trial(probe, seed, fold, out / probe.name / name, config, candidates, data, split, options))
    return trials


def _check_alternatives(candidates: Sequence[Candidate], config: dict[str, Any], data: StoreDataModule) -> None:
    """Refuse alternatives that would be told apart by other tests.

    Raises:
        UserError: Names the alternative.
    """
    for way in candidates:
        if way.config["dataset"] == config["dataset"]:
            continue
        other = open_all(changed(OmegaConf.create(way.config), NO_DEV))
        if not _tests_the_same(data, other):
            raise UserError(
                f"--choose {way.settings}: it changes which records, windows or classes are tested; choose from "
                "settings of the training, and give those of the data by --set"
            )


def _tests_the_same(data: StoreDataModule, other: StoreDataModule) -> bool:
    if data.split.hash != other.split.hash or data.facts.classes != other.facts.classes:
        return False
    (frame, there) = (some.windows(some.split.test).to_frame() for some in (data, other))
    return frame.equals(there) and bool((data.labels[data.split.test] == other.labels[data.split.test]).all())


def _values(cfg: DictConfig) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(cfg)
    return values


def _splits(data: StoreDataModule, n_folds: int | None) -> list[tuple[int | None, Split]]:
    if n_folds is None:
        return [(None, data.split)]
    labelled = data.labelled(np.arange(len(data.ready_store)))
    return list(enumerate(fold_splits(data.group_draw(), labelled, n_folds, data.split_by)))


def _trial(
    probe: Probe,
    seed: int,
    fold: int | None,
    folder: Path,
    config: dict[str, Any],
    candidates: tuple[Candidate, ...],
    data: StoreDataModule,
    split: Split,
    options: Options,
) -> Trial:
    """Write the splits of a trial into its folder."""
    metadata, draw = data.ready_store.metadata, data.group_draw()
    events = event_ids(metadata)
    labelled_draw = GroupDraw(metadata, draw.labels, draw.seed, "record") if options.label_by == "record" else draw
    parts = []
    for fraction in options.fractions:
        less = thinned(split, labelled_draw, fraction)
        path = folder / "splits" / f"{fraction_name(fraction)}.csv"
        less.write(path, metadata)
        inner = []
        if options.has_choice:
            for number, within in enumerate(inner_splits(less, draw)):
                inner.append(path.with_name(f"{path.stem}_inner{number}.csv"))
                within.write(inner[-1], metadata)
        n_events = len(np.unique(events[less.train]))
        parts.append(Part(fraction, path, less.hash, n_events, len(less.train), tuple(inner)))
    whole = folder / "splits" / "whole.csv"
    split.write(whole, metadata)
    tested, n_trained = np.unique(events[split.test]), len(np.unique(events[split.train]))
    share, names = len(tested) / (len(tested) + n_trained), tuple(map(str, tested))
    held_out = write_held_out(folder / "splits" / "held_out.csv", data.ready_store, split.test)
    return Trial(
        probe, seed, fold, folder, config, candidates, whole, tuple(parts), split.hash, held_out, share, names,
        data.facts.sampling_rate, made_from(data.root),
    )  # fmt: skip


def inner_splits(split: Split, draw: GroupDraw) -> list[Split]:
    """Split the training events once more, to choose by: their test parts are dev parts made of training events.

    One dev part of a fifth where there are 40 events or more, inner folds of fewer; none where a class has one event
    alone, so that nothing can be chosen.
    """
    names, inverse = np.unique(draw.names[split.train].astype(str), return_inverse=True)
    per_class = Counter(label for label, _ in set(zip(draw.labels[split.train], inverse.tolist(), strict=True)))
    least = min(per_class.values())
    if least < 2:
        return []
    if len(names) >= ENOUGH:
        dev, train = draw.groups(split.train, 0.2, DEV)
        return [Split(train, split.dev, dev)]
    fold = draw.folds(split.train, min(INNER_FOLDS, least))
    found = [Split(split.train[fold != k], split.dev, split.train[fold == k]) for k in range(fold.max() + 1)]
    return [inner for inner in found if set(draw.labels[inner.train]) == set(draw.labels[split.train])]
