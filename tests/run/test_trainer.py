"""The section trainer_params: where a run computes, and what may not be set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seisml.errors import UserError
from seisml.run.trainer import build_trainer, device_arguments

CPU = {"accelerator": "cpu", "devices": 1}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Pretend that the machine has so many GPUs."""

    def pretend(gpus: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return pretend


@pytest.mark.parametrize(
    ("present", "gpus", "expected"),
    [
        (0, [0], CPU),
        (0, 1, CPU),
        (0, None, CPU),
        (0, "auto", CPU),
        (2, [], CPU),
        (2, 0, CPU),
        (2, [1], {"accelerator": "gpu", "devices": [1]}),
        (2, 1, {"accelerator": "gpu", "devices": [0]}),
        (1, "auto", {"accelerator": "gpu", "devices": [0]}),
        (1, -1, {"accelerator": "gpu", "devices": [0]}),
    ],
)
def test_devices(machine, capsys, present: int, gpus: object, expected: dict) -> None:
    machine(present)
    assert device_arguments(gpus) == expected
    said = capsys.readouterr().out.splitlines()
    assert len(said) == (1 if gpus in ([0], 1, "auto", -1) and not present else 0)


@pytest.mark.parametrize(
    ("present", "gpus", "words"),
    [
        (0, [7], "there is no GPU 7; this machine has none"),
        (0, [-3], "there is no GPU -3"),
        (2, [5], "there is no GPU 5; this machine has 0, 1"),
        (0, -5, "-5 is not a number of GPUs"),
        (2, -5, "-5 is not a number of GPUs"),
        (0, [0, 1], "there is no GPU 1; this machine has none"),
        (2, 3, "there is no GPU 2; this machine has 0, 1"),
    ],
)
def test_what_is_not_there_is_refused(machine, present: int, gpus: object, words: str) -> None:
    machine(present)
    with pytest.raises(UserError, match="trainer_params.gpus") as caught:
        device_arguments(gpus)
    assert words in str(caught.value)


def test_processes_on_the_cpu_say_that_they_miss_a_gpu(machine, capsys) -> None:
    """``trainer_params=ddp``, and ``slurm`` of several tasks, on a machine without GPUs."""
    machine(0)
    device_arguments("auto")
    device_arguments("auto", devices=2)
    device_arguments([], devices=2)  # the CPU is what was asked for
    device_arguments("auto", say=False)
    assert capsys.readouterr().out.splitlines() == [
        "trainer_params.gpus is auto, but there is no GPU here: running on the CPU",
        "trainer_params.gpus is auto, but there is no GPU here: running on the CPU in 2 processes",
    ]


def test_several_devices_have_a_process_each(machine) -> None:
    machine(0)
    assert device_arguments([], devices=3) == {"accelerator": "cpu", "devices": 3, "strategy": "ddp"}
    machine(2)
    for gpus in ([0, 1], 2, "auto"):
        assert device_arguments(gpus) == {"accelerator": "gpu", "devices": [0, 1], "strategy": "ddp"}
    with pytest.raises(UserError, match="trainer_params.devices: 2 processes on the GPUs"):
        device_arguments([0], devices=2)


@pytest.mark.parametrize("precision", ["16-mixed", 16])
def test_float16_on_a_cpu_is_one_line(tmp_path: Path, precision: str | int) -> None:
    """Lightning takes bfloat16 in its place."""
    with pytest.raises(UserError, match="^trainer_params.precision: 16.* is for GPUs; on the CPU take bf16-mixed"):
        build_trainer(tmp_path, False, [], gpus=[0], precision=precision)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "transformer-engine"])
def test_a_precision_without_float32_is_one_line(tmp_path: Path, precision: str) -> None:
    """Waveforms, spectrograms and losses are float32 in all others."""
    with pytest.raises(UserError, match=f"^trainer_params.precision: {precision} .* bf16-mixed"):
        build_trainer(tmp_path, False, [], accelerator="auto", precision=precision)


@pytest.mark.parametrize(
    "setting", [{"strategy": "psychic"}, {"precision": 7}, {"accelerator": "gpu"}, {"plugins": "x"}, {"profiler": "x"}]
)
def test_values_that_lightning_refuses_are_one_line(tmp_path: Path, setting: dict) -> None:
    with pytest.raises(UserError, match="^trainer_params: .+") as caught:
        build_trainer(tmp_path, False, [], gpus=[], **setting)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"limit_test_batches": 0}, {"limit_test_batches": 0.0}, {"limit_val_batches": -1}, {"max_time": 0},
        {"max_time": "00:00:00:00"}, {"max_time": {"hours": 0}},
    ],
)  # fmt: skip
def test_settings_that_leave_nothing_to_do_are_one_line(tmp_path: Path, setting: dict) -> None:
    (key,) = setting
    with pytest.raises(UserError, match=f"^trainer_params.{key}: ") as caught:
        build_trainer(tmp_path, False, [], gpus=[], **setting)
    assert "\n" not in str(caught.value)


def test_limits_that_leave_something_are_taken(tmp_path: Path) -> None:
    trainer = build_trainer(tmp_path, False, [], gpus=[], limit_test_batches=1, max_time="00:00:10:00")
    assert trainer.limit_test_batches == 1


@pytest.mark.parametrize("interval", [0, 0.0, -1])
def test_an_interval_of_zero_is_one_line(tmp_path: Path, interval: float) -> None:
    """Lightning takes it, and divides by it in the first epoch."""
    with pytest.raises(UserError, match="^trainer_params.val_check_interval: "):
        build_trainer(tmp_path, False, [], gpus=[], val_check_interval=interval)
    build_trainer(tmp_path, False, [], gpus=[], val_check_interval=0.5)
