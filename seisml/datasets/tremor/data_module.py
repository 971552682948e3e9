"""Triggered tremor: the data module of the published HDF5 file (one component, 1000 s, tremor or none)."""

from __future__ import annotations

from typing import Any, Literal

from seisml.data.balanced import BalancedDataModule
from seisml.datasets.tremor.file import CLASSES, STATION_PART, TremorFile
from seisml.errors import UserError


class TremorDataModule(BalancedDataModule):
    """Windows of a tremor file, split by event.

    Args:
        root: The HDF5 file; see :class:`TremorFile`.
        train_data_ratio: Share of the events to train on.
        test_data_ratio: Share of the events to test on.
        split_procedure: See :class:`StoreDataModule`.
        split_by: ``event`` keeps the windows of an event together (its stations, its hours); ``record`` does not.
        sampling_rate: Sampling rate in Hz, where the file does not say it.
        station_part: Regular expression of what in ``source`` names the station; the rest is the event.
        balanced: Give every training batch as many tremor windows as others.
        **kwargs: See :class:`StoreDataModule`.
    """

    def __init__(
        self,
        root: str,
        train_data_ratio: float = 0.7,
        test_data_ratio: float = 0.3,
        split_procedure: Literal["stratified", "fixed_test"] = "fixed_test",
        split_by: Literal["record", "event"] = "event",
        sampling_rate: float | None = None,
        station_part: str = STATION_PART,
        balanced: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            root,
            balanced,
            train_data_ratio=train_data_ratio,
            test_data_ratio=test_data_ratio,
            split_procedure=split_procedure,
            split_by=split_by,
            **{"classes": CLASSES, **kwargs},
        )
        self.sampling_rate, self.station_part = sampling_rate, station_part

    def open_store(self) -> TremorFile:
        """Open the file.

        Raises:
            UserError: Where it does not hold what it should.
        """
        store = TremorFile(self.root, self.sampling_rate, self.station_part)
        names = store.metadata["trace_category"].unique()
        if len(names) < 2:
            raise UserError(
                f"{self.root}: all {len(store)} windows are {names[0]!r}; training needs others beside them"
            )
        return store

    def how_to_make(self) -> str:
        """Say how the file is made."""
        return "make one with `seisml prepare tremor` or point dataset.root=... at yours"
