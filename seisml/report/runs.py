"""A run's folder as plain values; what is missing or broken costs that part, and is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from seisml.errors import UserError, shown
from seisml.evaluation.training_log import TrainingCurves, training_curves
from seisml.report.reading import read_json, read_list, read_settings, read_table
from seisml.values.file_names import CONFIG_FILE, LOG_FILE, METRICS_FILE, PREDICTIONS_FILE, SPLIT_FILE

T = TypeVar("T")
OVERRIDES, HYDRA = Path(".hydra") / "overrides.yaml", Path(".hydra") / "hydra.yaml"
PROBABILITY = "probability_"
MOST_CLASSES = 200


@dataclass
class Run:
    """What a run has left.

    Attributes:
        name: That tells it from the others of the page.
        folder: Where it is.
        settings: Its configuration.
        metrics: Its results; empty where it has not finished.
        overrides: What was set on the command line.
        program: The program that was started, where Hydra has noted it.
        folds: Its runs, where it is a cross-validation.
        problems: What could not be read, a line each.
    """

    name: str
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    program: str | None = None
    folds: list[Run] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Do what may meet a broken file; None, and a line among the problems, where it does."""
        try:
            return read()
        except UserError as error:
            self.problems.append(str(error))
        except Exception as error:  # what nobody foresaw in a file costs that file, not the page
            self.problems.append(f"{shown(self.folder)}: {type(error).__name__}: {str(error)[:120]}")
        return None

    def number(self, name: str) -> float | None:
        """A metric; None where it is not a finite number."""
        return as_number(self.metrics.get(name))

    def numbers(self, name: str) -> list[float]:
        """A metric that is a list of numbers; empty where it is anything else."""
        values = self.metrics.get(name)
        found = [as_number(value) for value in values] if isinstance(values, list) else [None]
        return [] if None in found else [value for value in found if value is not None]

    def mapping(self, name: str) -> dict[str, Any]:
        """A metric that is a mapping; empty where it is anything else."""
        values = self.metrics.get(name)
        return {str(key): value for key, value in values.items()} if isinstance(values, Mapping) else {}

    def text(self, name: str) -> str | None:
        """A metric that is a text."""
        value = self.metrics.get(name)
        return value if isinstance(value, str) else None

    @property
    def classes(self) -> list[str]:
        """Class names of the test part; empty for runs without classes."""
        values = self.metrics.get("test/classes") or self.metrics.get("classes")
        return [str(value) for value in values[:MOST_CLASSES]] if isinstance(values, list) else []

    def confusion(self) -> np.ndarray | None:
        """Counts (K, K), a row per true class; None where there are none that fit the classes."""
        rows, size = self.metrics.get("test/confusion_matrix"), len(self.classes)
        if not isinstance(rows, list) or not size or len(rows) != size:
            return None
        if not all(isinstance(row, list) and len(row) == size for row in rows):
            return None
        values = [[as_number(value) for value in row] for row in rows]
        if any(value is None or not 0 <= value < 1e15 for row in values for value in row):
            return None
        return np.asarray(values, dtype=np.int64)

    def curves(self) -> TrainingCurves | None:
        """What was logged while it trained."""
        path = self.folder / LOG_FILE
        if not path.exists():
            return None
        return self.attempt(lambda: training_curves(read_table(path)))

    def split(self) -> pd.DataFrame | None:
        """Rows of its parts."""
        path = self.folder / SPLIT_FILE
        return self.attempt(lambda: read_table(path, ("part",))) if path.exists() else None

    def predictions(self) -> Predictions | None:
        """What it said of the test part, where that are classes and some of them are known."""
        path = self.folder / PREDICTIONS_FILE
        if not path.exists():
            return None
        return self.attempt(lambda: Predictions.of(read_table(path), path))


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of labelled records.

    Attributes:
        probability: (N, K).
        true: (N,) class numbers.
        classes: Names, (K,).
    """

    probability: np.ndarray
    true: np.ndarray
    classes: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame, path: Path) -> Predictions | None:
        """Read the columns of ``predictions.csv``; None where they are not probabilities of labelled records.

        Raises:
            UserError: A probability is none.
        """
        classes = [name.removeprefix(PROBABILITY) for name in table if name.startswith(PROBABILITY)]
        if not classes or "true" not in table or len(classes) > MOST_CLASSES or len(set(classes)) < len(classes):
            return None
        true = table["true"].map({name: number for number, name in enumerate(classes)})
        known = true.notna().to_numpy()
        values = table.loc[known, [PROBABILITY + name for name in classes]].apply(pd.to_numeric, errors="coerce")
        probability = values.to_numpy(np.float64)
        if not np.isfinite(probability).all() or (np.abs(probability - 0.5) > 0.51).any():
            raise UserError(f"{shown(path)}: holds probabilities that are none")
        return cls(probability, true[known].to_numpy(np.int64), classes) if known.any() else None


def read_run(folder: Path, name: str) -> Run:
    """Read a run's small files."""
    run = Run(name, folder)
    if (folder / CONFIG_FILE).exists():
        run.settings = run.attempt(lambda: read_settings(folder / CONFIG_FILE)) or {}
    if (folder / METRICS_FILE).exists():
        run.metrics = run.attempt(lambda: read_json(folder / METRICS_FILE)) or {}
    else:
        run.problems.append(f"{shown(folder)}: has no {METRICS_FILE}: the run has not finished")
    if (folder / OVERRIDES).exists():
        run.overrides = run.attempt(lambda: read_list(folder / OVERRIDES)) or []
    if (folder / HYDRA).exists():
        run.program = program_of(run.attempt(lambda: read_settings(folder / HYDRA)) or {})
    return run


def program_of(hydra: Mapping[str, Any]) -> str | None:
    """The program's name in Hydra's own settings."""
    value: Any = hydra
    for key in ("hydra", "job", "name"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def as_number(value: Any) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None
