"""The records of a prepared store: opened, labelled, split, cut into windows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from seisml.data.elsewhere import all_to_test, check_rate, remarks
from seisml.data.folds import DevFrom, dev_of_training, read_split
from seisml.data.grouping import GroupDraw
from seisml.data.hold_out import HoldOut
from seisml.data.shapes import channels_together, check_pieces, check_traces, one_length, one_sampling_rate
from seisml.data.splits import Grouping, Procedure, Split, make_split, with_hash
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.files import write_frame
from seisml.store.folder import recover_interrupted
from seisml.store.identity import event_ids, text_column
from seisml.store.store import Store
from seisml.tasks.base import Elsewhere, LabelSettings, Task
from seisml.tasks.classification import Classification
from seisml.tasks.facts import DataFacts
from seisml.tasks.unlabelled import Unlabelled
from seisml.values.ranges import Count, Portion, Seed
from seisml.waveforms.preprocessing import Preprocessing


class PreparedRecords(pl.LightningDataModule):
    """The records of a prepared store: labelled, split into train, dev and test parts, and cut into windows.

    Args:
        root: Folder of the store.
        train_data_ratio: Share of the labelled events to train on.
        test_data_ratio: Share of the labelled events to test on.
        dev_data_ratio: Share of the training part set aside for model selection.
        dev_from: Of what: ``rest``, all labelled events that do not test, or ``train``, those alone that are left to
            train on by ``train_data_ratio`` or ``split_file``, so that few labels stay few; see
            :mod:`seisml.data.folds`.
        train_test_split_rand_seed: Seed of the split.
        split_procedure: ``stratified`` (scikit-learn's stratified split, another test part for another train ratio),
            ``fixed_test`` (one test part per seed, from which label fractions never take), ``column`` (the store's
            ``split`` column) or ``published``; see :func:`seisml.data.splits.make_split`.
        split_by: What stays together: ``record``, ``event``, ``station`` or ``time``.
        split_file: A run's ``split.csv``: these very parts, whatever the ratios and the procedure say. In pretraining
            records that it does not name train too, but for those of its dev and test events.
        hold_out: What training must not see: ``split.csv`` files of runs, whose dev and test records count, and folders
            of prepared stores. Records of their events are left out, and what shares a moment with their records.
        test_root: Another store, all labelled records of which are the test part; that of ``root`` goes unused, so that
            a model is the same with it and without.
        is_ssl: Pretraining: drawn traces of each event, unlabelled events included.
        in_channels: Traces in one view: 1, or 3 where the network sees three components at once; null: 3 where all
            records are ZNE, else 1.
        n_samples: Length of the waveforms, in samples; needed where the store's records differ in length.
        window_length: Cut records into windows of so many seconds; null takes each record as one window.
        window_overlap: Share of a window that the next one repeats, in [0, 1).
        n_pieces: Equal pieces that a window is a sequence of, for methods that look at it piece by piece; batches then
            carry the label of each, too.
        label_column: Column of the metadata that holds the class, or the number to predict.
        label_unit: Unit of that number; by default what the column's name ends in (``path_ps_time_s``).
        unlabeled: Class name that means "no label".
        classes: Class names in the order of the labels; by default those of the store, alphabetically.
        zero_weight_classes: Classes that training gives weight 0 (they stay in the test);
            names that the store lacks are passed over.
    """

    citation: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    store: Store | None
    elsewhere: Elsewhere | None  # a trained model's other data: see :meth:`at`
    reach: float = 0.0  # s: how far from a window training may read besides; held-out times stay so far away

    def __init__(
        self,
        root: str,
        train_data_ratio: float = 0.8,
        test_data_ratio: float = 0.2,
        dev_data_ratio: Portion = 0.0,
        dev_from: DevFrom = "rest",
        train_test_split_rand_seed: Seed = 0,
        split_procedure: Procedure = "stratified",
        split_by: Grouping = "record",
        split_file: str | None = None,
        hold_out: Sequence[str] = (),
        test_root: str | None = None,
        is_ssl: bool = False,
        in_channels: Count | None = 1,
        n_samples: int | None = None,
        window_length: float | None = None,
        window_overlap: float = 0.0,
        n_pieces: Count = 1,
        label_column: str = "trace_category",
        label_unit: str | None = None,
        unlabeled: str = "Unlabeled",
        classes: Sequence[str] | None = None,
        zero_weight_classes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.make_split = partial(
            make_split,
            train_data_ratio=train_data_ratio, test_data_ratio=test_data_ratio,
            dev_data_ratio=dev_data_ratio if dev_from == "rest" else 0.0,
            seed=train_test_split_rand_seed, procedure=split_procedure, by=split_by, is_ssl=is_ssl, unlabeled=unlabeled,
        )  # fmt: skip
        self.dev_ratio, self.dev_from = dev_data_ratio, dev_from
        self.no_dev = ""  # why there is no dev part though one was asked for
        self.split_procedure, self.split_by, self.is_ssl = split_procedure, split_by, is_ssl
        self.split_file, self.split_seed, self.test_root = split_file, train_test_split_rand_seed, test_root
        self.hold_out = HoldOut.read(hold_out) if hold_out else None
        self.channels_asked, self.n_samples, self.n_pieces = in_channels, n_samples, n_pieces
        self.in_channels = in_channels or 1
        self.window_length, self.window_overlap = window_length, window_overlap
        self.label_column, self.label_unit, self.unlabeled = label_column, label_unit, unlabeled
        self.classes, self.zero_weight_classes = classes, tuple(zero_weight_classes)
        self.task: Task = Unlabelled() if is_ssl else Classification()  # a run sets that of its method
        self.store, self.elsewhere = None, None
        self.tested: Self = self  # what the test part belongs to

    def setup(self, stage: str | None = None) -> None:
        """Open the store, label its rows and split it. Safe to call again.

        Raises:
            UserError: Where the store, its labels, lengths or rates do not fit the arguments.
        """
        if self.store is not None:
            return
        store = self.open_store()
        metadata = store.metadata
        classes = tuple(self.classes) if self.classes else None
        settings = LabelSettings(
            self.label_column, self.unlabeled, classes, self.zero_weight_classes, self.label_unit, self.elsewhere
        )
        labels = self.task.read(metadata, settings, str(store.root))
        self.all_labels, self.labels, self._known = labels, labels.values, labels.known
        if self.channels_asked is None:
            self.in_channels = channels_together(store)
        check_traces(store, self.in_channels)
        sampling_rate = one_sampling_rate(store)
        if self.elsewhere is not None:
            check_rate(store, sampling_rate, self.facts)
            self.split, self.store = all_to_test(labels, self.elsewhere == "all"), store
            return
        n_samples = one_length(store, self.n_samples, self.window_length, self.window_overlap)
        check_pieces(n_samples, self.n_pieces)
        # of stations and stretches of time there are too few to have one of each kind in every part
        grouped = self.split_by in ("record", "event")
        groups = event_ids(metadata) if grouped else np.zeros(len(metadata), np.int64)
        self.strata = self.task.strata(labels, groups, self.unlabeled)
        self.split = self._without_held_out(store, self.draw_split(store, self.strata))
        if self.dev_from == "train" and self.dev_ratio and not len(self.split.dev):
            draw = self._draw_of(metadata)
            self.split, self.no_dev = dev_of_training(self.split, draw, self.dev_ratio, self.split_by, self._known)
        self.split.check_events(metadata)
        of_labels = self.task.facts(labels, self.labelled(self.split.train), settings)
        self.facts = DataFacts(
            sampling_rate=sampling_rate, n_samples=n_samples, n_pieces=self.n_pieces, in_channels=self.in_channels,
            **of_labels,
        )  # fmt: skip
        self.store = store
        if self.test_root is not None:
            if not Path(self.test_root).exists():
                raise UserError(f"dataset.test_root: there is nothing at {self.test_root}; name a prepared store")
            self.tested = self.at(self.test_root, self.facts, trained=self.preprocessing)

    def at(
        self,
        root: str | Path,
        facts: DataFacts,
        elsewhere: Elsewhere = "labelled",
        trained: Preprocessing | None = None,
        name: str | None = None,
    ) -> Self:
        """The same at another store, for a model that was trained on data with these facts; all of it tests.

        Args:
            root: The other store.
            facts: What the model was trained on; classes that it does not know count as unlabelled.
            elsewhere: Test the records with a label that the model knows, or ``all``.
            trained: What was done to the recordings that it was trained on; for remarks.
            name: What remarks call the data; by default the store's folder.

        Raises:
            UserError: The store does not fit the model.
        """
        other = copy.copy(self)
        other.root, other.test_root, other.store, other.tested = Path(root), None, None, other
        other.elsewhere, other.facts, other.classes = elsewhere, facts, facts.classes
        other.channels_asked = self.in_channels
        other.setup()
        if not len(other.split.test):
            known = f" ({', '.join(facts.classes)})" if facts.classes else ""
            raise UserError(f"{root}: no record has a label that the model knows{known}; set dataset.label_column")
        for remark in remarks(other.ready_store, other.all_labels, facts, self.unlabeled, self.is_cut, trained):
            rank_zero_only(print)(f"{name or other.ready_store.root}: {remark}", flush=True)
        return other

    @property
    def is_cut(self) -> bool:
        """Whether records are cut into windows."""
        return self.window_length is not None

    def open_store(self) -> Store:
        """Open what ``root`` names; data sets in other formats return something that reads like a store.

        Raises:
            UserError: Where there is nothing, with what to do about it.
        """
        if not recover_interrupted(self.root).is_dir():
            raise UserError(f"dataset.root: there is no store at {self.root}; {self.how_to_make()}")
        return Store(self.root)

    def draw_split(self, store: Store, strata: np.ndarray) -> Split:
        """Split the rows of an opened store; strata (N,) are what the parts share alike."""
        if self.split_file is not None:
            return read_split(self.split_file, store.metadata, self.is_ssl, self.split_by)
        return self.make_split(store.metadata, strata)

    def group_draw(self) -> GroupDraw:
        """What draws whole events (records with ``split_by=record``), stratified, with the split's seed."""
        return self._draw_of(self.ready_store.metadata)

    def _draw_of(self, metadata: pd.DataFrame) -> GroupDraw:
        unit: Literal["record", "event"] = "record" if self.split_by == "record" else "event"
        return GroupDraw(metadata, self.strata, self.split_seed, unit)

    def how_to_make(self) -> str:
        """Say how the store is made; for the error where it is missing."""
        return f"make one with `seisml prepare folder SRC --out {self.root}` or point dataset.root=... at yours"

    @property
    def preprocessing(self) -> Preprocessing:
        """What was done to the recordings when they were prepared, so that continuous ones get the same."""
        return self.ready_store.preprocessing

    @property
    def ready_store(self) -> Store:
        """The opened store."""
        self.setup()
        assert self.store is not None
        return self.store

    def windows(self, rows: np.ndarray) -> Windows:
        """Windows of chosen rows (N,): whole records, or what ``window_length`` cuts from their stretches."""
        if not self.is_cut:
            return Windows.at(rows)
        length = self.facts.n_samples
        stretches = self.stretches(np.asarray(rows, np.int64))
        if self.hold_out is not None:
            stretches = self._without_held_out_times(*stretches)
        step = np.maximum(1, np.rint(length * (1 - self.overlaps(stretches[0])))).astype(np.int64)
        return Windows.within(*stretches, length, step)

    def overlaps(self, rows: np.ndarray) -> np.ndarray:
        """Share of a window that the next one repeats, in each of the rows (N,)."""
        return np.full(len(rows), self.window_overlap)

    def stretches(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Parts of records that windows may lie in: whole records, here.

        A data set with places that no window may cross (the failures of a laboratory run) names several for a record.

        Args:
            rows: Rows of the store, (N,).

        Returns:
            Row, first sample, and one beyond the last sample of each stretch, (S,) each.
        """
        return rows, np.zeros(len(rows), np.int64), self.ready_store.n_samples[rows]

    def event_names(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Name what each window belongs to; intervals of test metrics come from drawing these anew.

        Here it is the record's event. A data set of few long records says otherwise: its records are too few to draw.

        Args:
            rows: Rows of the store, (N,).
            starts: First sample of each window, (N,).

        Returns:
            (N,) names.
        """
        return event_ids(self.ready_store.metadata)[rows]

    def homes(self, rows: np.ndarray) -> np.ndarray:
        """Name the store of each row (N,): (N,) names of folders."""
        return np.full(len(rows), self.root.name)

    def write_split(self, path: str | Path) -> None:
        """Write the records of each part as a CSV file; where they are cut, a line for each stretch of windows."""
        store, frame = self.ready_store, self.split.to_frame(self.ready_store.metadata)
        rows = frame["row"].to_numpy()
        frame["trace_start_time"] = text_column(store.metadata, "trace_start_time")[rows]
        frame["trace_duration_s"] = store.n_samples[rows] / store.sampling_rate[rows]
        if self.is_cut:
            frame = frame.merge(self.windows(rows).to_frame(), on="row", how="left")
        write_frame(path, frame)

    def labelled(self, rows: np.ndarray) -> np.ndarray:
        """Those of ``rows`` that carry a label."""
        return rows[self._known[rows]]

    def _without_held_out(self, store: Store, split: Split) -> Split:
        """The split without the training records that must not be seen."""
        if self.hold_out is None:
            return split
        train = self.hold_out.left_in(store, split.train, by_time=not self.is_cut)
        print(f"dataset.hold_out leaves {len(train)} of {len(split.train)} training records", flush=True)
        return with_hash({"train": train, "dev": split.dev, "test": split.test}, store.metadata)

    def _without_held_out_times(
        self, row: np.ndarray, begin: np.ndarray, end: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stretches (S,) without the times that must not be seen, where they are of training records."""
        trains = np.isin(row, self.split.train)
        kept = (column[~trains] for column in (row, begin, end))
        cut = self.hold_out.cut(self.ready_store, row[trains], begin[trains], end[trains], self.reach)
        row, begin, end = (np.concatenate(columns) for columns in zip(kept, cut, strict=True))
        order = np.argsort(row, kind="stable")
        return row[order], begin[order], end[order]
