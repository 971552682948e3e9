"""Events that other data sets keep for their tests, and pretraining must not see: told by name, time and content.

A station's hours and the windows cut from them are two stores of the same ground motion. An encoder that is to be
tested on the windows must not be pretrained on those hours, whatever their records are called. Where times are not
known, records that stand in two stores are told by what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.errors import UserError
from seisml.files import original, write_frame
from seisml.store.content import content_hashes, known_content
from seisml.store.identity import event_ids, text_column, times_in_microseconds
from seisml.store.store import Store

SECOND = 1_000_000  # in the microseconds that times are counted in
KEY = "dataset.hold_out"


@dataclass(frozen=True)
class HoldOut:
    """What is not to be seen.

    Attributes:
        events: Names (``source_id``), ascending.
        begin: First moment of each stretch of time, (M,) int64 in microseconds since 1970; they neither overlap nor
            touch, and stand in order.
        end: Last moment of each, (M,).
        content: Hashes of traces, ascending; see :func:`seisml.store.content.content_hashes`.
    """

    events: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    content: np.ndarray

    @classmethod
    def of(
        cls, events: np.ndarray, time: np.ndarray, seconds: np.ndarray, content: np.ndarray | None = None
    ) -> HoldOut:
        """From events (N,), starts (M,) in microseconds, lengths (M,) in seconds, and hashes of traces (K,)."""
        order = np.argsort(time, kind="stable")
        begin, end = time[order], (time + np.ceil(seconds * SECOND).astype(np.int64))[order]
        latest = np.maximum.accumulate(end)
        new = np.flatnonzero(np.concatenate([np.ones(min(1, len(begin)), bool), begin[1:] > latest[:-1]]))
        last = np.concatenate([new[1:], [len(begin)]]) - 1 if len(new) else new
        hashes = known_content(np.empty(0, np.int64) if content is None else content)
        return cls(np.unique(events[events != ""].astype(str)), begin[new], latest[last], hashes)

    @classmethod
    def read(cls, paths: Sequence[str]) -> HoldOut:
        """Read what ``dataset.hold_out`` names.

        Args:
            paths: Each a run's ``split.csv``, of which the dev and test records count, or the folder of a prepared
                store, of which all do.

        Raises:
            UserError: One is missing or neither of them.
        """
        found = [_of_store(path) if Path(path).is_dir() else _of_split(path) for path in paths]
        return cls.of(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def left_in(self, store: Store, rows: np.ndarray, by_time: bool) -> np.ndarray:
        """Those of the rows (N,) that may train.

        Args:
            store: What they are rows of.
            rows: Of the training part.
            by_time: Leave out records that share a moment with what is held out, too; else see :meth:`cut`.
        """
        events = event_ids(store.metadata)
        kept = rows[~np.isin(events[rows].astype(str), self.events)]
        if len(self.content):
            hashes, row = content_hashes(store, kept)
            kept = kept[~np.isin(events[kept], events[row[np.isin(hashes, self.content)]])]
        if not by_time or not len(self.begin):
            return kept
        time, known = times_in_microseconds(store.metadata)
        begin = time[kept]
        end = begin + (store.n_samples[kept] / store.sampling_rate[kept] * SECOND).astype(np.int64)
        first = np.searchsorted(self.end, begin)  # the first stretch that does not end before the record
        shared = (first < len(self.begin)) & (self.begin[np.minimum(first, len(self.begin) - 1)] <= end)
        return kept[~(shared & known[kept])]

    def cut(
        self, store: Store, row: np.ndarray, begin: np.ndarray, end: np.ndarray, margin: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take what is held out from stretches of records; what is left of one may be several.

        Args:
            store: What the records are of.
            row: Record of each stretch, (S,).
            begin: Its first sample, (S,).
            end: One beyond its last sample, (S,).
            margin: Seconds to keep away to either side.

        Returns:
            Row, first sample, and one beyond the last of each stretch that is left, (R,) each.
        """
        time, known = times_in_microseconds(store.metadata)
        rate = store.sampling_rate[row]
        low, high = (time[row] + (edge / rate * SECOND).astype(np.int64) for edge in (begin, end))
        aside = round(margin * SECOND)
        first, beyond = np.searchsorted(self.end, low - aside), np.searchsorted(self.begin, high + aside, side="right")
        touched = np.flatnonzero((first < beyond) & known[row])
        pieces = [(row, begin, end)]
        for s in touched.tolist():
            held = slice(first[s], beyond[s])
            out = np.floor((self.begin[held] - aside - time[row[s]]) / SECOND * rate[s]).astype(np.int64)
            back = np.ceil((self.end[held] + aside - time[row[s]]) / SECOND * rate[s]).astype(np.int64) + 1
            starts = np.maximum(np.concatenate([[begin[s]], back]), begin[s])
            ends = np.minimum(np.concatenate([out, [end[s]]]), end[s])
            pieces.append((np.full(len(starts), row[s]), starts, ends))
        whole = np.ones(len(row), bool)
        whole[touched] = False
        pieces[0] = (row[whole], begin[whole], end[whole])
        row, begin, end = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.lexsort((begin, row))
        order = order[end[order] > begin[order]]
        return row[order], begin[order], end[order]


def write_held_out(path: str | Path, store: Store, rows: np.ndarray) -> Path:
    """List what must not be trained on, as ``dataset.hold_out`` reads it: a ``split.csv`` with the content of traces.

    Args:
        path: The file.
        store: The store that they are rows of.
        rows: Rows of the test part, (N,).
    """
    content, row = content_hashes(store, rows)
    columns = {name: text_column(store.metadata, name)[row] for name in ("source_id", "trace_start_time")}
    table = pd.DataFrame({"part": "test", "row": row, **columns, "content": content})
    table["trace_duration_s"] = store.n_samples[row] / store.sampling_rate[row]
    table["source_id"] = event_ids(store.metadata)[row]
    return write_frame(path, table)


def _of_store(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Events, starts, lengths and content of all records of a store."""
    try:
        store = Store(path)
    except UserError as error:
        raise UserError(f"{KEY}: {error}") from error
    time, known = times_in_microseconds(store.metadata)
    seconds, (content, _) = store.n_samples / store.sampling_rate, content_hashes(store, np.arange(len(store)))
    return text_column(store.metadata, "source_id"), time[known], seconds[known], content


def _of_split(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Events, starts and lengths of the dev and test records of a split, and their content where it is listed."""
    wanted = {"part", "source_id", "trace_start_time", "trace_duration_s", "content"}
    try:
        table = pd.read_csv(path, usecols=lambda name: name in wanted, dtype={"part": str, "source_id": str})
        table = table[table["part"].isin(["dev", "test"])].reset_index(drop=True)
        seconds = table["trace_duration_s"].to_numpy(float)
        content = table["content"].to_numpy(np.int64) if "content" in table else np.empty(0, np.int64)
        time, known = times_in_microseconds(table)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{KEY}: {path} is neither a prepared store nor a table of part, source_id, trace_start_time and "
            f"trace_duration_s ({error}); give a store's folder or a run's split.csv"
        ) from error
    known = known & np.isfinite(seconds) & (seconds >= 0)
    events = table["source_id"].fillna("").map(original).to_numpy(object)
    return events, time[known], seconds[known], content
