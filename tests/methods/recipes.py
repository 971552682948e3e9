"""Small recipes, and what they are trained and asked with."""

from __future__ import annotations

import pytorch_lightning as pl
import torch

from seisml.methods.supervised import Supervised
from seisml.tasks.facts import DataFacts
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from tests.stores import SAMPLING_RATE

SMALL = {"backbone_type": "SmallResNetEncoder", "proj_hid": 64, "proj_out": 64}
FACTS = DataFacts(("a", "b", "c"), SAMPLING_RATE, 1000, (1.0, 2.0, 0.0))


def front_end():
    return SpectrogramFrontEnd(nperseg=64, noverlap=32, size=(32, 64), floor=1e-3, sampling_rate=SAMPLING_RATE)


def trainer(**kwargs):
    return pl.Trainer(
        **{"max_epochs": 1, "logger": False, "enable_checkpointing": False, "use_distributed_sampler": False}
        | {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"} | kwargs
    )  # fmt: skip


def batch(n=6, traces=2, seed=0):
    waveform = torch.randn(n, traces, 1000, generator=torch.Generator().manual_seed(seed))
    number = torch.arange(n)
    zeros = torch.zeros_like(number)
    return {"waveform": waveform, "label": number % 3, "index": number, "epoch": zeros, "start": zeros}


def supervised(**kwargs):
    torch.manual_seed(0)
    return Supervised(facts=FACTS, front_end=front_end(), backbone_type="SmallResNetEncoder", **kwargs)
