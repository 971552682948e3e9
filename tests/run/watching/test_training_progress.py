"""What a training run says while it goes on."""

import re

import pytest

from seisml.config.compose import compose
from seisml.run.train import train
from seisml.terminal import progress
from tests.stores import write_store

SMALL = (
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.batch_size=8", "front_end.nperseg=64",
    "front_end.noverlap=32", "front_end.size=[32,64]", "trainer_params.gpus=[]", "trainer_params.max_epochs=4",
    "exp_params.model_save_ep_period=-1",
    "figures=false",
)  # fmt: skip


@pytest.mark.parametrize("interval", [10.0, 0.0])
def test_off_a_terminal_training_writes_lines_with_metrics(tmp_path, capsys, monkeypatch, interval):
    monkeypatch.setattr(progress, "INTERVAL", interval)
    store = write_store(tmp_path / "store", n_events=40)
    train(compose("configs/finetune.yaml", [*SMALL, f"dataset.root={store}"]), tmp_path / "run")
    captured = capsys.readouterr()
    said = captured.err + captured.out
    assert "\r" not in said and "━" not in said and "|" not in said
    lines = [line for line in captured.err.splitlines() if line.startswith("training:")]
    assert re.match(r"training: done after 4 epochs, step \d+, train/loss \d", lines[-1])
    if interval:
        assert len(lines) == 1  # nothing took ten seconds
    else:
        assert any(re.match(r"training: epoch 2 of 4, step \d+, train/loss \d", line) for line in lines)
        assert any(re.match(r"training: epoch 2 of 4, batch 1 of \d+, step", line) for line in lines)
