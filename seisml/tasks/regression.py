"""Numbers: a time, a distance, a magnitude for each record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.evaluation import figures
from seisml.evaluation.names import REGRESSION
from seisml.evaluation.regression import bin_number, regression_metrics
from seisml.tasks.base import Labels, LabelSettings, Monitor, Predictions, Task
from seisml.tasks.facts import Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method
    from seisml.tasks.facts import DataFacts

UNITS = ("s", "ms", "km", "m", "deg", "hz", "db", "sample", "mpa", "pa")  # what a column's name may end in
MOST_STRATA, GROUPS_PER_STRATUM = 5, 10
COLLAPSED = 0.1  # of the true values' standard deviation: the best predictions that spread so little explain 1 %


@dataclass(frozen=True)
class Regression(Task):
    """Outputs are one standardised number, labels the number itself (float32), NaN where there is none."""

    gives: ClassVar[str] = "a number"
    monitor: ClassVar[Monitor | None] = Monitor("dev/loss", "min")
    headline: ClassVar[tuple[str, ...]] = ("test/mae", "test/constant_mae", "test/r2", "dev/mae", "train/mae")
    compared: ClassVar[tuple[str, ...]] = ("mae", "rmse")
    cure: ClassVar[str] = "learn it in bins (model_params=binned_regression)"  # for predictions that have collapsed
    reported: ClassVar[Mapping[str, str]] = REGRESSION

    # -- data ------------------------------------------------------------------------------------------------------
    def read(self, metadata: pd.DataFrame, settings: LabelSettings, place: str) -> Labels:
        """Read the column's numbers; empty cells are unlabelled."""
        column = settings.column
        if column not in metadata or column == "trace_category":
            numeric = [name for name in metadata if pd.api.types.is_float_dtype(metadata[name])]
            raise UserError(
                f"{place}/metadata.csv: name the column that holds the number to predict: dataset.label_column=... "
                f"(not {column!r}; columns of numbers: {', '.join(numeric) or 'none'})"
            )
        cells = metadata[column].astype(object).where(metadata[column].notna(), None)
        values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float32)
        bad = np.flatnonzero(~np.isfinite(values) & cells.notna().to_numpy() & (cells.astype(str).str.strip() != ""))
        if len(bad):
            raise UserError(f"{place}/metadata.csv, row {bad[0]}: {column} is {cells.iloc[bad[0]]!r}, not a number")
        known = np.isfinite(values)
        if len(np.unique(values[known])) < 2:
            raise UserError(
                f"{place}/metadata.csv: {column} has fewer than two values, which leaves nothing to predict; "
                "set dataset.label_column=... to another column"
            )
        return Labels(values, known)

    def strata(self, labels: Labels, groups: np.ndarray, unlabeled: str) -> np.ndarray:
        """Quantiles of the groups' medians, up to five of them: low values and high ones are in every part."""
        strata = np.full(len(labels.values), unlabeled, dtype=object)
        rows = np.flatnonzero(labels.known)
        median = pd.Series(labels.values[rows]).groupby(groups[rows].astype(str)).median()
        count = int(np.clip(len(median) // GROUPS_PER_STRATUM, 1, MOST_STRATA))
        number = median.rank(method="first").sub(1).mul(count).floordiv(len(median)).astype(int)
        strata[rows] = [f"quantile {k + 1} of {count}" for k in number[groups[rows].astype(str)]]
        return strata

    def facts(self, labels: Labels, train: np.ndarray, settings: LabelSettings) -> dict[str, Any]:
        """Name, unit and statistics of the training part."""
        values = labels.values[train].astype(np.float64)
        if len(np.unique(values)) < 2:
            raise UserError(
                f"dataset.label_column: all {len(values)} training records have one value of {settings.column}; "
                "raise dataset.train_data_ratio"
            )
        ending = settings.column.rsplit("_", 1)[-1].lower()
        unit = settings.unit if settings.unit is not None else ending * (ending in UNITS)
        statistics = (values.mean(), values.std(), np.median(values), values.min(), values.max())
        return {"classes": (), "quantity": Quantity(settings.column, unit, *map(float, statistics))}

    def describe(self, facts: DataFacts) -> str:
        """The quantity and its range."""
        of = quantity(facts)
        return f"{of.name} from {of.low:.4g} to {of.high:.4g} {of.unit}".rstrip()

    # -- training --------------------------------------------------------------------------------------------------
    def n_outputs(self, facts: DataFacts) -> int:
        """One."""
        return 1

    def loss_target(self, label: Tensor, facts: DataFacts) -> Tensor:
        """The number without the training part's mean, by its standard deviation."""
        return (label - quantity(facts).mean) / quantity(facts).std

    def predicted(self, output: Tensor, facts: DataFacts) -> Tensor:
        """The number in its unit, (N,)."""
        return output[:, 0] * quantity(facts).std + quantity(facts).mean

    def answers(self, output: Tensor, facts: DataFacts) -> dict[str, Tensor]:
        """All that outputs (N, n_outputs) can be read as, by what it is called in figures, (N,) each."""
        return {"prediction": self.predicted(output, facts)}

    def batch_metrics(self, output: Tensor, label: Tensor, facts: DataFacts) -> dict[str, Tensor]:
        """``mae``, in the label's unit."""
        return {"mae": (self.predicted(output, facts) - label).abs().mean()}

    # -- evaluation ------------------------------------------------------------------------------------------------
    def metrics(self, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Errors in the number's unit."""
        predicted = self.predicted(predictions.output, facts)
        return {**regression_metrics(predicted, predictions.label, predictions.event), "unit": quantity(facts).unit}

    def table(self, predictions: Predictions, facts: DataFacts) -> pd.DataFrame:
        """``true`` (empty where there is no label), ``predicted``, and their ``unit``."""
        answers = {"true": predictions.label, "predicted": self.predicted(predictions.output, facts)}
        columns = {name: values.float().numpy() for name, values in answers.items()}
        return pd.DataFrame({**columns, "unit": quantity(facts).unit})

    def constant_output(self, label: Tensor, facts: DataFacts) -> Tensor | None:
        """The median, the best constant by absolute error."""
        known = label[label.isfinite()]
        return self.loss_target(known.median(), facts)[None] if len(known) else None

    def remarks(self, scores: Mapping[str, Any], facts: DataFacts) -> list[str]:
        """Predictions that have collapsed to one number."""
        if scores["spread"] is None or scores["spread"] >= COLLAPSED:
            return []
        of = quantity(facts)
        return [
            f"the predictions have collapsed to one number: they spread {100 * scores['spread']:.2g} % as much as the "
            f"true values do (mean {of.mean:.4g}, median {of.median:.4g} {of.unit} in training); "
            f"{self.cure}, or try another exp_params.LR or more epochs"
        ]

    def figures(self, predictions: Predictions, method: Method, data: StoreDataModule) -> dict[str, Figure]:
        """Predicted against true values, and their differences; along the records where they are cut into windows."""
        of = quantity(data.facts)
        name = of.name.removesuffix(f"_{of.unit}")
        predicted = self.predicted(predictions.output, data.facts)
        made = {"residuals": figures.residuals(predicted, predictions.label, name, of.unit, of.median)}
        if data.window_length is not None:
            time = _time_along(predictions, data)
            answers = self.answers(predictions.output, data.facts)
            made["course"] = figures.course(time, predictions.label, answers, name, of.unit, of.median)
        return made


@dataclass(frozen=True)
class BinnedRegression(Regression):
    """Outputs are log-probabilities of equal bins of the training part's range; labels the number itself.

    Attributes:
        n_bins: Number of bins.
    """

    n_bins: int = 16

    gives: ClassVar[str] = "a number, in bins"
    cure: ClassVar[str] = "look at the data and their labels"

    def n_outputs(self, facts: DataFacts) -> int:
        """One for each bin."""
        return self.n_bins

    def loss_target(self, label: Tensor, facts: DataFacts) -> Tensor:
        """The bin's number."""
        return bin_number(label, quantity(facts).low, quantity(facts).high, self.n_bins)

    def centres(self, facts: DataFacts) -> Tensor:
        """Centres of the bins, (n_bins,)."""
        low, high = quantity(facts).low, quantity(facts).high
        return low + (torch.arange(self.n_bins) + 0.5) * (high - low) / self.n_bins

    def predicted(self, output: Tensor, facts: DataFacts) -> Tensor:
        """Centre of the most likely bin, (N,)."""
        return self.centres(facts).to(output.device)[output.argmax(-1)]

    def answers(self, output: Tensor, facts: DataFacts) -> dict[str, Tensor]:
        """The most likely bin's centre, and the mean over the bins."""
        expected = output.exp() @ self.centres(facts).to(output.device)
        return {"most likely bin": self.predicted(output, facts), "expectation over bins": expected}

    def metrics(self, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Errors of the most likely bin's centre, and (``expectation_mae``) of the mean over the bins."""
        expected = self.answers(predictions.output, facts)["expectation over bins"]
        scores = regression_metrics(expected, predictions.label, predictions.event)
        return {
            **super().metrics(predictions, facts),
            "expectation_mae": scores["mae"],
            "expectation_mae_interval": scores["mae_interval"],
        }

    def constant_output(self, label: Tensor, facts: DataFacts) -> Tensor | None:
        """All probability in the median's bin."""
        known = label[label.isfinite()]
        if not len(known):
            return None
        chosen = torch.nn.functional.one_hot(self.loss_target(known.median(), facts), self.n_bins).float()
        return chosen.clamp_min(torch.finfo(chosen.dtype).tiny).log()


def _time_along(predictions: Predictions, data: StoreDataModule) -> np.ndarray:
    """Ends of windows, (N,) in s, as if the records that were predicted followed each other."""
    row = predictions.row.numpy()
    rows = np.unique(row)
    length = data.ready_store.n_samples[rows]
    before = (np.cumsum(length) - length)[np.searchsorted(rows, row)]
    return (before + predictions.start.numpy() + data.facts.n_samples) / data.facts.sampling_rate


def quantity(facts: DataFacts) -> Quantity:
    """What is predicted.

    Raises:
        UserError: The facts are those of classes.
    """
    if facts.quantity is None:
        raise UserError("the data's labels are classes, and this method predicts a number; set dataset.label_column")
    return facts.quantity
