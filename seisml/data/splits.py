"""Which records train, which tune and which test: the split of a data set.

Every procedure is a pure function of the metadata, the ratios and a seed; rows may stand in any order. Records marked
``Unlabeled`` never test; they join the training part only for self-supervision, and only where nothing of theirs
(event, station or time, as the split is made) tests.

The procedures:

- ``stratified`` (by record): labelled rows sorted by (class, file name), then scikit-learn's stratified
  ``train_test_split``, whose membership it reproduces. For pretraining all unlabelled rows join the training part.
  Another train ratio gives another test part, which an encoder pretrained with the first may have seen.
- ``published`` (Lee et al.; by record): the same for supervised training. Pretraining splits all rows in that way,
  unlabelled ones as one more class: only ``train_data_ratio`` of them train, the others go unused.
- ``fixed_test``: the test part is drawn once per seed and never moves. The training part is what is left, and
  ``train_data_ratio / (1 - test_data_ratio)`` of its events (0.8 with 0.2: all of them; records with
  ``by="record"``) train: stratified, at least one per class, and nested (5 % lies within 10 %).
- ``column``: SeisBench's ``split`` column gives the parts; the training part is thinned as under ``fixed_test``.

With ``by`` other than ``record``, ``stratified`` and ``published`` are ``fixed_test``.

Grouped, ``event`` keeps the records of a source_id together, stratified by the set of classes that the event
carries. ``station`` tests on stations that never train; an event seen on both sides keeps its records on one side
only, the others go unused. ``time`` tests on the last events and tunes on those before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from seisml.data.grouping import DEV, TEST, GroupDraw
from seisml.errors import UserError, nearest
from seisml.files import write_frame
from seisml.store.identity import event_hashes, event_ids, overlap, record_ids, start_times, text_column

__all__ = ["Split", "event_hashes", "event_ids", "make_split", "overlap", "record_ids"]

Procedure = Literal["stratified", "fixed_test", "column", "published"]
Grouping = Literal["record", "event", "station", "time"]
PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts of a data set.

    Attributes:
        train: Rows to train on, ascending; with unlabelled ones where they were asked for.
        dev: Rows for choosing models, ascending; often empty.
        test: Rows looked at once, ascending; always labelled.
        hash: SHA-256 of the sorted (part, record) pairs. It depends on which records are in which part (by
            source file, event, station and start time), not on where in the store they lie.
    """

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    hash: str = ""

    def to_frame(self, metadata: pd.DataFrame) -> pd.DataFrame:
        """List the records of the parts: part, row, trace_name, source_id, trace_category."""
        rows = np.concatenate([self.train, self.dev, self.test]).astype(np.int64)
        part = np.repeat(PARTS, [len(self.train), len(self.dev), len(self.test)])
        columns = {name: text_column(metadata, name)[rows] for name in ("trace_name", "source_id", "trace_category")}
        return pd.DataFrame({"part": part, "row": rows, **columns})

    def write(self, path: str | Path, metadata: pd.DataFrame) -> None:
        """Write :meth:`to_frame` as a CSV file."""
        write_frame(path, self.to_frame(metadata))

    def check_events(self, metadata: pd.DataFrame) -> None:
        """Refuse an event that lies in two parts.

        Raises:
            UserError: Names the first such event and the cure.
        """
        events, home = event_ids(metadata), {}
        for part, rows in (("test", self.test), ("dev", self.dev), ("train", self.train)):
            names = np.unique(events[rows])
            shared = next((name for name in names if name in home), None)
            if shared is not None:
                raise UserError(
                    f"event {shared!r} (source_id) lies in both the {part} and the {home[shared]} part: "
                    f"set dataset.split_by=event, which keeps its records together"
                )
            home.update(dict.fromkeys(names, part))


def make_split(
    metadata: pd.DataFrame,
    strata: np.ndarray | None = None,
    *,
    train_data_ratio: float = 0.8,
    test_data_ratio: float = 0.2,
    dev_data_ratio: float = 0.0,
    seed: int = 0,
    procedure: Procedure = "stratified",
    by: Grouping = "record",
    is_ssl: bool = False,
    unlabeled: str = "Unlabeled",
) -> Split:
    """Split a data set; the procedures and groupings are those of this module's docstring.

    Args:
        metadata: One row per record, with ``trace_category`` and, where the procedure needs them,
            ``trace_source_file``, ``source_id``, ``station_code``, ``trace_start_time`` or ``split``.
        strata: (N,) strings by which the parts resemble each other, ``unlabeled`` where a record has no label; by
            default the classes, ``trace_category``.
        train_data_ratio: Share of all labelled events (records) that trains, in (0, 1].
        test_data_ratio: Share of all labelled events (records) that tests, in (0, 1).
        dev_data_ratio: Share of the training part that is set aside for choosing models, in [0, 1).
        seed: Seed of the draw.
        procedure: How the parts are drawn.
        by: What stays together.
        is_ssl: Whether unlabelled records train too. Where labelled records go does not depend on it, but with
            ``published``.
        unlabeled: The category of records without a label.

    Returns:
        The split.

    Raises:
        UserError: Ratios that do not fit, a class with too few samples or events, or a column that is missing.
    """
    for name, value, choices in (("split_procedure", procedure, Procedure), ("split_by", by, Grouping)):
        if value not in get_args(choices):
            raise UserError(f"dataset.{name}={value} is not known: {nearest(value, get_args(choices))}")
    _check_ratios(train_data_ratio, test_data_ratio, dev_data_ratio)
    labels = text_column(metadata, "trace_category") if strata is None else np.array(strata, dtype=object)
    labels[labels == ""] = unlabeled
    labelled, free = np.flatnonzero(labels != unlabeled), np.flatnonzero(labels == unlabeled)
    if not len(labelled) and not (is_ssl and len(free)):
        raise UserError("no labelled record to split: give trace_category in metadata.csv, or set dataset.is_ssl=true")
    splits_all = is_ssl and procedure == "published" and by == "record"
    ratios = (train_data_ratio, test_data_ratio, dev_data_ratio)
    drawn = dict.fromkeys(PARTS, labelled)
    if len(labelled):
        rows = np.arange(len(labels)) if splits_all else labelled
        drawn = _draw_parts(metadata, labels, rows, seed, ratios, procedure, by)
    parts = {part: np.intersect1d(rows, labelled) for part, rows in drawn.items()}
    if is_ssl:
        if splits_all and len(labelled):
            free = np.intersect1d(free, drawn["train"])
        elif procedure == "column":
            free = _column_parts(metadata, free)["train"]
        held = np.concatenate([parts["dev"], parts["test"]])
        parts["train"] = np.concatenate([parts["train"], apart(metadata, free, held, by)])
    return with_hash(parts, metadata)


def join_splits(splits: Sequence[Split], first: np.ndarray, metadata: pd.DataFrame) -> Split:
    """Put the splits of several stores together.

    An event that stands in several stores, in one to test or to choose models, trains in none of them.

    Args:
        splits: Of each store.
        first: First row of each store in the whole, (S,) or longer.
        metadata: Of the whole.
    """
    test, dev, train = (
        np.concatenate([getattr(split, part) + at for split, at in zip(splits, first, strict=False)])
        for part in reversed(PARTS)
    )
    events = event_ids(metadata)
    dev = dev[~np.isin(events[dev], events[test])]
    train = train[~np.isin(events[train], np.concatenate([events[dev], events[test]]))]
    return with_hash({"train": train, "dev": dev, "test": test}, metadata)


def with_hash(parts: Mapping[str, np.ndarray], metadata: pd.DataFrame) -> Split:
    """The split of rows by part, in order, with the hash of who is in which.

    Raises:
        UserError: Nothing is left to train on.
    """
    parts = {part: np.sort(rows).astype(np.int64) for part, rows in parts.items()}
    if not len(parts["train"]):
        raise UserError("the split leaves no record to train on: give train rows in 'split', or another split_by")
    identities = record_ids(metadata)
    lines = sorted(f"{part}\t{identity}\n" for part in PARTS for identity in identities[parts[part]])
    return Split(**parts, hash=hashlib.sha256("".join(lines).encode()).hexdigest())


def _draw_parts(
    metadata: pd.DataFrame,
    labels: np.ndarray,
    rows: np.ndarray,
    seed: int,
    ratios: tuple[float, float, float],
    procedure: Procedure,
    by: Grouping,
) -> dict[str, np.ndarray]:
    """Draw the parts of some rows; ratios are those of train, test and dev."""
    if procedure in ("stratified", "published") and by == "record":
        return _stratified_parts(metadata, labels, rows, seed, ratios)
    train_ratio, test_ratio, dev_ratio = ratios
    draw = GroupDraw(metadata, labels, seed, "record" if by == "record" else "event")
    if procedure == "column":
        parts = _column_parts(metadata, rows)
    else:
        cut = {"time": draw.last_in_time, "station": draw.stations}.get(by, draw.groups)
        test, rest = cut(rows, test_ratio, TEST)
        dev, rest = cut(rest, dev_ratio, DEV) if dev_ratio > 0 else (rows[:0], rest)
        parts = {"train": rest, "dev": dev, "test": test}
    return parts | {"train": draw.thinned(parts["train"], min(1.0, train_ratio / (1 - test_ratio)))}


def _stratified_parts(
    metadata: pd.DataFrame, labels: np.ndarray, rows: np.ndarray, seed: int, ratios: tuple[float, float, float]
) -> dict[str, np.ndarray]:
    """Reproduce scikit-learn's membership on rows sorted by (class, file name), labels encoded alphabetically."""
    train_ratio, test_ratio, dev_ratio = ratios
    files = [path.replace("\\", "/").rsplit("/", 1)[-1] for path in text_column(metadata, "trace_source_file")[rows]]
    order = pd.DataFrame({"label": labels[rows], "file": files, "record": record_ids(metadata)[rows]})
    rows = rows[order.sort_values(["label", "file", "record"], kind="stable").index]
    train, test = _train_test(rows, labels, train_ratio, test_ratio, seed)
    dev = rows[:0]
    if dev_ratio > 0:
        train, dev = _train_test(train, labels, 1 - dev_ratio, dev_ratio, seed)
    return {"train": train, "dev": dev, "test": test}


def _train_test(
    rows: np.ndarray, labels: np.ndarray, train_ratio: float, test_ratio: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    classes, codes, counts = np.unique(labels[rows].astype(str), return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise UserError(
            f"class {str(classes[counts.argmin()])!r} has one sample only, which cannot both train and test: add "
            "samples to it, or leave the class out"
        )
    for ratio, whole in ((train_ratio, np.floor), (test_ratio, np.ceil)):
        if whole(ratio * len(rows)) < len(classes):
            raise UserError(
                f"a ratio of {ratio:g} gives {int(whole(ratio * len(rows)))} of {len(rows)} records for {len(classes)} "
                f"classes: raise it to {len(classes) / len(rows):.3g}, or set dataset.split_procedure=fixed_test"
            )
    from sklearn.model_selection import train_test_split  # here: a first step need not wait for it

    train, test = train_test_split(
        np.arange(len(rows)), train_size=train_ratio, test_size=test_ratio, stratify=codes, random_state=seed
    )
    return rows[train], rows[test]


def _column_parts(metadata: pd.DataFrame, rows: np.ndarray) -> dict[str, np.ndarray]:
    if "split" not in metadata:
        raise UserError("dataset.split_procedure=column needs a column 'split' in metadata.csv: use fixed_test instead")
    split = text_column(metadata, "split")[rows]
    return {part: rows[split == part] for part in PARTS}


def apart(metadata: pd.DataFrame, free: np.ndarray, held: np.ndarray, by: Grouping) -> np.ndarray:
    """Leave out rows that share an event, a station or a stretch of time with held-out ones."""
    if by == "record" or not len(held) or not len(free):
        return free
    events = event_ids(metadata)
    free = free[~np.isin(events[free], events[held])]
    if by == "station":
        stations = text_column(metadata, "station_code")
        free = free[~np.isin(stations[free], stations[held])]
    if by == "time":
        times = start_times(metadata)
        free = free[times[free] < times[held].min()]
    return free


def _check_ratios(train: float, test: float, dev: float) -> None:
    for name, value, low in (("train", train, 0 < train), ("test", test, 0 < test < 1), ("dev", dev, 0 <= dev < 1)):
        if not low or not np.isfinite(value):
            raise UserError(f"dataset.{name}_data_ratio={value:g} does not fit: a ratio lies between 0 and 1")
    if train + test > 1 + 1e-9:
        raise UserError(
            f"dataset.train_data_ratio={train:g} and test_data_ratio={test:g} add up to more than 1: lower one of them"
        )
