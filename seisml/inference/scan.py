"""Class probabilities of all windows of a piece of record, in batches that stay in the processor's cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from seisml.errors import UserError, nearest
from seisml.inference.channels_last import Unconvertible
from seisml.inference.channels_last_windows import ChannelsLastWindows
from seisml.inference.window_grid import WindowGrid, window_view
from seisml.methods.classifier import Classifier, ensemble
from seisml.methods.supervised import Supervised
from seisml.transforms.waveform import WaveformFrontEnd
from seisml.waveforms.preprocessing import Preprocessing

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CERTAIN = 0.1  # below this probability of an event bfloat16 is good enough
CACHED_NUMBERS = 2**18  # numbers of a batch of waveforms: the layers behind it stay within a few MB


class Scanner:
    """Predicts windows with a trained classifier.

    One-dimensional networks behind a :class:`WaveformFrontEnd` go by :mod:`.channels_last_windows`, which is checked
    against the method itself. Every other method predicts batches of waveforms as in testing.

    Args:
        method: The trained method, in eval mode.
        grid: The windows.
        precision: ``"float32"``, or ``"bfloat16"`` for speed. Then every window with more than ``CERTAIN`` probability
            of an event is computed again in float32, so that detections above such a threshold are those of float32.
        events: Numbers of the classes that are events; without any, no window is computed again.
        batch_size: Windows at once; by default as many as stay in the cache.
        device: Where other methods compute; the channels-last path is the CPU's.
        preprocessing: Says which trend goes from each window, the last step, which is taken here.

    Raises:
        UserError: The method is not a classifier, the precision is unknown, or the windows are not the network's.
    """

    def __init__(
        self,
        method: nn.Module,
        grid: WindowGrid,
        precision: str = "float32",
        events: tuple[int, ...] = (),
        batch_size: int | None = None,
        device: str = "cpu",
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    ) -> None:
        if precision not in PRECISIONS:
            raise UserError(f"--precision: {precision!r} is unknown; {nearest(precision, PRECISIONS)}")
        if not isinstance(method, Classifier):
            raise UserError(
                f"the checkpoint holds {type(method).__name__}, which gives no class probabilities; fine-tune it first"
            )
        self.method, self.grid, self.device = method.eval().to(device), grid, device
        self.preprocessing = preprocessing
        self.dtype, self.events = PRECISIONS[precision], list(events)
        self.n_classes = method.n_classes
        self.in_channels = method.in_channels
        numbers = grid.n_samples * max(1, self.in_channels)
        self.batch_size = batch_size or max(1, min(64, CACHED_NUMBERS // numbers) if device == "cpu" else 1024)
        self.waveforms: ChannelsLastWindows | None = None
        plain = type(method).predict_log_probability is Supervised.predict_log_probability
        if device == "cpu" and plain and isinstance(method.front_end, WaveformFrontEnd):
            self._convert()

    @property
    def fast(self) -> bool:
        """Whether the channels-last path is taken."""
        return self.waveforms is not None

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
        if self.waveforms is None:
            return self._slow(waveform, usable, wanted, dtype)
        if self.in_channels != 1 or len(waveform) == 1:
            return self.waveforms(waveform, usable[wanted], wanted, dtype)
        every = np.ones((len(wanted), 1), dtype=bool)
        each = [self.waveforms(waveform[[c]], every, wanted, dtype) for c in range(len(waveform))]
        return ensemble(torch.stack(each, dim=1), torch.from_numpy(usable[wanted]))

    # -- any method ------------------------------------------------------------------------------------------------
    def _slow(self, waveform: np.ndarray, usable: np.ndarray, wanted: np.ndarray, dtype: torch.dtype) -> Tensor:
        view = window_view(waveform, self.grid)
        parts = []
        for start in range(0, len(wanted), self.batch_size):
            rows = wanted[start : start + self.batch_size]
            mask = torch.from_numpy(usable[rows]).to(self.device)
            windows = self.preprocessing.on_window(view[rows]).astype(np.float32, copy=False)
            x = torch.from_numpy(windows).to(self.device) * mask[..., None]
            parts.append(self._predict(x, mask, dtype).cpu())
        return torch.cat(parts)

    def _predict(self, x: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """Log-probabilities as testing the method gives them, (B, C, T) -> (B, n_classes)."""
        zeros = torch.zeros(len(x), dtype=torch.long, device=x.device)
        batch = {"waveform": x, "epoch": zeros, "index": zeros, "label": zeros - 1}
        if self.in_channels == 1:  # with several channels a missing one is zeros, and the window stays
            batch["trace_mask"] = mask
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            return self.method.predict_log_probability(batch)[0].float()

    def _convert(self) -> None:
        """Take the channels-last path where it exists and gives the method's numbers."""
        generator = torch.Generator().manual_seed(0)
        size = (self.in_channels, self.grid.span(3))
        probe = torch.randn(size, generator=generator).numpy()
        wanted, usable = np.arange(3), np.ones((3, self.in_channels), dtype=bool)
        try:
            fast = ChannelsLastWindows(self.method, self.grid, self.batch_size, self.preprocessing)
            expected = self._slow(probe, usable, wanted, torch.float32)
            if torch.allclose(fast(probe, usable, wanted), expected, rtol=1e-3, atol=1e-4):
                self.waveforms = fast
        except (Unconvertible, RuntimeError):
            return  # a network of other layers, or whose layers do not follow one another: the other path takes any
