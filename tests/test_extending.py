"""A method and a data set of the user's own: one Python file and one YAML file each, nothing else is touched.

(An augmentation of one's own: tests/transforms/augmentations/test_toy.py.)
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seisml.config.launch import run

REPO = Path(__file__).resolve().parents[1]
METHOD = '''
import torch
from seisml.methods.self_supervised.joint_embedding import JointEmbedding

class Toy(JointEmbedding):
    """Pull two views together, and keep their features apart from zero."""

    def __init__(self, strength: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength

    def pair_loss(self, z, z2):
        pull = (z - z2).square().mean()
        apart = torch.relu(1 - z.std(0)).mean()
        return {"pull": pull, "apart": apart, "loss": pull + self.strength * apart}
'''
METHOD_YAML = """# @package _global_
defaults:
  - /recipe: pretraining
  - _self_
model_params:
  _target_: toy_method.Toy
  proj_hid: 16
  proj_out: 16
exp_params:
  strength: 2.0
augmentations:
  - RandomCrop: {width: 0.5}
"""
DATA = '''
import numpy as np
import pandas as pd
from seisml.data.datamodule import StoreDataModule
from seisml.store.writer import StoreWriter

class ToyDataModule(StoreDataModule):
    """Tones and noise, made where the folder is missing."""

    def __init__(self, root: str, n_events: int = 20, **kwargs):
        super().__init__(root, **kwargs)
        self.n_events = n_events

    def prepare_data(self):
        if self.root.exists():
            return
        generator = np.random.default_rng(0)
        with StoreWriter(self.root, {"toy": True}, None) as writer:
            for number in range(self.n_events):
                x = generator.standard_normal((2, 1000))
                if number % 2:
                    x += 5 * np.sin(np.arange(1000) / 3)
                writer.add(x.astype(np.float32), {
                    "trace_category": "tone" if number % 2 else "noise", "source_id": str(number),
                    "trace_source_file": str(number), "trace_sampling_rate_hz": 100.0,
                })
'''
DATA_YAML = """_target_: toy_data.ToyDataModule
root: toy_store
n_events: 24
"""


def test_a_method_and_a_data_set_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {
        "toy_method.py": METHOD,
        "toy_data.py": DATA,
        "configs/model_params/toy.yaml": METHOD_YAML,
        "configs/dataset/toy.yaml": DATA_YAML,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    # groups beside the YAML that is named are found, like the project's own
    (tmp_path / "configs" / "mine.yaml").write_text((REPO / "configs" / "ssl.yaml").read_text())
    words = [
        "--config", "configs/mine.yaml", "model_params=toy", "dataset=toy", "trainer_params.enable_progress_bar=false",
        "model_params.backbone_type=SmallResNetEncoder", "front_end.size=[32,64]", "trainer_params.max_epochs=1",
        "exp_params.model_save_ep_period=-1", "hydra.run.dir=run", "figures=false", "dataset.batch_size=8",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert run("configs/ssl.yaml", None, words) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"train/pull", "train/apart", "train/loss", "probe/knn_acc"} <= set(metrics)
    assert metrics["train/loss"] > 0 and metrics["classes"] == ["noise", "tone"]
    capsys.readouterr()
    assert run("configs/ssl.yaml", None, [*words, "exp_params.strenght=3", "hydra.run.dir=again"]) == 2
    assert "did you mean 'strength'?" in capsys.readouterr().err
