"""Events that were predicted, as pictures: a trace of each, and what the network saw of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seisml.evaluation import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method
    from seisml.tasks.base import Predictions

GALLERY_SIZE = 12


class Seen(NamedTuple):
    """What a network saw of some events.

    Attributes:
        waveform: (N, T), one trace each.
        picture: (N, F, W), lowest frequency first; None for networks on waveforms.
        band: Frequencies of the picture's first and last row in Hz, where it has such.
    """

    waveform: np.ndarray
    picture: np.ndarray | None
    band: tuple[float, float] | None


def gallery(predictions: Predictions, predicted: Tensor, method: Method, data: StoreDataModule) -> Figure:
    """Test events of all classes, wrongly predicted ones among them, one trace of each."""
    label, answer = predictions.label.numpy(), predicted.numpy()
    chosen = np.asarray(figures.gallery_rows(label, answer, min(GALLERY_SIZE, data.batch_size)))
    seen = look(predictions, chosen, method, data)
    return figures.gallery(
        seen.waveform,
        seen.picture,
        label[chosen],
        answer[chosen],
        data.facts.classes,
        data.facts.sampling_rate,
        probability=predictions.output.exp().amax(-1).numpy()[chosen],
        frequency_range=seen.band,
        title=f"{len(chosen)} of {len(label)} test samples; {wrong(label, answer)} of all are wrong",
    )


def false_predictions(predictions: Predictions, predicted: Tensor, method: Method, data: StoreDataModule) -> Figure:
    """Test events that the model got wrong, the surest of each class."""
    label, answer = predictions.label.numpy(), predicted.numpy()
    probability = predictions.output.exp()
    limit = min(GALLERY_SIZE, data.batch_size)
    chosen = figures.error_rows(label, answer, probability.amax(-1), limit)
    seen = look(predictions, chosen, method, data)
    return figures.false_predictions(
        seen.waveform,
        seen.picture,
        label[chosen],
        probability.numpy()[chosen],
        data.facts.classes,
        data.facts.sampling_rate,
        [str(name).rsplit("/", 1)[-1] for name in predictions.event[chosen]],
        seen.band,
        f"{len(chosen)} of the {wrong(label, answer)} false predictions of {(label >= 0).sum()}, surest first",
    )


def wrong(label: np.ndarray, answer: np.ndarray) -> int:
    """How many of the labelled samples were predicted wrongly."""
    return int(((label != answer) & (label >= 0)).sum())


def look(predictions: Predictions, chosen: np.ndarray, method: Method, data: StoreDataModule) -> Seen:
    """Read a trace of chosen predictions again, and see it as the network does."""
    rows, starts = predictions.row.numpy()[chosen], predictions.start.numpy()[chosen]
    batch = next(iter(data.evaluation_loader(rows, single=True, starts=starts)))
    waveform = batch["waveform"][:, :1].to(method.device)
    with torch.no_grad():
        picture = method.front_end(waveform)[:, 0].float().cpu().numpy()
    frequencies = method.front_end.frequencies
    band = (frequencies[0], frequencies[-1]) if frequencies else None
    return Seen(waveform[:, 0].cpu().numpy(), picture if picture.ndim == 3 else None, band)
