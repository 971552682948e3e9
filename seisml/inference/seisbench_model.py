"""A trained classifier as a SeisBench model, so that it runs where theirs do. Importing this imports SeisBench."""

from __future__ import annotations

from typing import Any

import seisbench.util
import torch
from obspy import Stream
from seisbench.models.base import WaveformModel
from torch import Tensor

from seisml.evaluation.decision import Decision, find_noise
from seisml.methods.classifier import Classifier
from seisml.waveforms.preprocessing import Preprocessing

THRESHOLD = 0.5  # least probability of a detection, unless the caller says otherwise


class Seisml(WaveformModel):
    """Gives the probabilities of :meth:`seisml.inference.model.Model.annotate`, by SeisBench's way through a stream.

    SeisBench's windows begin with the first sample of each unbroken stretch, ours on whole steps from midnight; where
    the two agree, so do the numbers. It fills no gaps, so that windows over them have no answer.

    Args:
        method: A trained classifier.
        preprocessing: At the network's rate and length; resampling and filtering are done by it, not by SeisBench.
    """

    _annotate_args = WaveformModel._annotate_args | {
        "threshold": ("Least probability of a class for a detection, where the model has none", THRESHOLD)
    }

    def __init__(self, method: Classifier, preprocessing: Preprocessing) -> None:
        facts = method.facts
        super().__init__(
            component_order=preprocessing.components or "ZNE",
            sampling_rate=facts.sampling_rate,
            output_type="point",
            in_samples=facts.n_samples,
            pred_sample=facts.n_samples // 2,
            labels=list(facts.classes),
            default_args={"stride": max(1, round(facts.sampling_rate)), "strict": method.in_channels > 1},
        )
        decision = Decision.from_record(method.run_record)
        if decision is not None:
            self.default_args["threshold"] = decision.threshold
        self.method, self.preprocessing = method, preprocessing
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities of windows, (B, C, T) -> (B, K). A trace that is constant counts as missing."""
        zeros = torch.zeros(len(x), dtype=torch.long, device=x.device)
        batch = {"waveform": x, "epoch": zeros, "index": zeros}
        if self.method.in_channels == 1:
            batch["trace_mask"] = (x != x[..., :1]).any(dim=-1)
        return self.method.predict_log_probability(batch)[0].exp()

    def annotate_stream_pre(self, stream: Stream, argdict: dict[str, Any]) -> Stream:
        """Resample and band-pass each trace as in training."""
        for trace in stream:
            trace.data = self.preprocessing.on_stretch(trace.data.astype(float), float(trace.stats.sampling_rate))
            trace.stats.sampling_rate = self.sampling_rate
        return stream

    def annotate_batch_pre(self, batch: Tensor, argdict: dict[str, Any]) -> Tensor:
        """Remove the trend from each window as in training."""
        straight = self.preprocessing.on_window(batch.double().cpu().numpy())
        return torch.from_numpy(straight).to(batch)

    def classify_aggregate(self, annotations: Stream, argdict: dict[str, Any]) -> seisbench.util.ClassifyOutput:
        """Detections of every class but noise: triggers on its probability."""
        noise = find_noise(self.method.facts.classes, self.method.task.noise_class)
        events = [name for name in self.labels if name != noise]
        found = Stream([trace for name in events for trace in annotations.select(channel=f"Seisml_{name}")])
        threshold = argdict.get("threshold", THRESHOLD)
        return seisbench.util.ClassifyOutput(self.name, detections=self.detections_from_annotations(found, threshold))
