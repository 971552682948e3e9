"""``load_encoder.weights``: torchvision's ImageNet weights, where they are and where they cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision import models

from seisml.config.compose import compose
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.train import train

NO_NETWORK = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture
def overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A short run on spectrograms, with PyTorch's cache in a folder and no way to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, NO_NETWORK)
    prepare_lanl_demo(tmp_path / "demo.h5", n_cycles=4, scale=1000)
    return [
        "+experiment=lanl_spectrogram", f"dataset.root={tmp_path / 'demo.h5'}", "front_end.nperseg=64",
        "load_encoder.weights=imagenet", "load_encoder.backbone_type=ResNet18Encoder",
        "~model_params.backbone_params.stem_stride", "dataset.evaluation_overlap=0",
        "trainer_params.gpus=[]", "trainer_params.max_epochs=1",
        "trainer_params.limit_train_batches=1", "trainer_params.limit_val_batches=1", "dataset.batch_size=4",
        "dataset.n_test_stretches=0", "trainer_params.enable_progress_bar=false", "figures=false",
        "exp_params.model_save_ep_period=-1", "exp_params.freeze_encoders=true",
    ]  # fmt: skip


@pytest.mark.long
def test_a_run_starts_from_them_and_its_checkpoint_needs_no_network(overrides: list[str], tmp_path: Path) -> None:
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.manual_seed(1)
    state = models.resnet18(weights=None).state_dict()
    torch.save(state, cache / "resnet18-f37072fd.pth")
    result = train(compose("configs/finetune.yaml", overrides), tmp_path / "run")
    (cache / "resnet18-f37072fd.pth").unlink()
    loaded = load_method(result.checkpoint).encoder.model
    torch.testing.assert_close(loaded.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])
    torch.testing.assert_close(loaded.conv1.weight, state["conv1.weight"].sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed=0", "imagenet could not be loaded from https://.*resnet18.*; set load_encoder.weights=null, or put"),
        ("load_encoder.backbone_type=SmallResNetEncoder", "no ImageNet weights for SmallResNetEncoder"),
        ("load_encoder.ckpt_fname={}", "load_encoder.ckpt_fname brings weights, too"),
        ("load_encoder.weights=imagenot", "load_encoder.weights"),
    ],
)
def test_what_cannot_be_had_is_one_line(overrides: list[str], tmp_path: Path, change: str, words: str) -> None:
    if "ckpt" in change:
        torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "a.ckpt")
        change = change.format(tmp_path / "a.ckpt")
    if "Small" in change:
        overrides = [text for text in overrides if "~" not in text]
    with pytest.raises(UserError, match=words):
        train(compose("configs/finetune.yaml", [*overrides, change]), tmp_path / "run")
