"""Pretraining recipes: they run, and their losses are those of their papers."""

from __future__ import annotations

import pytest
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.losses.tnc import diag_loss, tnc_loss
from seisml.losses.vibcreg import vibcreg_loss
from seisml.methods.self_supervised.barlow_twins import BarlowTwins
from seisml.methods.self_supervised.simclr import SimCLR
from seisml.methods.self_supervised.vibcreg import VIbCReg
from seisml.methods.self_supervised.vicreg import VICReg
from seisml.methods.self_supervised.vnibcreg import VNIbCReg
from tests.methods.recipes import FACTS, SMALL, batch, front_end, trainer


@pytest.mark.parametrize("recipe", [VNIbCReg, VIbCReg, VICReg, BarlowTwins, SimCLR])
def test_pretraining_runs(recipe, root):
    data = StoreDataModule(str(root), batch_size=8, is_ssl=True)
    data.setup()
    method = recipe(facts=data.facts, front_end=front_end(), augmentations=[
        {"NeighboringCrop" if recipe is VNIbCReg else "RandomCrop": {"width": 0.18}}, "RandomAmplitudeJitter"
    ], **SMALL)  # fmt: skip
    run = trainer()
    run.fit(method, datamodule=data)
    logged = run.callback_metrics
    assert "train/loss" in logged and all(torch.isfinite(value) for value in logged.values())
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)  # the cosine ends with the run


def test_vnibcreg_loss_is_its_parts(root):
    """The recipe's number equals the published sum, computed here from separate passes over the three crops."""
    torch.manual_seed(0)
    method = VNIbCReg(facts=FACTS, front_end=front_end(), augmentations=[{"NeighboringCrop": {"width": 0.18}}], **SMALL)
    method.discriminator.eval()  # no dropout, so that two passes agree
    views = method.augmentations(method.views(batch()), method.random(batch()))
    assert [tuple(view.shape) for view in views] == [(6, 1, 32, 10)] * 3
    terms, _ = method.losses(views)
    y, y_l = method.encoder(views[0]), method.encoder(views[1])
    y_k = method.encoder(views[2])
    expected = vibcreg_loss(method.projector(y), method.projector(y_l), 10.0, 10.0, 10.0)["loss"] + 13.0 * (
        tnc_loss(method.discriminator(y, y_l), method.discriminator(y, y_k)) + diag_loss(y, y_l, y_k)
    )
    torch.testing.assert_close(terms["loss"], expected, rtol=2e-3, atol=1e-3)  # IterNorm's running state moves on


def test_rho_is_what_the_training_data_let_the_neighbour_term_learn():
    """Noise of its own in each trace: nothing. A sweep that both traces hear: the published weight, nearly."""
    noise = batch(n=256, seed=1)
    sweep = {**noise, "waveform": noise["waveform"] + 5 * torch.sin(torch.arange(1000) ** 2 * 1e-3)}
    for samples, low, high in ((noise, 0.0, 2.0), (sweep, 11.0, 13.0)):
        step = {"NeighboringCrop": {"width": "auto"}}
        method = VNIbCReg(facts=FACTS, front_end=front_end(), rho="auto", augmentations=[step], **SMALL)
        with pytest.raises(UserError, match="exp_params.rho: auto has not been fitted to training data; give a number"):
            method.losses((torch.zeros(2, 1, 32, 10),) * 3)
        found = method.fit_settings(lambda samples=samples: [samples])
        assert low <= found["rho"] == method.rho <= high, found
        assert found["NeighboringCrop.width"] in (0.075, 0.1, 0.125, 0.15, 0.175)
        assert found["rho.told_apart"] == found["NeighboringCrop.told_apart"]
    fixed = VNIbCReg(facts=FACTS, front_end=front_end(), **SMALL)
    assert fixed.fit_settings(lambda: pytest.fail("reads samples")) == {} and fixed.rho == 13.0


@pytest.mark.parametrize("rho", [13.0, "auto"])
def test_vnibcreg_refuses_crops_that_are_not_three(rho):
    method = VNIbCReg(facts=FACTS, front_end=front_end(), rho=rho, augmentations=["RandomCrop"], **SMALL)
    with pytest.raises(UserError, match="VNIbCReg learns from three crops, and these make 2 views; name Neighboring"):
        method.fit_settings(lambda: [batch(n=4, seed=1)])
        method.training_step(batch(n=4, seed=1), 0)
