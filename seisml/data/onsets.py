"""Windows around onsets: where a training window is moved to, so that something happens in it.

Records are mostly noise: of windows drawn evenly few hold an event, and what tells one stretch of noise from another is
little worth learning. An onset is where the power jumps: the mean power of a short window over that of the long one
before it (STA/LTA; Allen 1978, "Automatic earthquake recognition and timing from single traces", BSSA 68, 1521-1532).
The power is that of the trace's first differences: they flatten the spectrum, in which slow noise would drown the jump.
"""

from __future__ import annotations

import numpy as np
import torch

from seisml.data.windows import Windows
from seisml.store.store import Store
from seisml.transforms.randomness import uniform

BLOCKS = 80  # of a window: jumps are looked for from block to block, a quarter of a second in 20 s
SHORT, LONG = 4, 40  # blocks of the short and the long window: 1 s and 10 s in 20 s
LEAST_JUMP = 4.0  # ratio of powers; less does not count as an onset
LEAST_MOVING = 0.1  # share of the long window's samples that must change: a gap is nothing to compare with
SAMPLES_IN_CACHE = 2**16  # as float32, a quarter of a MiB
STRETCH = 5  # windows around the drawn one in which an onset is looked for
EARLIEST, LATEST = 0.05, 0.6  # where in its window an onset comes to lie, as fractions of the length


class Onsets:
    """Moves a share of the windows, each to the largest jump of power around it.

    What is moved where depends on the sample's key and the seed alone. Of each window that is to move, a stretch of
    :data:`STRETCH` windows of one drawn trace is read; where the power nowhere jumps, the window stays.

    Args:
        store: Where the records are.
        windows: Windows that the keys are of; a moved one stays in its stretch.
        n_samples: Samples of a window.
        share: Share of the windows that are to move.
        seed: Seed of what is drawn.
    """

    def __init__(self, store: Store, windows: Windows, n_samples: int, share: float, seed: int) -> None:
        self.store, self.windows, self.n_samples = store, windows, n_samples
        self.share, self.seed = share, seed

    def place(self, epoch: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """First samples of the windows with these keys, (B,) each, moved or not: (B,) int64."""
        keys = [torch.tensor(column) for column in (epoch, rows, starts)]
        drawn = uniform(self.seed, keys[0], keys[1], "onset", 3, keys[2]).double().numpy()
        whether, which, where = drawn.T
        moving = np.flatnonzero(whether < self.share)
        if not len(moving):
            return starts
        length = self.n_samples
        lows, highs = self.windows.bounds(rows[moving], starts[moving])
        ends = highs + length  # one beyond the stretch's last sample
        begins = np.clip(starts[moving] - (STRETCH // 2) * length, lows, np.maximum(lows, ends - STRETCH * length))
        lengths = np.minimum(STRETCH * length, ends - begins)
        traces = (which[moving] * self.store.n_traces[rows[moving]]).astype(np.int64)
        waveform = self.store.read_traces(rows[moving], traces[:, None], begins, int(lengths.max()))[:, 0]
        onset, jump = largest_jumps(waveform, lengths, max(1, length // BLOCKS))
        lead = ((EARLIEST + (LATEST - EARLIEST) * where[moving]) * length).astype(np.int64)
        placed = np.clip(begins + onset - lead, lows, highs)
        out = np.array(starts)
        out[moving] = np.where(jump >= LEAST_JUMP, placed, starts[moving])
        return out


def largest_jumps(waveform: np.ndarray, lengths: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Find where the power of each trace jumps most.

    Args:
        waveform: (B, T).
        lengths: Samples of each trace before any padding, (B,).
        block: Samples of a block.

    Returns:
        The sample at which the short window begins, and the ratio of the two windows' powers, (B,) each; a trace that
        is too short, or that holds a sample which is not a number, has ratio 0.
    """
    n_traces, n_blocks = len(waveform), waveform.shape[1] // block
    if n_blocks < SHORT + LONG:
        return np.zeros(n_traces, np.int64), np.zeros(n_traces)
    power, moving = _power(waveform[:, : n_blocks * block], block)
    moves = _sums(moving)  # powers are those of samples that change: gaps do not count
    with np.errstate(all="ignore"):  # samples that are not numbers are refused where they are handed out
        short, long = (energy / count for energy, count in zip(_sums(power), moves, strict=True))
        ratio = short / long
    last = LONG + np.arange(ratio.shape[1]) + SHORT  # blocks that a place needs
    still = moves[1] < LEAST_MOVING * LONG * block
    ratio[~np.isfinite(ratio) | still | (last * block > lengths[:, None])] = 0.0
    place = ratio.argmax(axis=1)
    return (LONG + place) * block, ratio[np.arange(n_traces), place]


def _power(waveform: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Squares of first differences, and how many of them are not zero, summed over blocks: (B, n_blocks) float32 each.

    Args:
        waveform: (B, T), whole blocks.
        block: Samples of a block.
    """
    n_traces, n_samples = waveform.shape
    power, moving = np.empty((2, n_traces, n_samples // block), np.float32)
    at_once = max(1, SAMPLES_IN_CACHE // n_samples)
    step = np.zeros((min(at_once, n_traces), n_samples), np.float32)
    for begin in range(0, n_traces, at_once):
        some = waveform[begin : begin + at_once]
        np.subtract(some[:, 1:], some[:, :-1], out=step[: len(some), 1:])
        blocks = step[: len(some)].reshape(len(some), -1, block)
        np.einsum("bnk,bnk->bn", blocks, blocks, out=power[begin : begin + at_once])
        np.einsum("bnk->bn", (blocks != 0).astype(np.float32), out=moving[begin : begin + at_once])
    return power, moving


def _sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the short window from each block on, and over the long one before it: (B, N - S - L + 1) each."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)
    here = total[:, LONG : total.shape[1] - SHORT]
    return total[:, LONG + SHORT :] - here, here - total[:, : -LONG - SHORT]
