"""What a run imports before its first step: seconds that everybody waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.stores import write_store

NOT_YET = {
    "dask",
    "lightly",
    "obspy",
    "onnx",
    "seisbench",
    "sklearn",
    "tensorboard",
    "torchinfo",
    "vl_convert",
    "wandb",
}
PROGRAM = """
import os, sys
from seisml.config.launch import main

def train(cfg, folder):
    from seisml.methods.base import Method
    from seisml.run.folds import train_or_cross_validate

    def stop(*arguments):
        print("imported:", *sorted({{name.partition(".")[0] for name in sys.modules}}), flush=True)
        os._exit(0)

    Method.on_train_batch_end = stop
    train_or_cross_validate(cfg, folder)

main("configs/{config}.yaml", train)
"""


@pytest.mark.long
@pytest.mark.parametrize(("config", "method"), [("ssl", "vnibcreg"), ("finetune", "supervised")])
def test_slow_imports_wait_until_they_are_needed(config, method, tmp_path):
    store = write_store(tmp_path / "store")
    settings = [
        "dataset=store",
        f"dataset.root={store}",
        "dataset.split_procedure=fixed_test",
        f"model_params={method}",
        "trainer_params=smoke",
    ]
    settings += ["model_params.backbone_type=SmallResNetEncoder", f"out={tmp_path}", f"encoder_folder={tmp_path}"]
    settings += ["dataset.batch_size=8", "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]"]
    command = [sys.executable, "-c", PROGRAM.format(config=config), *settings]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("imported: ")]
    assert lines, ended.stderr
    assert not NOT_YET & set(lines[0].split())
