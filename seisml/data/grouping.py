"""Drawing whole groups of records (events, stations, stretches of time), stratified by class."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
import pandas as pd

from seisml.errors import UserError
from seisml.store.identity import event_ids, record_ids, start_times, text_column

# streams of random numbers, so that one draw never moves another
TEST, DEV, TRAIN, STATION_EVENTS, FOLDS, STATION_FOLDS = range(6)


class GroupDraw:
    """Draws whole groups of labelled rows, stratified by the set of classes that a group carries."""

    def __init__(self, metadata: pd.DataFrame, labels: np.ndarray, seed: int, unit: Literal["record", "event"]):
        self.metadata, self.labels, self.seed, self.unit = metadata, labels, seed, unit
        self.names = record_ids(metadata) if unit == "record" else event_ids(metadata)

    def groups(self, rows: np.ndarray, ratio: float, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """Take a share of the groups: rows taken, rows left. Every class is in both where it can be."""
        return self._take(rows, self.names[rows], ratio, stream, self.unit)

    def thinned(self, rows: np.ndarray, fraction: float) -> np.ndarray:
        """Keep a share of the groups: nested over shares, at least one per class."""
        names, inverse, strata = self._strata(rows, self.names[rows])
        order, n_cover = _stratified_order(strata, self._generator(TRAIN))
        return rows[np.isin(inverse, order[: max(n_cover, _rounded(fraction * len(names)))])]

    def stations(self, rows: np.ndarray, ratio: float, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """Take whole stations, and give each event seen on both sides to one of them."""
        stations = text_column(self.metadata, "station_code")[rows]
        if len(np.unique(stations)) < 2:
            raise UserError("dataset.split_by=station needs two or more values of station_code: use split_by=event")
        taken, left = self._take(rows, stations, ratio, stream, "station")
        shared = np.intersect1d(self.names[taken], self.names[left])
        if len(shared):
            both = rows[np.isin(self.names[rows], shared)]
            chosen, _ = self._take(both, self.names[both], ratio, STATION_EVENTS + stream, "event", strict=False)
            moved = np.isin(self.names, self.names[chosen])
            taken = taken[~np.isin(self.names[taken], shared) | moved[taken]]
            left = left[~moved[left]]
        if missing := set(self.labels[rows]) - set(self.labels[left]):
            raise UserError(f"class {min(missing)!r} is left with no training station: use dataset.split_by=event")
        return taken, left

    def last_in_time(self, rows: np.ndarray, ratio: float, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """Take the last events in time: rows taken, rows left."""
        events = pd.Series(start_times(self.metadata)[rows]).groupby(self.names[rows]).min().sort_values(kind="stable")
        late = events.index[len(events) - max(1, _rounded(ratio * len(events))) :]
        taken = np.isin(self.names[rows], np.asarray(late))
        if missing := set(self.labels[rows]) - set(self.labels[rows[~taken]]):
            raise UserError(f"class {min(missing)!r} occurs only in the last part in time: use dataset.split_by=event")
        return rows[taken], rows[~taken]

    def folds(self, rows: np.ndarray, n_folds: int, by_station: bool = False) -> np.ndarray:
        """Deal whole groups out to folds, those of each stratum evenly.

        Args:
            rows: (N,).
            n_folds: Number of folds.
            by_station: Deal stations, not events.

        Returns:
            Fold of each row, (N,) int64.

        Raises:
            UserError: There are fewer groups than folds.
        """
        groups = text_column(self.metadata, "station_code")[rows] if by_station else self.names[rows]
        names, inverse, strata = self._strata(rows, groups)
        unit = "station" if by_station else self.unit
        if len(names) < n_folds:
            raise UserError(f"evaluation.folds: {n_folds} folds of {len(names)} {unit}s; give {len(names)} or fewer")
        shuffled = self._generator(STATION_FOLDS if by_station else FOLDS).permutation(len(names))
        # dealt one after the other, stratum by stratum: neighbours in a stratum never share a fold
        dealt = sorted(shuffled.tolist(), key=lambda group: strata[group])
        fold = np.empty(len(names), np.int64)
        fold[dealt] = np.arange(len(names)) % n_folds
        return fold[inverse]

    def _take(
        self, rows: np.ndarray, groups: np.ndarray, ratio: float, stream: int, unit: str, strict: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        names, inverse, strata = self._strata(rows, groups)
        left = Counter(label for stratum in strata for label in stratum)
        if strict and stream == TEST and (rare := [label for label, count in sorted(left.items()) if count < 2]):
            cure = {"event": ", or set dataset.split_by=record", "station": ", or set dataset.split_by=event"}.get(
                unit, ""
            )
            raise UserError(
                f"class {rare[0]!r} has one {unit} only, which cannot both train and test: add {unit}s to it, or leave "
                f"the class out{cure}"
            )
        order, n_cover = _stratified_order(strata, self._generator(stream))
        count, chosen = max(n_cover, _rounded(ratio * len(names))), []
        for group in order:
            if len(chosen) < count and all(left[label] > 1 for label in strata[group]):  # one stays, to train on
                chosen.append(group)
                left.subtract(strata[group])
        taken = np.isin(inverse, chosen)
        return rows[taken], rows[~taken]

    def _strata(self, rows: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[tuple[str, ...]]]:
        names, inverse = np.unique(groups.astype(str), return_inverse=True)
        pairs = (
            pd.DataFrame({"group": inverse, "label": self.labels[rows]})
            .drop_duplicates()
            .sort_values(["group", "label"])
        )
        return names, inverse, list(pairs.groupby("group")["label"].agg(tuple))

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])


def _stratified_order(strata: list[tuple[str, ...]], generator: np.random.Generator) -> tuple[np.ndarray, int]:
    """Order groups so that every prefix is stratified; the first ``n`` (returned too) cover all classes."""
    sizes, ranks = Counter(strata), Counter()
    shuffled = generator.permutation(len(strata))
    keys = np.empty(len(strata))
    for position, group in enumerate(shuffled):
        keys[position] = (ranks[strata[group]] + 0.5) / sizes[strata[group]]
        ranks[strata[group]] += 1
    order = shuffled[np.argsort(keys, kind="stable")]
    covered: set[str] = set()
    first = []
    for group in order:
        if not covered.issuperset(strata[group]):
            covered.update(strata[group])
            first.append(group)
    return np.concatenate([first, order[~np.isin(order, first)]]).astype(np.int64), len(first)


def _rounded(value: float) -> int:
    return int(np.floor(value + 0.5 + 1e-9))
