"""LANL laboratory earthquakes: windows between failures, and the time to failure at the last sample of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from seisml.data.datamodule import StoreDataModule
from seisml.data.dataset import StoreDataset
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.datasets.lanl.file import LanlFile
from seisml.datasets.lanl.prepare import SEGMENT
from seisml.errors import UserError
from seisml.tasks.facts import Quantity
from seisml.values.ranges import Overlap, Whole

LONGEST = 16.11  # s: upper end of the range of times to failure, that of the published bins
BLOCK = 2.0  # s of the experiment: errors of windows that lie closer resemble each other
TARGET = "time_to_failure_s"


class LanlDataset(StoreDataset):
    """Windows whose target is the time to failure at their last sample."""

    store: LanlFile

    def target(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Time to failure at the last sample of each window, (B,) float32 in s."""
        return self.store.time_to_failure(rows, starts + self.n_samples - 1)


class LanlDataModule(StoreDataModule):
    """Windows of a prepared LANL file; the last stretches test, those before them choose the model.

    All times are those of the experiment divided by the file's ``scale``: windows of 150,000 samples, targets, and the
    range of the bins, [0, 16.11] s.

    Args:
        root: What ``seisml prepare lanl`` or ``seisml prepare lanl_demo`` made.
        n_test_stretches: Stretches at the end that test. The contest's solutions tested on its hidden segments: 0.
        n_dev_stretches: Stretches before those that choose the model; the published validation is 2.
        split_procedure: Always ``column``: the parts are stretches, in their order.
        window_length: Seconds of a window; null takes 150,000 samples of the real experiment for each of its
            ``n_pieces``.
        window_overlap: Share of a window that the next one repeats.
        evaluation_overlap: The same for dev and test windows; null takes ``window_overlap``.
        is_ssl: Pretraining: the training stretches without their times to failure, which are not classes to probe by.
        **kwargs: See :class:`StoreDataModule`.
    """

    citation: ClassVar[str] = "Rouet-Leduc et al. (2017), doi 10.1002/2017GL074677"

    def __init__(
        self,
        root: str = "data/lanl.h5",
        n_test_stretches: Whole = 2,
        n_dev_stretches: Whole = 2,
        split_procedure: Literal["column"] = "column",
        window_length: float | None = None,
        window_overlap: float = 0.5,
        evaluation_overlap: Overlap | None = None,
        is_ssl: bool = False,
        **kwargs: Any,
    ) -> None:
        if split_procedure != "column":
            raise UserError(
                f"dataset.split_procedure: {split_procedure} draws stretches, but they are taken in their order; set "
                "dataset.n_test_stretches and n_dev_stretches"
            )
        super().__init__(
            root,
            split_procedure=split_procedure,
            window_length=window_length,
            window_overlap=window_overlap,
            is_ssl=is_ssl,
            **({} if is_ssl else {"label_column": TARGET}) | kwargs,
        )
        self.n_test_stretches, self.n_dev_stretches = n_test_stretches, n_dev_stretches
        self.evaluation_overlap = window_overlap if evaluation_overlap is None else evaluation_overlap

    def open_store(self) -> LanlFile:
        """Open the file, and say which stretches train, tune and test.

        Raises:
            UserError: The file is missing or damaged, or has too few stretches.
        """
        store = LanlFile(self.root)
        n_train = len(store) - self.n_dev_stretches - self.n_test_stretches
        if n_train < 2:
            raise UserError(
                f"{self.root} has {len(store)} stretches between failures; {self.n_test_stretches} to test and "
                f"{self.n_dev_stretches} to choose the model leave fewer than 2 to train on: lower "
                "dataset.n_test_stretches or n_dev_stretches, or prepare the whole record"
            )
        parts = ("train", "dev", "test")
        store.metadata["split"] = np.repeat(parts, (n_train, self.n_dev_stretches, self.n_test_stretches))
        rows = np.arange(len(store))
        store.metadata[TARGET] = store.time_to_failure(rows, np.zeros_like(rows)).astype(float)
        if self.window_length is None:
            self.window_length = self.n_pieces * SEGMENT / store.scale / store.sampling_rate[0]
        self.scale = store.scale
        return store

    def setup(self, stage: str | None = None) -> None:
        """Open the file and split it. Safe to call again.

        Raises:
            UserError: Where the file or its windows do not fit the arguments.
        """
        if self.store is not None:
            return
        super().setup(stage)
        if self.facts.quantity is not None:  # so far that of whole stretches
            self.facts = replace(self.facts, quantity=self._quantity())

    def dataset(self, n_draws: int | None) -> LanlDataset:
        """What reads batches; see :class:`StoreDataModule`."""
        return LanlDataset(
            self.ready_store, self.labels, self.facts.n_samples, self.seed, n_draws, self.in_channels, self.dead_traces,
            self.n_pieces,
        )  # fmt: skip

    def overlaps(self, rows: np.ndarray) -> np.ndarray:
        """Share of a window that the next one repeats: in training, and in the parts that choose and test."""
        return np.where(np.isin(rows, self.split.train), self.window_overlap, self.evaluation_overlap)

    def event_names(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Stretch, and block of 2 s of the experiment within it: test stretches are too few to be drawn anew."""
        block = np.asarray(starts) // max(1, round(BLOCK / self.scale * self.facts.sampling_rate))
        return np.char.add(np.char.add(super().event_names(rows, starts).astype(str), ":"), block.astype(str))

    def how_to_make(self) -> str:
        """Say how the file is made."""
        return f"make it with `seisml prepare lanl SRC --out {self.root}`"

    def _quantity(self) -> Quantity:
        """Statistics of the training windows' targets, and the published range."""
        values = self.training_labels().double()
        return Quantity(
            TARGET, "s", float(values.mean()), float(values.std(correction=0)), float(values.median()), 0.0,
            LONGEST / self.scale,
        )  # fmt: skip


class LanlDemoDataModule(LanlDataModule):
    """The embedded synthetic experiment; its file is made where it is missing. Arguments as in LanlDataModule."""

    def __init__(self, root: str = "data/lanl_demo.h5", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)

    def prepare_data(self) -> None:
        """Make the file where there is none."""
        if not self.root.exists():
            prepare_lanl_demo(self.root)
