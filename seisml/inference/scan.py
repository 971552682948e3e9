"""Class probabilities of all windows of a piece of record, in batches that stay in the processor's cache."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from seisml.errors import UserError, nearest
from seisml.inference.channels_last import ChannelsLastNetwork, Unconvertible
from seisml.inference.windows import WindowGrid, window_view
from seisml.methods.classifier import Classifier, ensemble
from seisml.methods.supervised import Supervised
from seisml.transforms.waveform import WaveformFrontEnd

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CERTAIN = 0.1  # below this probability of an event bfloat16 is good enough
CACHED_NUMBERS = 2**18  # numbers of a batch of waveforms: the layers behind it stay within a few MB
_TILE = 128  # longest stretch of samples whose factors are written out side by side


class Scanner:
    """Predicts windows with a trained classifier.

    One-dimensional networks behind a :class:`WaveformFrontEnd` run with channels last (:mod:`.channels_last`), their
    windows normalised on the way into the batch from sums over blocks of samples that windows share; it is checked
    against the method itself. Every other method predicts batches of waveforms as in testing.

    Args:
        method: The trained method, in eval mode.
        grid: The windows.
        precision: ``"float32"``, or ``"bfloat16"`` for speed. Then every window with more than ``CERTAIN`` probability
            of an event is computed again in float32, so that detections above such a threshold are those of float32.
        events: Numbers of the classes that are events; without any, no window is computed again.
        batch_size: Windows at once; by default as many as stay in the cache.
        device: Where other methods compute; the channels-last path is the CPU's.

    Raises:
        UserError: The method is no classifier, the precision is unknown, or the windows are not the network's.
    """

    def __init__(
        self,
        method: nn.Module,
        grid: WindowGrid,
        precision: str = "float32",
        events: tuple[int, ...] = (),
        batch_size: int | None = None,
        device: str = "cpu",
    ) -> None:
        if precision not in PRECISIONS:
            raise UserError(f"--precision: {precision!r} is unknown; {nearest(precision, PRECISIONS)}")
        if not isinstance(method, Classifier):
            raise UserError(
                f"the checkpoint holds {type(method).__name__}, which gives no class probabilities; fine-tune it first"
            )
        self.method, self.grid, self.device = method.eval().to(device), grid, device
        self.dtype, self.events = PRECISIONS[precision], list(events)
        self.n_classes = method.n_classes
        self.in_channels = method.in_channels
        numbers = grid.n_samples * max(1, self.in_channels)
        self.batch_size = batch_size or max(1, min(64, CACHED_NUMBERS // numbers) if device == "cpu" else 1024)
        self.networks: dict[torch.dtype, ChannelsLastNetwork] = {}
        own = type(method).predict_log_probability is Supervised.predict_log_probability
        if device == "cpu" and own and isinstance(method.front_end, WaveformFrontEnd):
            self._convert()

    @property
    def fast(self) -> bool:
        """Whether the channels-last path is taken."""
        return bool(self.networks)

    def __call__(self, waveform: np.ndarray, usable: np.ndarray) -> np.ndarray:
        """Predict the windows of a piece of record.

        Args:
            waveform: (C, n) float32 at the grid's rate, the first window at its first sample.
            usable: (n_windows, C): whether a component has every sample of a window. Others are zeros to the network
                (where it takes several components) or left out of the ensemble (where it takes one at a time).

        Returns:
            (n_windows, n_classes) float32 probabilities; NaN for windows without any usable component.
        """
        out = np.full((len(usable), self.n_classes), np.nan, dtype=np.float32)
        wanted = np.flatnonzero(usable.any(axis=1))
        if not len(wanted):
            return out
        parts = torch.exp(self._compute(waveform, usable, wanted, self.dtype))
        if self.dtype != torch.float32 and self.events:
            again = torch.nonzero(parts[:, self.events].sum(dim=1) > CERTAIN).flatten()
            if len(again):
                parts[again] = torch.exp(self._compute(waveform, usable, wanted[again.numpy()], torch.float32))
        out[wanted] = parts.numpy()
        return out

    @torch.inference_mode()
    def _compute(self, waveform: np.ndarray, usable: np.ndarray, wanted: np.ndarray, dtype: torch.dtype) -> Tensor:
        """Log-probabilities of the wanted windows, (n, n_classes)."""
        if not self.networks:
            return self._slow(waveform, usable, wanted, dtype)
        network = self.networks[dtype]
        if self.in_channels != 1 or len(waveform) == 1:
            return self._fast(network, waveform, usable[wanted], wanted)
        every = np.ones((len(wanted), 1), dtype=bool)
        each = [self._fast(network, waveform[[c]], every, wanted) for c in range(len(waveform))]
        return ensemble(torch.stack(each, dim=1), torch.from_numpy(usable[wanted]))

    # -- any method ------------------------------------------------------------------------------------------------
    def _slow(self, waveform: np.ndarray, usable: np.ndarray, wanted: np.ndarray, dtype: torch.dtype) -> Tensor:
        view = window_view(waveform, self.grid)
        parts = []
        for start in range(0, len(wanted), self.batch_size):
            rows = wanted[start : start + self.batch_size]
            mask = torch.from_numpy(usable[rows]).to(self.device)
            x = torch.from_numpy(view[rows]).to(self.device) * mask[..., None]
            parts.append(self._predict(x, mask, dtype).cpu())
        return torch.cat(parts)

    def _predict(self, x: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """Log-probabilities as the method's own testing gives them, (B, C, T) -> (B, n_classes)."""
        zeros = torch.zeros(len(x), dtype=torch.long, device=x.device)
        batch = {"waveform": x, "epoch": zeros, "index": zeros, "label": zeros - 1}
        if self.in_channels == 1:  # with several channels a missing one is zeros, and the window stays
            batch["trace_mask"] = mask
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            return self.method.predict_log_probability(batch)[0].float()

    # -- one-dimensional networks ----------------------------------------------------------------------------------
    def _convert(self) -> None:
        """Take the channels-last path where it exists and gives the method's own numbers."""
        size = (self.in_channels, self.grid.n_samples)
        encoder = getattr(self.method.encoder, "model", None)
        if not isinstance(encoder, nn.Module):
            return
        generator = torch.Generator().manual_seed(0)
        probe = torch.randn(min(self.batch_size, 4), *size, generator=generator)
        mask = torch.ones(probe.shape[:2], dtype=torch.bool)
        try:
            with torch.inference_mode():
                trial = ChannelsLastNetwork(encoder, self.method.classifier, *size, len(probe))
                trial.input.copy_(self.method.front_end(probe).transpose(1, 2))
                expected = self._predict(probe, mask, torch.float32)
                if torch.allclose(trial(), expected, rtol=1e-3, atol=1e-4):
                    self.networks = {
                        dtype: ChannelsLastNetwork(encoder, self.method.classifier, *size, self.batch_size, dtype)
                        for dtype in {self.dtype, torch.float32}
                    }
        except (Unconvertible, RuntimeError):
            return  # a network of other layers, or whose layers do not follow one another: the other path takes any

    def _fast(
        self, network: ChannelsLastNetwork, waveform: np.ndarray, usable: np.ndarray, wanted: np.ndarray
    ) -> Tensor:
        """Log-probabilities of the wanted windows; ``usable`` has a row for each of them."""
        grid = self.grid
        n_channels, n_samples = len(waveform), grid.n_samples
        mean, factor = window_factors(waveform, grid, self.method.front_end)
        factor = np.where(usable, factor[wanted], 0.0)  # (n, C)
        shift = -(mean[wanted] * factor)
        tile = max(t for t in range(1, min(_TILE, n_samples) + 1) if n_samples % t == 0)
        samples = torch.from_numpy(np.ascontiguousarray(waveform.T))  # (n, C): every window is one stretch of memory
        n_windows = (len(samples) - n_samples) // grid.step_samples + 1
        # (n_windows, T / tile, tile * C): the innermost axis is long, so that the arithmetic runs in vectors
        row = tile * n_channels
        windows = samples.as_strided((n_windows, n_samples // tile, row), (grid.step_samples * n_channels, row, 1))
        strides = network.input.stride()
        into = network.input.as_strided(
            (self.batch_size, n_samples // tile, row), (strides[0], row, 1), network.input.storage_offset()
        )
        staged = torch.empty(self.batch_size, n_samples // tile, row)
        parts = []
        for start in range(0, len(wanted), self.batch_size):
            part = slice(start, start + self.batch_size)
            rows = wanted[part]
            n = len(rows)
            whole = rows[-1] - rows[0] == n - 1
            batch = windows[rows[0] : rows[-1] + 1] if whole else windows[torch.from_numpy(rows)]
            scale = torch.from_numpy(np.tile(factor[part].astype(np.float32), tile))[:, None]  # (n, 1, tile * C)
            offset = torch.from_numpy(np.tile(shift[part].astype(np.float32), tile))[:, None]
            if into.dtype == torch.float32:
                torch.addcmul(offset, batch, scale, out=into[:n])
            else:
                torch.addcmul(offset, batch, scale, out=staged[:n])
                into[:n].copy_(staged[:n])
            parts.append(network()[:n])
        return torch.cat(parts)


def window_factors(
    waveform: np.ndarray, grid: WindowGrid, front_end: WaveformFrontEnd
) -> tuple[np.ndarray, np.ndarray]:
    """What the front end takes off each window of a record, and what it multiplies it by.

    Sums, extremes and squares are taken once over blocks that all windows share.

    Args:
        waveform: (C, n).
        grid: The windows.
        front_end: Says what is done.

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

    if not front_end.demean and not front_end.normalize:
        return np.zeros((n_windows, len(waveform))), np.ones((n_windows, len(waveform)))
    own = blocks.mean(axis=2)
    mean = slide(own).mean(axis=2)
    low, high = slide(blocks.min(axis=2)).min(axis=2), slide(blocks.max(axis=2)).max(axis=2)
    size = np.ones_like(mean)
    if front_end.normalize == "peak":
        size = np.maximum(high - mean, mean - low)
    elif front_end.normalize == "std":  # squares about each block's own mean, so that nothing cancels
        within = ((blocks - own[..., None]) ** 2).sum(axis=2)
        between = block * ((slide(own) - mean[..., None]) ** 2).sum(axis=2)
        size = np.sqrt((slide(within).sum(axis=2) + between) / (grid.n_samples - 1))
    moving = (high > low) & (size > 0)
    factor = np.divide(1.0, size, out=np.zeros_like(size), where=moving)
    return mean.T, factor.T
