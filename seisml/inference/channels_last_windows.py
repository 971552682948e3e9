"""Windows through one-dimensional networks: normalised on the way into small batches, one batch for each core."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from seisml.inference.channels_last import ChannelsLastNetwork
from seisml.inference.window_grid import WindowGrid, window_view
from seisml.methods.supervised import Supervised
from seisml.transforms.waveform import WaveformFrontEnd
from seisml.waveforms.preprocessing import Preprocessing

_TILE = 128  # longest stretch of samples whose factors are written out side by side


class ChannelsLastWindows:
    """Predicts windows with a classifier on waveforms, by :class:`ChannelsLastNetwork`.

    A window's mean and size come from sums over blocks of samples that windows share. Each of PyTorch's threads works
    on one batch: layers this small would wait for one another longer than they compute.

    Args:
        method: A trained method behind a :class:`WaveformFrontEnd`.
        grid: The windows.
        batch_size: Windows in a batch.
        preprocessing: Says which trend goes from each window. A mean needs no further step; a straight line is fitted
            window by window, which shared sums cannot do: the network stays fast, its input costs more.

    Raises:
        Unconvertible: The encoder has a layer without counterpart.
    """

    def __init__(
        self,
        method: Supervised,
        grid: WindowGrid,
        batch_size: int,
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    ) -> None:
        self.method, self.grid, self.batch_size, self.preprocessing = method, grid, batch_size, preprocessing
        self._networks: dict[tuple[torch.dtype, int], ChannelsLastNetwork] = {}
        self._network(torch.float32, 0)

    def __call__(
        self, waveform: np.ndarray, usable: np.ndarray, wanted: np.ndarray, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Predict windows of a piece of record.

        Args:
            waveform: (C, n) float32.
            usable: (N, C): components that are not (false) are zeros to the network.
            wanted: (N,) numbers of the windows, ascending.
            dtype: In which the encoder computes.

        Returns:
            Log-probabilities (N, n_classes).
        """
        out = torch.empty(len(wanted), self.method.n_classes)
        backwards = self._network(dtype, 0).backwards
        if backwards:  # the last sample and the last window first
            n_windows = (waveform.shape[1] - self.grid.n_samples) // self.grid.step_samples + 1
            waveform = waveform[:, : self.grid.span(n_windows)][:, ::-1]
            usable, wanted = usable[::-1].copy(), n_windows - 1 - wanted[::-1]
        windows: _Windows | _StraightenedWindows
        if self.preprocessing.detrend == "linear":
            windows = _StraightenedWindows(waveform, self, wanted, usable)
        else:
            demean = self.preprocessing.detrend == "constant"
            mean, factor = window_factors(waveform, self.grid, self.method.front_end, demean)
            factor = np.where(usable, factor[wanted], 0.0)
            shift = -(mean[wanted] * factor)
            samples = torch.from_numpy(np.ascontiguousarray(waveform.T))  # (n, C): a window is one stretch of memory
            windows = _Windows(samples, self.grid, wanted, factor.astype(np.float32), shift.astype(np.float32))
        starts = iter(range(0, len(wanted), self.batch_size))
        n_threads = min(torch.get_num_threads(), -(-len(wanted) // self.batch_size))
        if n_threads <= 1:
            self._work(0, dtype, windows, starts, threading.Lock(), out)
            return out.flip(0) if backwards else out
        lock = threading.Lock()
        all_threads = torch.get_num_threads()
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            jobs = [pool.submit(self._work, i, dtype, windows, starts, lock, out) for i in range(n_threads)]
            for job in jobs:
                job.result()
        torch.set_num_threads(all_threads)  # threads made from now on ask for this number
        return out.flip(0) if backwards else out

    def _network(self, dtype: torch.dtype, worker: int) -> ChannelsLastNetwork:
        """The network of one worker: it shares the weights' values, not the buffers."""
        if (dtype, worker) not in self._networks:
            encoder, classifier = self.method.encoder.model, self.method.classifier
            size = (self.method.in_channels, self.grid.n_samples, self.batch_size)
            self._networks[dtype, worker] = ChannelsLastNetwork(encoder, classifier, *size, dtype)
        return self._networks[dtype, worker]

    @torch.inference_mode()
    def _work(
        self,
        worker: int,
        dtype: torch.dtype,
        windows: _Windows | _StraightenedWindows,
        starts: Iterator[int],
        lock: threading.Lock,
        out: Tensor,
    ) -> None:
        """Take batches as long as there are any."""
        network = self._network(dtype, worker)
        into = windows.like(network.input)
        staged = torch.empty(into.shape)
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            n = windows.normalized(slice(start, start + self.batch_size), staged if dtype != torch.float32 else into)
            if dtype != torch.float32:
                into[:n].copy_(staged[:n])
            out[start : start + n] = network()[:n]


class _Windows:
    """Windows of a record as rows of (T / tile, tile * C) numbers: long innermost axes, so that arithmetic is fast."""

    def __init__(
        self, samples: Tensor, grid: WindowGrid, wanted: np.ndarray, factor: np.ndarray, shift: np.ndarray
    ) -> None:
        n_samples, n_channels = grid.n_samples, samples.shape[1]
        self.tile = max(t for t in range(1, min(_TILE, n_samples) + 1) if n_samples % t == 0)
        self.shape = (n_samples // self.tile, self.tile * n_channels)
        n_windows = (len(samples) - n_samples) // grid.step_samples + 1
        self.all = samples.as_strided((n_windows, *self.shape), (grid.step_samples * n_channels, self.shape[1], 1))
        self.wanted, self.factor, self.shift = wanted, factor, shift

    def like(self, x: Tensor) -> Tensor:
        """The same look at a batch (B, T, C) whose samples follow one another in memory."""
        return x.as_strided((len(x), *self.shape), (x.stride(0), self.shape[1], 1), x.storage_offset())

    def normalized(self, part: slice, into: Tensor) -> int:
        """Write the normalised windows of a part of the wanted ones; returns their number."""
        rows = self.wanted[part]
        n = len(rows)
        follow = rows[-1] - rows[0] == n - 1
        windows = self.all[rows[0] : rows[-1] + 1] if follow else self.all[torch.from_numpy(rows)]
        factor = torch.from_numpy(np.tile(self.factor[part], self.tile))[:, None]  # (n, 1, tile * C)
        shift = torch.from_numpy(np.tile(self.shift[part], self.tile))[:, None]
        torch.addcmul(shift, windows, factor, out=into[:n])
        return n


class _StraightenedWindows:
    """Windows of a record whose straight line goes, and which the front end then takes as in testing."""

    def __init__(
        self, waveform: np.ndarray, scanner: ChannelsLastWindows, wanted: np.ndarray, usable: np.ndarray
    ) -> None:
        self.view, self.wanted = window_view(waveform, scanner.grid), wanted
        self.mask = torch.from_numpy(usable)[..., None]
        self.preprocessing, self.front_end = scanner.preprocessing, scanner.method.front_end

    def like(self, x: Tensor) -> Tensor:
        """A batch, (B, T, C), as it is."""
        return x

    def normalized(self, part: slice, into: Tensor) -> int:
        """Write the normalised windows of a part of the wanted ones; returns their number."""
        windows = self.preprocessing.on_window(self.view[self.wanted[part]]).astype(np.float32)
        x = self.front_end(torch.from_numpy(windows) * self.mask[part])
        into[: len(x)].copy_(x.transpose(1, 2))
        return len(x)


def window_factors(
    waveform: np.ndarray, grid: WindowGrid, front_end: WaveformFrontEnd, demean: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """What the front end takes off each window of a record, and what it multiplies it by.

    Sums, extremes and squares are taken once over blocks that all windows share.

    Args:
        waveform: (C, n).
        grid: The windows.
        front_end: Says what is done.
        demean: Take off the mean even where the front end does not.

    Returns:
        Mean and factor, (n_windows, C) float64 each; factor 0 for constant windows.
    """
    block = math.gcd(grid.step_samples, grid.n_samples)
    n_windows = (waveform.shape[1] - grid.n_samples) // grid.step_samples + 1
    used = grid.span(n_windows)
    blocks = waveform[:, :used].reshape(len(waveform), used // block, block).astype(np.float64)
    jump, width = grid.step_samples // block, grid.n_samples // block

    def slide(values: np.ndarray) -> np.ndarray:
        """(C, blocks) -> (C, n_windows, blocks of a window), a view."""
        return np.lib.stride_tricks.sliding_window_view(values, width, axis=1)[:, ::jump]

    if not demean and not front_end.demean and not front_end.normalize:
        return np.zeros((n_windows, len(waveform))), np.ones((n_windows, len(waveform)))
    means = blocks.mean(axis=2)
    mean = slide(means).mean(axis=2)
    low, high = slide(blocks.min(axis=2)).min(axis=2), slide(blocks.max(axis=2)).max(axis=2)
    size = np.ones_like(mean)
    if front_end.normalize == "peak":
        size = np.maximum(high - mean, mean - low)
    elif front_end.normalize == "std":  # squares about each block's mean, so that nothing cancels
        within = ((blocks - means[..., None]) ** 2).sum(axis=2)
        between = block * ((slide(means) - mean[..., None]) ** 2).sum(axis=2)
        size = np.sqrt((slide(within).sum(axis=2) + between) / (grid.n_samples - 1))
    moving = (high > low) & (size > 0)
    factor = np.divide(1.0, size, out=np.zeros_like(size), where=moving)
    return mean.T, factor.T
