"""What launchers say of the processes that they have started."""

from __future__ import annotations

import pytest

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.starting.launched import Launched, launched
from seisml.run.train import train
from seisml.run.trainer import device_arguments

STEP = {  # what srun says to the second of four tasks on two nodes
    "SLURM_JOB_ID": "91234", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1", "SLURM_NODEID": "0",
}  # fmt: skip
SAYS = {
    "RANK": "1", "LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "gpu07", "MASTER_PORT": "16234",
}  # fmt: skip


def test_nobody_has_started_others():
    assert launched({}) is None
    batch_script = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert launched(batch_script) is None


def test_srun():
    started = launched(STEP)
    assert started == Launched(4, 2, SAYS) and started.n_nodes == 2
    one = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "2"}
    assert launched({**STEP, **one}).says["MASTER_ADDR"] == "127.0.0.1"
    assert launched({**STEP, "MASTER_PORT": "2"}).says["MASTER_PORT"] == "2"
    with pytest.raises(UserError, match="SLURM has put 3,1 tasks on the nodes.*set --ntasks-per-node"):
        launched({**STEP, "SLURM_STEP_TASKS_PER_NODE": "3,1"})


def test_torchrun():
    says = {"LOCAL_RANK": "1", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3"}
    assert launched({**STEP, **says}) == Launched(6, 3) and launched(says).n_nodes == 2


@pytest.fixture
def step(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)


def test_devices_are_those_that_are_started(step, monkeypatch):
    found = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "num_nodes": 2}
    assert device_arguments([], "started") == device_arguments("auto", "started") == found
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    found = {"accelerator": "gpu", "devices": [0, 1], "strategy": "ddp", "num_nodes": 2}
    assert device_arguments("auto", "started") == found
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="2 processes on a node that see 1 of its GPUs; ask for --gres=gpu:2"):
        device_arguments("auto", "started")


def test_without_a_launcher_it_is_one_line(monkeypatch):
    for name in ("LOCAL_RANK", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="trainer_params.devices=started: no launcher has started .* with srun"):
        device_arguments([], "started")


def test_other_numbers_of_processes_are_one_line(step, tmp_path):
    cfg = compose("configs/ssl.yaml", ["dataset=demo", "trainer_params=cpu"])
    with pytest.raises(UserError, match=r"4 processes are started \(2 on a node\).* 1 on a node; set trainer_pa"):
        train(cfg, tmp_path)
