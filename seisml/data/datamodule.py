"""The data module of every prepared store: batches to train on, to choose by and to test on."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader

from seisml.data.dataset import StoreDataset
from seisml.data.loaders import make_loader, share_out
from seisml.data.prepared import PreparedRecords
from seisml.data.sampling import EpochSampler
from seisml.data.training_reads import TrainingReads
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.processes.collectives import this_process
from seisml.tasks.base import Part
from seisml.values.ranges import Count, Share, Whole

TRAINED_WINDOWS = 1000  # windows of the training part that a trained model is scored on, at most


class StoreDataModule(PreparedRecords):
    """Batches of the windows of a prepared store.

    Args:
        root: Folder of the store.
        batch_size: Events per batch; several processes share it.
        num_workers: Worker processes that read batches.
        return_single_spectrogram_train: Train on one randomly drawn trace per event; all its traces where false.
        return_single_spectrogram_test: Test on one drawn trace per event; the ensemble over all where false.
        n_views: Traces drawn from each event in pretraining, with replacement.
        drop_last: Leave out the last batch of a training epoch where it is incomplete; by default in pretraining only.
            Supervised training on less than one batch keeps it.
        random_starts: Move each training window at random within its share of the record, anew in every epoch.
        onset_share: Share of the training windows that are moved, anew in every epoch, to the largest jump of power
            around them, which then lies 5 to 60 % into the window; see :mod:`seisml.data.onsets`.
        views_from: Pretraining reads the second view of a sample from the same ``record``, or from another one of the
            same ``event`` (``source_id``) at the same time (``trace_start_time``) where one covers the window.
        pair_share: Share of the samples whose second view is to come from another record, with ``views_from=event``.
        view_jitter: The second view begins up to so many seconds before or after the first one's time.
        recorded_noise: Class whose training records give the noise that the augmentation RecordedNoise mixes in, or
            ``any`` for windows of all of them; with one, each batch carries as much noise as waveforms. Null: none.
        dead_traces: ``skip`` neither draws traces that are constant over a window nor counts them in an ensemble, and
            leaves out windows that have no other; ``keep`` takes them.
        seed: Seed of the order of events and of the drawn traces.
        **kwargs: See :class:`seisml.data.prepared.PreparedRecords`.

    Attributes:
        done: Epoch in which training begins, and batches of it that are done already: those of a run that is resumed.
    """

    done: tuple[int, int] = (0, 0)

    def __init__(
        self,
        root: str,
        batch_size: Count = 64,
        num_workers: Whole = 0,
        return_single_spectrogram_train: bool = True,
        return_single_spectrogram_test: bool = False,
        n_views: Literal[1, 2] = 2,
        drop_last: bool | None = None,
        random_starts: bool = False,
        onset_share: Share = 0.0,
        views_from: Literal["record", "event"] = "record",
        pair_share: Share = 1.0,
        view_jitter: float = 0.0,
        recorded_noise: str | None = None,
        dead_traces: Literal["skip", "keep"] = "skip",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(root, **kwargs)
        self.batch_size, self.drop_last = batch_size, self.is_ssl if drop_last is None else drop_last
        self.num_workers, self.seed, self.dead_traces = num_workers, seed, dead_traces
        self.single_train, self.single_test = return_single_spectrogram_train, return_single_spectrogram_test
        self.n_views, self.random_starts = n_views, random_starts
        reads = TrainingReads(onset_share, views_from, pair_share, view_jitter, recorded_noise)
        self.reads, self.reach = reads.checked(n_views if self.is_ssl else None), view_jitter

    def train_dataloader(self) -> DataLoader:
        """Shuffled training batches: drawn traces, two views of them for self-supervision."""
        sampler = self.train_sampler()
        sampler.done = (self.done[0], self.done[1] * self.batch_size)
        sampler.set_epoch(0)
        n = sampler.total
        if self.is_ssl and self.drop_last and n < self.batch_size:
            raise UserError(
                f"dataset.batch_size is {self.batch_size} but there are only {n} training events, "
                f"and pretraining drops incomplete batches; set dataset.batch_size={max(2, n // 2)} or less"
            )
        drop_last = self.drop_last and n >= self.batch_size
        share = share_out(sampler, self.batch_size, drop_last)
        return make_loader(self.training_dataset(), sampler, share, self.num_workers, drop_last)

    def training_dataset(self) -> StoreDataset:
        """What reads training batches: drawn traces, two views of them for self-supervision."""
        if self.is_ssl:
            n_draws: int | None = self.n_views
        else:
            n_draws = 1 if self.single_train else None
        dataset = self.dataset(n_draws)
        self.reads.set_up(dataset, self.split.train, self.windows, self.facts.sampling_rate, self.is_cut)
        return dataset

    def first_samples(self, most: int) -> DataLoader:
        """Batches of the first samples of the first epoch, as training reads them: the same in each process and resume.

        Args:
            most: Samples that there are at most.
        """
        sampler = self.train_sampler()
        sampler.rank, sampler.world_size, sampler.most = 0, 1, most
        return make_loader(self.training_dataset(), sampler, self.batch_size, 0)

    def train_sampler(self) -> EpochSampler:
        """The order in which training goes through its windows."""
        windows = self.windows(self.split.train)
        return EpochSampler(windows, self.seed, True, *this_process(), self.random_starts)

    def val_dataloader(self) -> DataLoader | list:
        """Batches of the dev part, as in the test; none where there is no dev part."""
        return self.evaluation_loader(self.split.dev) if len(self.split.dev) else []

    def test_dataloader(self) -> DataLoader:
        """Batches of the test part: all traces, or one drawn trace each."""
        return self.evaluation_loader(self.split.test)

    def lasting_loaders(self, augmented: bool = False) -> list[DataLoader]:
        """Batches of all traces of the windows that epochs come back to, as they are: of the dev part, and of training.

        Each process has its share of the windows.

        Args:
            augmented: Training changes its waveforms, and so comes back to none; neither does it where windows move.
        """
        loaders = [self.evaluation_loader(rows, single=False) for rows in self._lasting_parts(augmented) if len(rows)]
        for loader in loaders:
            loader.sampler.rank, loader.sampler.world_size = this_process()
        return loaders

    def lasting_places(self, augmented: bool, most: int) -> torch.Tensor | None:
        """Where the traces of :meth:`lasting_loaders` of all processes lie, found without reading them, dead ones too.

        Returns:
            Record, first sample and first trace of each unit of ``in_channels`` traces, (N, 3) int64; None where there
            are more than ``most``.
        """
        found = []
        for windows in map(self.windows, self._lasting_parts(augmented)):
            n_units = self.ready_store.n_traces // self.in_channels  # of each record
            most -= int(np.sum(windows.counts * n_units[windows.row]))
            if most < 0:
                return None
            rows, starts = windows.keys(np.arange(len(windows)))
            counts = n_units[rows]  # units are numbered in each record by itself
            number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            places = np.repeat(np.stack([rows, starts], axis=1), counts, axis=0)
            found.append(np.column_stack([places, number * self.in_channels]))
        return torch.from_numpy(np.concatenate(found))

    def training_lasts(self, augmented: bool = False) -> bool:
        """Whether epochs come back to all windows of training, as they are."""
        return not self._moves(augmented) and bool(self._known[self.split.train].all())

    def _lasting_parts(self, augmented: bool) -> list[np.ndarray]:
        """Rows whose windows epochs come back to: of the dev part, and of training."""
        return [self.split.dev, *([] if self._moves(augmented) else [self.labelled(self.split.train)])]

    def _moves(self, augmented: bool) -> bool:
        """Whether training looks at other waveforms in every epoch."""
        return augmented or self.random_starts or self.reads.onset_share > 0

    def loader_of(self, part: Part) -> DataLoader | None:
        """Batches of a part as in the test; ``train`` draws windows, no more than the test part has. None without any.

        So many training windows tell how much better a model knows what it has seen, at the price of the test.
        """
        rows = {"train": self.labelled(self.split.train), "dev": self.split.dev, "test": self.split.test}[part]
        windows = self.windows(rows)
        if part == "test" and self.tested is not self:
            return self.tested.loader_of(part)
        if not len(windows):
            return None
        if part != "train":
            return self.evaluation_loader(rows)
        most = min(len(self.tested.windows(self.tested.split.test)), TRAINED_WINDOWS)
        drawn = np.random.default_rng([self.seed, 8]).permutation(len(windows))[:most]
        rows, starts = windows.keys(np.sort(drawn))
        return self.evaluation_loader(rows, starts=starts) if most else None

    def evaluation_loader(
        self, rows: np.ndarray, single: bool | None = None, starts: np.ndarray | None = None
    ) -> DataLoader:
        """Batches of the windows of chosen rows, in their order.

        Args:
            rows: Row numbers, shape (N,).
            single: One drawn trace each instead of all; by default as ``return_single_spectrogram_test`` says.
            starts: First samples, (N,), where one window of each row is wanted and not all of them.
        """
        single = self.single_test if single is None else single
        windows = self.windows(rows) if starts is None else Windows.at(rows, starts)
        dataset = self.dataset(1 if single else None)
        sampler = EpochSampler(windows, self.seed, shuffle=False)  # each process sees everything
        return make_loader(dataset, sampler, self.batch_size, self.num_workers)

    def dataset(self, n_draws: int | None) -> StoreDataset:
        """What reads batches; a data set whose target changes along a record returns one of another kind.

        Args:
            n_draws: Draws of one view from each event; ``None`` hands out all its traces.
        """
        return StoreDataset(
            self.ready_store, self.labels, self.facts.n_samples, self.seed, n_draws, self.in_channels, self.dead_traces,
            self.n_pieces,
        )  # fmt: skip

    def labels_of(self, windows: Windows, numbers: np.ndarray | None = None) -> torch.Tensor:
        """Labels of windows, (N,); of those with these numbers, where they are given."""
        numbers = np.arange(len(windows)) if numbers is None else numbers
        return torch.from_numpy(self.dataset(None).target(*windows.keys(numbers)))

    def training_labels(self) -> torch.Tensor:
        """The labels that an epoch of training meets, each as often as it does, (N,)."""
        return self.labels_of(self.windows(self.labelled(self.split.train)))
