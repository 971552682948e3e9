"""Splits that are not drawn as shares of a data set.

The folds of a cross-validation, parts that a file names, and dev parts made of the events that train and of no others:
what is chosen by is labelled too, and counts. The usual dev part is a share of all labelled events that do not test;
with few to train on it would hold several times as many.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from seisml.data.grouping import DEV, GroupDraw
from seisml.data.splits import PARTS, Grouping, Split, apart, with_hash
from seisml.errors import UserError
from seisml.files import original
from seisml.store.identity import event_ids, text_column

DevFrom = Literal["rest", "train"]


def fold_splits(draw: GroupDraw, rows: np.ndarray, n_folds: int, by: Grouping) -> list[Split]:
    """Split labelled rows into folds: each tests on one fold and trains on the others.

    Events (records with ``by="record"``) stay together and are dealt out evenly by class. With ``by="station"`` both
    stations and events are dealt out: a fold tests on its events at its stations and trains on the other events at
    the other stations, so that neither an event nor a station lies on both sides; the rest goes unused in that fold.

    Args:
        draw: What draws; its seed is that of the folds.
        rows: Labelled rows, (N,).
        n_folds: Number of folds, at least 2.
        by: What stays together.

    Raises:
        UserError: The folds cannot be made, or one leaves a class nothing to train on.
    """
    if n_folds < 2:
        raise UserError(f"evaluation.folds: {n_folds} is not a number of folds; give 2 or more, or null for none")
    if by == "time":
        raise UserError("evaluation.folds: stretches of time have an order and make no folds; set dataset.split_by")
    events = draw.folds(rows, n_folds)
    stations = draw.folds(rows, n_folds, by_station=True) if by == "station" else events
    splits = []
    for fold in range(n_folds):
        train, test = rows[(events != fold) & (stations != fold)], rows[(events == fold) & (stations == fold)]
        missing = sorted(set(draw.labels[rows]) - set(draw.labels[train]))
        if missing or not len(test):
            fault = f"leaves class {missing[0]!r} nothing to train on" if missing else "has nothing to test on"
            raise UserError(f"evaluation.folds: fold {fold} {fault}; give fewer folds, or set dataset.split_by=event")
        splits.append(with_hash({"train": train, "dev": rows[:0], "test": test}, draw.metadata))
    return splits


def thinned(split: Split, draw: GroupDraw, fraction: float, dev_ratio: float = 0.0) -> Split:
    """Keep a share of the training events, at least one per class, after a dev part is taken; the test part stays.

    Args:
        split: A split whose dev part is empty.
        draw: What draws; shares of one seed are nested.
        fraction: Share of the training events, in [0, 1].
        dev_ratio: Share of them that is set aside as dev part before, in [0, 1).
    """
    dev, train = draw.groups(split.train, dev_ratio, DEV) if dev_ratio > 0 else (split.train[:0], split.train)
    return with_hash({"train": draw.thinned(train, fraction), "dev": dev, "test": split.test}, draw.metadata)


def read_split(path: str | Path, metadata: pd.DataFrame, is_ssl: bool, by: Grouping) -> Split:
    """Read the parts from a file as every run writes one (``split.csv``).

    Args:
        path: CSV with ``part`` (train, dev or test), ``row`` and ``trace_name``; other columns are not looked at.
        metadata: Of the store that it was written for.
        is_ssl: Whether rows that the file does not name train too, but for those that share an event (station, time)
            with dev or test ones.
        by: What stays together.

    Raises:
        UserError: The file cannot be read, or was written for another store.
    """
    place = f"dataset.split_file: {path}"
    try:
        table = pd.read_csv(path, usecols=["part", "row", "trace_name"], dtype={"part": str, "trace_name": str})
        rows = table["row"].to_numpy(np.int64)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{place} is not a table of part, row and trace_name ({error}); give a run's split.csv"
        ) from error
    wrong = ~table["part"].isin(PARTS).to_numpy() | (rows < 0) | (rows >= len(metadata))
    if not wrong.any():
        wrong = text_column(metadata, "trace_name")[rows] != table["trace_name"].map(original).to_numpy()
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 2
        raise UserError(f"{place}, line {line}: this store has no such record; give the split of this very store")
    parts = {part: np.unique(rows[(table["part"] == part).to_numpy()]) for part in PARTS}
    shared = np.concatenate(list(parts.values()))
    if len(np.unique(shared)) < len(shared):
        raise UserError(f"{place} names a record in two parts; give each record one")
    if is_ssl:
        free = np.setdiff1d(np.arange(len(metadata)), shared)
        held = np.concatenate([parts["dev"], parts["test"]])
        if by == "record" and len(held):  # whatever the grouping: what tests is not seen before
            free = free[~np.isin(event_ids(metadata)[free], event_ids(metadata)[held])]
        parts["train"] = np.concatenate([parts["train"], apart(metadata, free, held, by)])
    return with_hash(parts, metadata)


def dev_of_training(
    split: Split, draw: GroupDraw, ratio: float, by: Grouping, known: np.ndarray
) -> tuple[Split, str]:
    """Move a share of the labelled training events into the dev part, at least one of each class.

    Args:
        split: A split whose dev part is empty.
        draw: What draws.
        ratio: Share of the training events, in (0, 1).
        by: What stays together.
        known: Whether each row of the store has a label, (N,).

    Returns:
        The split, and why it stays without a dev part: a class has a single event. Empty where it has one.
    """
    cut = {"time": draw.last_in_time, "station": draw.stations}.get(by, draw.groups)
    rows = split.train[known[split.train]]
    try:
        dev, train = cut(rows, ratio, DEV)
    except UserError as error:  # nothing would be left to train on
        return split, str(error)
    lacking = sorted(set(draw.labels[rows]) - set(draw.labels[dev]))
    if lacking:
        unit = "record" if by == "record" else "event"
        return split, f"{lacking[0]!r} has too few training {unit}s to choose by one of them"
    free = apart(draw.metadata, split.train[~known[split.train]], np.concatenate([dev, split.test]), by)
    return with_hash({"train": np.concatenate([train, free]), "dev": dev, "test": split.test}, draw.metadata), ""
