"""torch.compile of the encoder: the same training, checkpoints that load anywhere, one line where it cannot be."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor
from torch._inductor.utils import fresh_inductor_cache

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.compiling import compiled
from seisml.run.train import train
from tests.stores import write_store

pytestmark = pytest.mark.long  # a compiler is at work
SMALL = [
    "dataset=store", "dataset.batch_size=8", "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false",
    "trainer_params.max_steps=3", "trainer_params.compile=true", "figures=false",
]  # fmt: skip
NETWORK = [
    "model_params=convnetquake", "front_end=waveform", "exp_params.model_save_ep_period=-1",
    "exp_params.collapse_record_step_period=1", "exp_params.noise_class=a",
    "model_params.backbone_params.n_layers=2", "model_params.backbone_params.channels=4",
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """Compile in this process: others would import PyTorch first."""
    with inductor.patch(compile_threads=1):
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("compiling") / "store", n_events=24)


def go(store, folder, *overrides):
    return train(compose("configs/finetune.yaml", [*SMALL, f"dataset.root={store}", *overrides]), folder).metrics


def test_a_compiled_run_learns_the_same(store, tmp_path):
    plain = go(store, tmp_path / "plain", *NETWORK, "trainer_params.compile=false")
    fast = go(store, tmp_path / "compiled", *NETWORK)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    watched = "collapse/feature_std"
    assert fast["train/loss"] == pytest.approx(plain["train/loss"], abs=1e-4)
    assert fast[watched] == pytest.approx(plain[watched], rel=1e-3)
    weights = [
        load_method(tmp_path / name / "checkpoints" / "last.ckpt").state_dict() for name in ("plain", "compiled")
    ]
    assert weights[0].keys() == weights[1].keys() and not any("_orig_mod" in name for name in weights[1])
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=2e-4, msg=name)


def test_without_a_compiler_it_is_one_line():
    network = nn.Sequential(nn.Conv1d(1, 1, 1), nn.ReLU())
    with fresh_inductor_cache(), inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        with pytest.raises(UserError, match="^trainer_params.compile: torch.compile does not work here .*; leave it"):
            compiled(network.forward)(torch.ones(2, 1, 2))


def test_several_processes_on_cpus_are_one_line(store, tmp_path):
    with pytest.raises(UserError, match="^trainer_params.compile: several processes on CPUs share"):
        go(store, tmp_path / "run", *NETWORK, "trainer_params.devices=2")
