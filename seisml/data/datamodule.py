"""The data module of every prepared store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from seisml.data.facts import DataFacts
from seisml.data.sampling import EpochSampler, StoreDataset, keep_batch
from seisml.data.splits import Grouping, Procedure, Split, make_split
from seisml.errors import UserError
from seisml.store.folder import recover_interrupted
from seisml.store.identity import event_ids
from seisml.store.store import Store
from seisml.tasks.base import LabelSettings, Task
from seisml.tasks.classification import Classification
from seisml.tasks.unlabelled import Unlabelled


class StoreDataModule(pl.LightningDataModule):
    """Waveforms of a prepared store, split into train, dev and test parts.

    Args:
        root: Folder of the store.
        train_data_ratio: Share of the labelled events to train on.
        test_data_ratio: Share of the labelled events to test on.
        dev_data_ratio: Share of the training part set aside for model selection.
        train_test_split_rand_seed: Seed of the split.
        split_procedure: ``stratified`` (scikit-learn's stratified split, another test part for another train ratio),
            ``fixed_test`` (one test part per seed, from which label fractions never take), ``column`` (the store's
            own ``split`` column) or ``published``; see :func:`seisml.data.splits.make_split`.
        split_by: What stays together: ``record``, ``event``, ``station`` or ``time``.
        batch_size: Events per batch.
        num_workers: Worker processes that read batches.
        return_single_spectrogram_train: Train on one randomly drawn trace per event; all its traces where false.
        return_single_spectrogram_test: Test on one drawn trace per event; the ensemble over all where false.
        is_ssl: Two drawn traces per event, unlabelled events included.
        drop_last: Leave out the last batch of a training epoch where it is incomplete; by default in pretraining only.
            Supervised training on less than one batch keeps it.
        in_channels: Traces in one view: 1, or 3 where the network sees three components at once.
        n_samples: Length of the waveforms, in samples; needed where the store's records differ in length.
        label_column: Column of the metadata that holds the class.
        unlabeled: Class name that means "no label".
        classes: Class names in the order of the labels; by default those of the store, alphabetically.
        zero_weight_classes: Classes that training gives weight 0 (they stay in the test);
            names that the store lacks are passed over.
        seed: Seed of the order of events and of the drawn traces.
    """

    citation: ClassVar[str] = ""
    licence: ClassVar[str] = ""

    def __init__(
        self,
        root: str,
        train_data_ratio: float = 0.8,
        test_data_ratio: float = 0.2,
        dev_data_ratio: float = 0.0,
        train_test_split_rand_seed: int = 0,
        split_procedure: Procedure = "stratified",
        split_by: Grouping = "record",
        batch_size: int = 64,
        num_workers: int = 0,
        return_single_spectrogram_train: bool = True,
        return_single_spectrogram_test: bool = False,
        is_ssl: bool = False,
        drop_last: bool | None = None,
        in_channels: int = 1,
        n_samples: int | None = None,
        label_column: str = "trace_category",
        unlabeled: str = "Unlabeled",
        classes: Sequence[str] | None = None,
        zero_weight_classes: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.make_split = partial(
            make_split,
            train_data_ratio=train_data_ratio,
            test_data_ratio=test_data_ratio,
            dev_data_ratio=dev_data_ratio,
            seed=train_test_split_rand_seed,
            procedure=split_procedure,
            by=split_by,
            is_ssl=is_ssl,
            unlabeled=unlabeled,
        )
        self.split_procedure, self.is_ssl = split_procedure, is_ssl
        self.drop_last = is_ssl if drop_last is None else drop_last
        self.batch_size, self.num_workers = batch_size, num_workers
        self.single_train, self.single_test = return_single_spectrogram_train, return_single_spectrogram_test
        self.in_channels, self.n_samples = in_channels, n_samples
        self.label_column, self.unlabeled = label_column, unlabeled
        self.classes, self.zero_weight_classes = classes, tuple(zero_weight_classes)
        self.task: Task = Unlabelled() if is_ssl else Classification()  # a run sets that of its method
        self.seed = seed
        self.store: Store | None = None

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
        settings = LabelSettings(self.label_column, self.unlabeled, classes, self.zero_weight_classes)
        labels = self.task.read(metadata, settings, str(store.root))
        self.labels, self._known = labels.values, labels.known
        self._check_traces(store)
        sampling_rate, n_samples = self._sampling_rate(store), self._length(store)
        self.split: Split = self.make_split(metadata, self.task.strata(labels, event_ids(metadata), self.unlabeled))
        self.split.check_events(metadata)
        of_labels = self.task.facts(labels, self.labelled(self.split.train), settings)
        self.facts = DataFacts(sampling_rate=sampling_rate, n_samples=n_samples, **of_labels)
        self.store = store

    def open_store(self) -> Store:
        """Open what ``root`` names; data sets in other formats return something that reads like a store.

        Raises:
            UserError: Where there is nothing, with what to do about it.
        """
        if not recover_interrupted(self.root).is_dir():
            raise UserError(f"dataset.root: there is no store at {self.root}; {self.how_to_make()}")
        return Store(self.root)

    def how_to_make(self) -> str:
        """Say how the store is made; for the error where it is missing."""
        return f"make one with `seisml prepare folder SRC --out {self.root}` or point dataset.root=... at yours"

    def preprocessing(self) -> dict[str, Any]:
        """What was done to the records when they were prepared, so that continuous ones get the same.

        Returns:
            ``components``, ``bandpass`` and ``detrend``, ``None`` where nothing is known or was done.
        """
        options = getattr(self.ready_store, "prepared", {}).get("options", {})
        reading = options.get("reading") or options  # some prepare commands keep these apart from their own options
        return {key: reading.get(key) for key in ("components", "bandpass", "detrend")}

    @property
    def ready_store(self) -> Store:
        """The opened store."""
        self.setup()
        assert self.store is not None
        return self.store

    def train_dataloader(self) -> DataLoader:
        """Shuffled training batches: drawn traces, two views of them for self-supervision."""
        if self.is_ssl:
            n_draws: int | None = 2
        else:
            n_draws = 1 if self.single_train else None
        rows = self.split.train
        if self.is_ssl and self.drop_last and len(rows) < self.batch_size:
            raise UserError(
                f"dataset.batch_size is {self.batch_size} but there are only {len(rows)} training events, "
                f"and pretraining drops incomplete batches; set dataset.batch_size={max(2, len(rows) // 2)} or less"
            )
        return self._loader(rows, n_draws, shuffle=True, drop_last=self.drop_last and len(rows) >= self.batch_size)

    def val_dataloader(self) -> DataLoader | list:
        """Batches of the dev part, as in the test; none where there is no dev part."""
        return self.evaluation_loader(self.split.dev) if len(self.split.dev) else []

    def test_dataloader(self) -> DataLoader:
        """Batches of the test part: all traces, or one drawn trace each."""
        return self.evaluation_loader(self.split.test)

    def evaluation_loader(self, rows: np.ndarray, single: bool | None = None) -> DataLoader:
        """Batches of chosen rows in their order.

        Args:
            rows: Row numbers, shape (N,).
            single: One drawn trace each instead of all; by default as ``return_single_spectrogram_test`` says.
        """
        single = self.single_test if single is None else single
        return self._loader(rows, 1 if single else None, shuffle=False, drop_last=False)

    def labelled(self, rows: np.ndarray) -> np.ndarray:
        """Those of ``rows`` that carry a label."""
        return rows[self._known[rows]]

    def training_labels(self) -> torch.Tensor:
        """The labels that an epoch of training meets, each as often as it does, (N,)."""
        return torch.from_numpy(self.labels[self.labelled(self.split.train)])

    def _loader(self, rows: np.ndarray, n_draws: int | None, shuffle: bool, drop_last: bool) -> DataLoader:
        rank, world_size = 0, 1
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        dataset = StoreDataset(
            self.ready_store, self.labels, self.facts.n_samples, self.seed, n_draws, self.in_channels
        )
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=EpochSampler(rows, self.seed, shuffle, rank, world_size),
            num_workers=self.num_workers,
            drop_last=drop_last,
            collate_fn=keep_batch,
            persistent_workers=self.num_workers > 0 and shuffle,
            pin_memory=torch.cuda.is_available(),
        )

    def _check_traces(self, store: Store) -> None:
        short = np.flatnonzero(store.n_traces < self.in_channels)
        if len(short):
            name = store.metadata["trace_name"].iloc[short[0]]
            raise UserError(
                f"{store.root}: record {name} has {store.n_traces[short[0]]} trace(s), fewer than in_channels="
                f"{self.in_channels}; set model_params.in_channels=1 or prepare the data with all components"
            )

    def _sampling_rate(self, store: Store) -> float:
        rates = np.unique(store.sampling_rate)
        if len(rates) > 1:
            listed = ", ".join(f"{rate:g}" for rate in rates)
            raise UserError(
                f"{store.root} mixes sampling rates ({listed} Hz); "
                f"prepare it again with --sampling-rate {rates[0]:g} so that one network can read all of it"
            )
        return float(rates[0])

    def _length(self, store: Store) -> int:
        if self.n_samples is not None:
            return self.n_samples
        lengths = np.unique(store.n_samples)
        if len(lengths) > 1:
            raise UserError(
                f"{store.root} holds records of {lengths[0]} to {lengths[-1]} samples; set dataset.n_samples to cut or "
                "pad them to one length, or prepare it again with --length"
            )
        return int(lengths[0])
