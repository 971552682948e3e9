"""What training reads otherwise than the test: windows at onsets, second views elsewhere, noise beside each view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seisml.data.dataset import StoreDataset
from seisml.data.onsets import Onsets
from seisml.data.pairs import SecondViews, event_samples, jitter_samples, partners_across_events
from seisml.data.windows import Windows
from seisml.errors import UserError, nearest

ANY = "any"  # in place of a class: whatever is recorded may be noise to another window


@dataclass(frozen=True)
class TrainingReads:
    """The settings; see the arguments of :class:`seisml.data.datamodule.StoreDataModule` of the same names."""

    onset_share: float = 0.0
    views_from: Literal["record", "event"] = "record"
    pair_share: float = 1.0
    view_jitter: float = 0.0
    recorded_noise: str | None = None

    def checked(self, n_views: int | None) -> TrainingReads:
        """These settings; refuse to place a second view where pretraining has but one. None: there is no pretraining.

        Raises:
            UserError: Says so.
        """
        if n_views == 1 and (self.views_from == "event" or self.view_jitter):
            raise UserError("dataset.views_from and view_jitter place the second view, and n_views is 1; set it to 2")
        return self

    def set_up(
        self,
        dataset: StoreDataset,
        rows: np.ndarray,
        windows: Callable[[np.ndarray], Windows],
        sampling_rate: float,
        are_cut: bool,
    ) -> None:
        """Make a data set read as training does.

        Args:
            dataset: What reads the batches; where it draws two views of a sample, the second may lie elsewhere.
            rows: The training part, (N,).
            windows: Gives the windows of rows.
            sampling_rate: In Hz.
            are_cut: Whether records are cut into windows.
        """
        dataset.noise = self._noise(dataset, rows, windows)
        dataset.onsets = self._onsets(dataset, windows(rows) if are_cut else None)
        if dataset.n_draws == 2:
            dataset.second_views = self._second_views(dataset, rows, sampling_rate)

    def _onsets(self, dataset: StoreDataset, windows: Windows | None) -> Onsets | None:
        """What moves windows to onsets, where that is asked for."""
        if not self.onset_share:
            return None
        if windows is None:
            raise UserError(
                f"dataset.onset_share={self.onset_share:g} moves windows, and whole records stay where they are; cut "
                "them into windows with dataset.window_length, or set dataset.onset_share=0"
            )
        return Onsets(dataset.store, windows, dataset.n_samples, self.onset_share, dataset.seed)

    def _second_views(self, dataset: StoreDataset, rows: np.ndarray, sampling_rate: float) -> SecondViews | None:
        """Where second views are read, where not from the first one's window."""
        jitter, length = jitter_samples(self.view_jitter, sampling_rate), dataset.n_samples
        if self.views_from == "event":
            partners = partners_across_events(dataset.store, rows, sampling_rate, length)
            noise_until = event_samples(dataset.store)
            return SecondViews(length, partners, jitter, self.pair_share, noise_until)
        return SecondViews(length, None, jitter) if jitter else None

    def _noise(
        self, dataset: StoreDataset, rows: np.ndarray, windows: Callable[[np.ndarray], Windows]
    ) -> Windows | None:
        """Windows of the training part that are mixed into others as noise, where that is asked for."""
        if self.recorded_noise is None:
            return None
        names = dataset.store.metadata["trace_category"].to_numpy(str)[rows]
        any_window = self.recorded_noise == ANY and ANY not in names
        found = windows(rows if any_window else rows[names == self.recorded_noise])
        if not len(found):
            raise UserError(
                f"dataset.recorded_noise: the training part has no window of class {self.recorded_noise!r}; "
                f"{nearest(self.recorded_noise, sorted(set(names)))}"
            )
        return found
