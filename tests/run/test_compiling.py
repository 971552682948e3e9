"""torch.compile of the encoder: the same training, checkpoints that load anywhere, one line where it cannot be."""

from __future__ import annotations

import pytest
import torch
from torch._inductor import config as inductor
from torch._inductor.utils import fresh_inductor_cache

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.train import train
from tests.stores import write_store

pytestmark = pytest.mark.long  # a compiler is at work
SMALL = [
    "dataset=store", "dataset.batch_size=8", "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false",
    "trainer_params.max_steps=3", "trainer_params.compile=true", "figures=false",
]  # fmt: skip
NETWORK = ["model_params=convnetquake", "front_end=waveform", "exp_params.collapse_record_step_period=1"]
NETWORK += ["exp_params.noise_class=a"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("compiling") / "store", n_events=24)


def go(store, folder, *overrides):
    return train(compose("configs/finetune.yaml", [*SMALL, f"dataset.root={store}", *overrides]), folder).metrics


def test_a_compiled_run_learns_the_same(store, tmp_path):
    plain = go(store, tmp_path / "plain", *NETWORK, "trainer_params.compile=false")
    compiled = go(store, tmp_path / "compiled", *NETWORK)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    watched = "collapse/feature_std"
    assert compiled["train/loss"] == pytest.approx(plain["train/loss"], abs=1e-4)
    assert compiled[watched] == pytest.approx(plain[watched], rel=1e-3)
    weights = [
        load_method(tmp_path / name / "checkpoints" / "last.ckpt").state_dict() for name in ("plain", "compiled")
    ]
    assert weights[0].keys() == weights[1].keys() and not any("_orig_mod" in name for name in weights[1])
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=2e-4, msg=name)


def test_without_a_compiler_it_is_one_line(store, tmp_path):
    torch._dynamo.reset()
    with fresh_inductor_cache(), inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        with pytest.raises(UserError, match="^trainer_params.compile: torch.compile does not work here .*; leave it"):
            go(store, tmp_path / "run", *NETWORK)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([*NETWORK, "trainer_params.devices=2"], "several processes on CPUs share the statistics of BatchNorm"),
        (["+experiment=attributes"], "has no encoder to compile"),
    ],
)
def test_what_cannot_be_compiled_is_one_line(store, tmp_path, overrides, words):
    with pytest.raises(UserError, match="^trainer_params.compile: ") as caught:
        go(store, tmp_path / "run", *overrides)
    assert words in str(caught.value) and "\n" not in str(caught.value)
