"""What the records of a store must have in common, so that one network reads them all."""

from __future__ import annotations

import numpy as np

from seisml.data.windows import window_samples
from seisml.errors import UserError
from seisml.store.store import Store


def check_traces(store: Store, in_channels: int) -> None:
    """Refuse a store with records that have fewer traces than the network sees at once."""
    short = np.flatnonzero(store.n_traces < in_channels)
    if len(short):
        name = store.metadata["trace_name"].iloc[short[0]]
        raise UserError(
            f"{store.root}: record {name} has {store.n_traces[short[0]]} trace(s), fewer than in_channels="
            f"{in_channels}; set model_params.in_channels=1 or prepare the data with all components"
        )


def channels_together(store: Store) -> int:
    """Traces that belong together: 3 where all records are ZNE, else 1."""
    order = store.metadata.get("trace_component_order")
    return 3 if order is not None and (order == "ZNE").all() else 1


def one_sampling_rate(store: Store) -> float:
    """The sampling rate of all records, in Hz; refuse a store that mixes rates."""
    rates = np.unique(store.sampling_rate)
    if len(rates) > 1:
        listed = ", ".join(f"{rate:g}" for rate in rates)
        raise UserError(
            f"{store.root} mixes sampling rates ({listed} Hz); "
            f"prepare it again with --sampling-rate {rates[0]:g} so that one network can read all of it"
        )
    return float(rates[0])


def one_length(store: Store, n_samples: int | None, window_length: float | None = None, overlap: float = 0.0) -> int:
    """The length of what the network sees, in samples; refuse a store that mixes lengths where nothing says it.

    Args:
        store: Its records have one sampling rate.
        n_samples: The length asked for; None for that of all records.
        window_length: The same in s, for windows of records.
        overlap: Share of a window that the next one repeats.
    """
    if window_length is not None:
        if n_samples is not None:
            raise UserError("dataset.n_samples and dataset.window_length both say the length; set one to null")
        return window_samples(window_length, overlap, float(store.sampling_rate[0]), store)
    if n_samples is not None:
        return n_samples
    lengths = np.unique(store.n_samples)
    if len(lengths) > 1:
        raise UserError(
            f"{store.root} holds records of {lengths[0]} to {lengths[-1]} samples; set dataset.window_length to cut "
            "them into windows or dataset.n_samples to cut or pad them to one length, or prepare it again with --length"
        )
    return int(lengths[0])


def check_pieces(n_samples: int, n_pieces: int) -> None:
    """Refuse windows that do not part into equal pieces."""
    if n_samples % n_pieces:
        raise UserError(
            f"dataset.n_pieces: windows of {n_samples} samples do not part into {n_pieces} equal pieces; take another "
            f"number, or windows of {n_samples - n_samples % n_pieces} samples (dataset.window_length)"
        )
