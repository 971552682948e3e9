"""What a record holds, as a number: two stores that share recordings are found out whatever they call them."""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np

PIECE = 1024  # samples in the middle of a record that tell it from others
LEAST_TURNS = 32  # changes between rising and falling below which a piece is too smooth to tell
UNKNOWN = 0
BATCH = 2**14  # traces read at a time


class Readable(Protocol):
    """What is needed of a store."""

    n_traces: np.ndarray
    n_samples: np.ndarray

    def read_traces(self, rows: np.ndarray, traces: np.ndarray, start: np.ndarray, n_samples: int) -> np.ndarray:
        """See :meth:`seisml.store.store.Store.read_traces`."""


def content_hashes(store: Readable, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hash each trace of some records by where its samples rise: a gain, an offset and a unit change nothing.

    The middle 1024 samples are looked at, or all where there are fewer. Another filter, sampling rate or cut gives
    another number: records of one event that were prepared differently share its name, not this.

    Args:
        store: The store.
        rows: Rows of it, (N,).

    Returns:
        Hash of each trace, (M,) int64, 0 where a trace is too smooth (or dead) to tell; and its row, (M,).
    """
    row = np.repeat(np.asarray(rows, np.int64), store.n_traces[rows])
    first = np.cumsum(store.n_traces[rows]) - store.n_traces[rows]
    trace = np.arange(len(row)) - np.repeat(first, store.n_traces[rows])
    length = np.minimum(PIECE, store.n_samples[row])
    start = (store.n_samples[row] - length) // 2
    hashes = np.full(len(row), UNKNOWN, np.int64)
    for some in (np.arange(at, min(at + BATCH, len(row))) for at in range(0, len(row), BATCH)):
        piece = store.read_traces(row[some], trace[some, None], start[some], PIECE)[:, 0]
        rises = np.diff(piece, axis=1) > 0  # beyond a shorter record's end: zeros
        rises &= np.arange(PIECE - 1) < length[some, None] - 1
        turns = (rises[:, 1:] != rises[:, :-1]).sum(axis=1)
        for place, bits in zip(
            some[turns >= LEAST_TURNS], np.packbits(rises[turns >= LEAST_TURNS], axis=1), strict=True
        ):
            digest = hashlib.blake2b(bits.tobytes(), digest_size=8).digest()
            hashes[place] = np.frombuffer(digest, "<i8")[0]
    return hashes, row


def known_content(hashes: np.ndarray) -> np.ndarray:
    """Each hash once, without those that tell nothing."""
    return np.setdiff1d(hashes, [UNKNOWN])
