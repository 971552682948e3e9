"""What is compared with what: the command's words as values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seisml.config.sources import config_dir
from seisml.errors import UserError, nearest
from seisml.files import safe_name
from seisml.run.named.names import encoder_path
from seisml.store.folder import recover_interrupted
from seisml.values.file_names import COMPARISON_FILE, RESULTS_FILE, SUMMARY_FILE

ONE_EVENT = "1event"
ITSELF = "self"
NO_DEV = {"dataset.dev_data_ratio": 0.0}  # settings of what is split or embedded whole
RANDOM, SCRATCH, ATTRIBUTES, CONSTANT = "random", "scratch", "attributes", "most common class"
ROWS = (RANDOM, SCRATCH, ATTRIBUTES, CONSTANT)  # what other rows are called by
PRETRAINED, TABLES = "pretrain", "tables"  # folders of a comparison beside those of its probes
TAKEN = (PRETRAINED, TABLES, COMPARISON_FILE, RESULTS_FILE, SUMMARY_FILE)


@dataclass(frozen=True)
class Options:
    """Options of the comparison; see ``seisml compare --help``.

    Attributes:
        seeds: Number of seeds; each gives splits, initial weights and pretrainings.
        fractions: Shares of the training events that are labelled; 0 is one event per class.
        label_by: What is labelled: whole events, or records of all training events.
        steps: Training steps of every row that trains an encoder.
        budgets: Multiples of ``steps`` among which training from scratch chooses.
        choose: Settings, as Hydra overrides, among which every row that trains an encoder chooses; the first where
            nothing can be chosen by. None is what ``overrides`` says alone.
        folds: Folds of each seed; None draws one test part.
        knn: Whether a vote of the nearest neighbours is a row, too.
        overrides: Hydra overrides of all runs that learn from labels.
        pretrain_overrides: Hydra overrides of pretraining.
        stores: Stores of pretraining experiments over several stores.
        hold_out: Whether pretraining experiments leave out what a trial tests on, each trial having one of its own.
        jobs: Processes.
        progress: Show how far it is.
    """

    seeds: int = 5
    fractions: tuple[float, ...] = (0.0, 0.05, 0.1, 1.0)
    label_by: Literal["event", "record"] = "event"
    steps: int = 300
    budgets: tuple[float, ...] = (0.5, 1.0, 2.0)
    choose: tuple[tuple[str, ...], ...] = ((),)
    folds: int | None = None
    knn: bool = False
    overrides: tuple[str, ...] = ()
    pretrain_overrides: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    hold_out: bool = False
    jobs: int = 1
    progress: bool = False

    @property
    def has_choice(self) -> bool:
        """Whether anything is chosen by dev parts made of training events."""
        return max(len(self.budgets), len(self.choose)) > 1


@dataclass(frozen=True)
class Probe:
    """A data set to test on.

    Attributes:
        name: What it is called in the tables.
        overrides: Hydra overrides that choose it.
        experiment: The experiment that it is; None for a store alone.
        store: Its store, where the command names one.
    """

    name: str
    overrides: tuple[str, ...]
    experiment: str | None
    store: str | None

    def __post_init__(self) -> None:
        """Refuse the name of something else in the folder of the comparison."""
        if self.name in TAKEN:
            raise UserError(f"--probe: {self.name} is another part of the comparison; give it a name: NAME:WHAT")

    @classmethod
    def of(cls, text: str) -> Probe:
        """Read ``[NAME:]EXPERIMENT``, ``[NAME:]EXPERIMENT=STORE`` or ``[NAME:]STORE``.

        A store alone is split by events, as the shares of labels go by them.

        Raises:
            UserError: It is none of them.
        """
        label, what = _labelled(text)
        name, _, store = what.partition("=")
        if name in experiments():
            root = (f"dataset.root={quoted(store)}",) if store else ()
            return cls(label or name, (f"+experiment={name}", *root), name, store or None)
        if Path(what).is_dir():
            chosen = ("dataset=store", "dataset.split_by=event", f"dataset.root={quoted(what)}")
            return cls(label or Path(what).resolve().name, chosen, None, what)
        raise UserError(f"--probe: {name} is neither an experiment nor a store; {nearest(name, experiments())}")


@dataclass(frozen=True)
class Source:
    """An encoder, or the pretraining that makes one.

    Attributes:
        name: What it is called in the tables.
        checkpoint: Its file, where there is one.
        experiment: The pretraining experiment, otherwise; None with ``self``: that of the probe.
        store: Store of the experiment, where the command names one; ``self`` is the probe's.
    """

    name: str
    checkpoint: Path | None = None
    experiment: str | None = None
    store: str | None = None

    def __post_init__(self) -> None:
        """Refuse the name of a row that is always there."""
        if self.name in ROWS:
            raise UserError(f"--pretrain: {self.name} is a row of every comparison; give another name: NAME:WHAT")

    @classmethod
    def of(cls, text: str) -> Source:
        """Read ``self``, ``[NAME:]CHECKPOINT`` (or an encoder's name) or ``[NAME:]EXPERIMENT[=STORE]``.

        Raises:
            UserError: It is none of them.
        """
        if text == ITSELF:
            return cls(ITSELF)
        label, what = _labelled(text)
        experiment, _, store = what.partition("=")
        if experiment in experiments():
            check_stores([store] if store and store != ITSELF else [], f"--pretrain {text}")
            return cls(label or experiment, None, experiment, store or None)
        checkpoint = encoder_path(what)
        if checkpoint.is_file():
            return cls(label or checkpoint.stem, checkpoint)
        hint = nearest(experiment, [*experiments(), ITSELF, "none"])
        raise UserError(f"--pretrain: {what} is neither a checkpoint nor an experiment; {hint}")

    def experiment_for(self, probe: Probe) -> str:
        """The pretraining experiment for a probe, of a source that is not a checkpoint.

        Raises:
            UserError: ``self`` for a probe that has none.
        """
        if self.experiment is not None:
            return self.experiment
        name = f"{probe.experiment}_pretrain"
        if name not in experiments():
            lacking = f"configs/experiment/{name}.yaml" if probe.experiment else f"experiment of the store {probe.name}"
            raise UserError(
                f"--pretrain self: there is no {lacking}; name another experiment: EXPERIMENT=self (record_pairs=self "
                "where a record is one window, pairs=self for whole records of several stations)"
            )
        return name


@dataclass(frozen=True)
class Part:
    """A number of labels in one trial.

    Attributes:
        fraction: Share of the training events that are labelled; 0 is one event per class.
        split_file: The split.
        split_hash: Its hash.
        events: Labelled training events.
        records: Labelled training records.
        inner: Splits within the training events, on which rows that train choose their settings and steps.
    """

    fraction: float
    split_file: Path
    split_hash: str
    events: int
    records: int
    inner: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One way to train, of those that a row chooses from.

    Attributes:
        settings: Hydra overrides that make it what it is; empty where there are no others.
        config: Its composed configuration, as that of a trial.
        times: Its number of steps, as a multiple of ``Options.steps``.
    """

    settings: str
    config: dict[str, Any]
    times: float = 1.0

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return f"{self.settings} {self.times:g}".strip()


@dataclass(frozen=True)
class Trial:
    """One seed (and fold) of a probe: what all rows are paired over.

    Attributes:
        probe: The data set.
        seed: Seed of splits, initial weights and pretraining.
        fold: Number of the fold; None without.
        folder: Where its splits and cells are.
        config: The composed configuration of its runs; plain values, interpolations as they stand.
        candidates: The ways to train, all with the same number of steps.
        whole: The split with all training events.
        parts: The numbers of labels.
        whole_hash: Its hash.
        held_out: What tests, by name and content; see :mod:`seisml.data.hold_out`.
        test_share: Share of the labelled events that test.
        test_events: Names of the events of the test part.
        sampling_rate: Of the data, in Hz.
        data: What tells the data from others in the same place; see :func:`seisml.store.folder.made_from`.
    """

    probe: Probe
    seed: int
    fold: int | None
    folder: Path
    config: dict[str, Any]
    candidates: tuple[Candidate, ...]
    whole: Path
    parts: tuple[Part, ...]
    whole_hash: str
    held_out: Path
    test_share: float
    test_events: tuple[str, ...]
    sampling_rate: float
    data: str

    @property
    def name(self) -> str:
        """What its folder is called."""
        return self.folder.name


def _labelled(text: str) -> tuple[str | None, str]:
    """Part a name from what it names: ``NAME:WHAT``; a path may hold a colon, too.

    Raises:
        UserError: A name that no folder could have.
    """
    label, colon, what = text.partition(":")
    if not colon or Path(text).exists() or not {"/", "="}.isdisjoint(label):
        return None, text
    if not label or label != safe_name(label):
        raise UserError(f"{text}: {label!r} names a folder; use letters, digits, _ and -")
    return label, what


def quoted(text: str) -> str:
    """A text as a value of Hydra's."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def check_stores(stores: Sequence[str], option: str) -> None:
    """Refuse a store that is not there.

    Raises:
        UserError: Names it, and the option that does.
    """
    for store in stores:
        if not recover_interrupted(Path(store)).is_dir():
            raise UserError(f"{option}: there is no store at {store}; make it with 'seisml prepare', or name another")


def experiments() -> list[str]:
    """Names of the experiments that there are."""
    return sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


def read_fraction(text: str) -> float:
    """Read a share of the training events: ``1event`` is 0, one event per class.

    Raises:
        UserError: It is not a share.
    """
    if text == ONE_EVENT:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise UserError(f"--fractions: {text} is not a share of the training events; give {ONE_EVENT}, or 0.05 to 1")
    return value


def fraction_name(fraction: float) -> str:
    """How tables and folders call a share: ``1event``, ``5%``."""
    return f"{100 * fraction:g}%" if fraction else ONE_EVENT
