"""Synthetic continuous records with events at known times, and a small classifier that knows them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from obspy import Stream, Trace, UTCDateTime
from omegaconf import OmegaConf

from seisml.run.build import build_method
from seisml.tasks.facts import DataFacts

RATE, N_SAMPLES = 20.0, 200
START = UTCDateTime(2020, 3, 28, 13, 0, 0)
CONFIG = {
    "model_params": {"_target_": "seisml.methods.convnetquake.ConvNetQuake"},
    "exp_params": {"use_class_weight": False, "backbone_params": {"n_layers": 5, "channels": 8}},
    "front_end": {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": "std"},
    "seed": 0,
}
FREQUENCIES = {"rockfall": 2.0, "earthquake": 5.0}


def make_record(
    seconds: float, events: dict[float, str], rate: float = RATE, seed: int = 0, n_components: int = 3
) -> np.ndarray:
    """Noise of unit variance, and bursts of 6 s whose frequency is their class: (C, seconds * rate) float32."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    waveform = generator.standard_normal((n_components, len(time)))
    for onset, label in events.items():
        envelope = np.where(time >= onset, np.exp(-(((time - onset - 1.5) / 1.5) ** 2)), 0.0)
        waveform += 30 * envelope * np.sin(2 * np.pi * FREQUENCIES[label] * time)
    return (100 * waveform).astype(np.float32)


def make_stream(
    waveform: np.ndarray, rate: float = RATE, start: UTCDateTime = START, channels: str = "ZNE", **header: str
) -> Stream:
    """A stream of one station, channel codes HH + a letter each."""
    names = {"network": "XX", "station": "AAA", "location": ""} | header
    traces = [
        Trace(x, {**names, "channel": f"HH{letter}", "sampling_rate": rate, "starttime": start})
        for x, letter in zip(waveform, channels, strict=True)
    ]
    return Stream(traces)


@lru_cache(maxsize=1)
def trained_state() -> dict[str, torch.Tensor]:
    """Weights of a small network that tells noise, rockfall and earthquake apart; takes a second or two to train."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    classes = ("noise", *FREQUENCIES)
    method = _method()
    front_end, network = method.front_end, torch.nn.Sequential(method.encoder, method.classifier)
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    waveforms, labels = [], []
    for number in range(600):
        label = number % 3
        onset = generator.uniform(-2.0, 8.0)
        waveforms.append(make_record(10.0, {onset: classes[label]} if label else {}, seed=number + 1))
        labels.append(label)
    x, y = front_end(torch.from_numpy(np.stack(waveforms))), torch.tensor(labels)
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(40):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
    return method.state_dict()


def write_checkpoint(folder: Path, trained: bool = True) -> Path:
    """A run's checkpoint as training writes it."""
    method = _method()
    if trained:
        method.load_state_dict(trained_state())
    record = {"config": CONFIG, "facts": method.facts.to_dict(), "front_end": CONFIG["front_end"], "in_channels": 3}
    path = folder / "last.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": method.state_dict(), "seisml": record}, path)
    return path


def _method():
    return build_method(OmegaConf.create(CONFIG), DataFacts(("noise", *FREQUENCIES), RATE, N_SAMPLES)).eval()
