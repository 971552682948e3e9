"""Learning rates: of parts, of layers, over the steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.methods.supervised import Supervised
from tests.methods.recipes import front_end, supervised, trainer


def test_learning_rates():
    scratch, tuned = supervised(), supervised()
    tuned.pretrained = True
    assert [group["lr"] for group in scratch.parameter_groups()] == [1e-3, 1e-3]
    assert [group["lr"] for group in tuned.parameter_groups()] == [1e-3, 5e-4]


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_rates_rise_and_fall(root, optimizer, kind):
    class Watched(Supervised):
        def on_train_batch_start(self, *arguments):
            self.rates = [*self.__dict__.get("rates", []), self.trainer.optimizers[0].param_groups[0]["lr"]]

    data = StoreDataModule(str(root), batch_size=8)
    data.setup()
    method = Watched(
        facts=data.facts, front_end=front_end(), backbone_type="SmallResNetEncoder", LR=1e-2, optimizer=optimizer,
        weight_decay=0.1, warm_up=0.25,
    )  # fmt: skip
    run = trainer(max_epochs=4)
    run.fit(method, datamodule=data)
    assert type(run.optimizers[0]) is kind and run.optimizers[0].param_groups[0]["weight_decay"] == 0.1
    steps = run.global_step
    cosine = [0.005 * (1 + math.cos(math.pi * step / steps)) for step in range(steps + 1)]
    assert method.rates[:4] == pytest.approx([cosine[step] * (step + 1) / 5 for step in range(4)])
    assert method.rates[4:] == pytest.approx(cosine[4:steps], abs=1e-9) and steps == 16


def test_the_first_layers_of_a_pretrained_encoder_learn_slower():
    method = supervised(first_layer_rate=0.1)
    assert [group["lr"] for group in method.parameter_groups()] == [1e-3, 1e-3]
    method.pretrained = True
    _, *groups = method.parameter_groups()
    rates = [group["lr"] for group in groups]
    assert rates[0] == pytest.approx(5e-5) and rates[-1] == pytest.approx(5e-4) and rates == sorted(rates)
    assert np.ptp(np.diff(np.log(rates))) < 1e-9
    assert next(method.encoder.parameters()) is groups[0]["params"][0]
    assert sum(len(group["params"]) for group in groups) == len(list(method.encoder.parameters()))
