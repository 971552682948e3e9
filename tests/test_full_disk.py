"""A full disk: one line that names the file and the cure, exit code 2, and what was whole stays whole."""

from __future__ import annotations

import errno
import os
import subprocess

import h5py
import numpy as np
import pytest
import torch

from seisml.cli import main
from seisml.config.compose import compose
from seisml.config.launch import run
from seisml.errors import UserError
from seisml.files import naming_disk_errors, new_folder, partial_path, write_atomically, write_text
from seisml.run.train import train
from seisml.run.watching.finite_loss import FiniteLoss
from tests.continuous_records import make_record, make_stream, write_checkpoint
from tests.stores import write_store


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a disk of so many KiB."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            pytest.skip("needs the command mount")
        if done.returncode:
            pytest.skip("needs the right to mount a disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def the_line(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1 and "the disk is full; free some space" in lines[0], lines
    return lines[0]


def test_a_file_stays_as_it_was(small_disk):
    path = small_disk(64) / "a.txt"
    write_text(path, "first")
    with pytest.raises(UserError, match=r"a.txt: the disk is full; free some space") as caught:
        write_text(path, "x" * 100_000)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert path.read_text() == "first" and os.listdir(path.parent) == ["a.txt"]


def test_an_exception_and_killed_writers_leave_nothing(tmp_path):
    path = write_text(tmp_path / "a.txt", "first")
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    left = partial_path(path)
    left.with_name(left.name.rpartition("-")[0] + f"-{dead}").write_text("half")
    living = left.with_name(left.name.rpartition("-")[0] + f"-{os.getppid()}")
    living.write_text("of another process that is at work")

    def fail(part):
        part.write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_atomically(path, fail)
    assert path.read_text() == "first" and set(tmp_path.iterdir()) == {path, living}


def test_a_folder_that_another_command_makes_meanwhile_is_not_touched(tmp_path):
    folder = tmp_path / "cell"
    with pytest.raises(UserError, match="cell: another command has made it meanwhile"), new_folder(folder) as part:
        write_text(part / "a.txt", "mine")
        folder.mkdir()
        write_text(folder / "a.txt", "theirs")
    assert os.listdir(tmp_path) == ["cell"] and (folder / "a.txt").read_text() == "theirs"


def test_words_of_hdf5_name_the_system_s_error(small_disk):
    path = small_disk(64) / "x.h5"
    with pytest.raises(UserError, match=r"x.h5: the disk is full") as caught, naming_disk_errors(path):
        with h5py.File(path, "w") as file:
            file["X"] = np.ones(100_000)
    assert "buf" not in str(caught.value)


def test_prepare(small_disk, tmp_path, capsys):
    for kind in "ab":
        (tmp_path / "in" / kind).mkdir(parents=True)
        for number in range(3):
            name = str(tmp_path / "in" / kind / f"{number}.mseed")
            make_stream(make_record(400, {}, seed=number)).write(name, format="MSEED")
    disk = small_disk(100)
    assert main(["prepare", "folder", str(tmp_path / "in"), "--out", str(disk / "store")]) == 2
    assert "store" in the_line(capsys) and not os.listdir(disk)


@pytest.mark.parametrize("size", [4, 24, 44])
def test_predict(small_disk, tmp_path, capsys, size):
    checkpoint = write_checkpoint(tmp_path, trained=False)
    make_stream(make_record(3600, {})).write(str(tmp_path / "a.mseed"), format="MSEED")
    disk = small_disk(size)
    assert main(["predict", str(checkpoint), str(tmp_path / "a.mseed"), "--out", str(disk / "out")]) == 2
    assert str(disk) in the_line(capsys)
    assert not [path for path in disk.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize(("size", "logger"), [(16, "csv"), (700, "csv"), (700, "tensorboard"), (3100, "csv")])
def test_training(small_disk, tmp_path, capsys, monkeypatch, size, logger):
    """Full at the start, at the first checkpoint, or when one is there."""
    monkeypatch.chdir(tmp_path)
    store, disk = write_store(tmp_path / "store", n_events=20), small_disk(size)
    overrides = [
        "dataset=store", f"dataset.root={store}", "dataset.batch_size=8", "front_end.nperseg=64",
        "front_end.size=[32,64]", "model_params.backbone_type=SmallResNetEncoder", "trainer_params.max_epochs=2",
        "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false", f"logger={logger}", f"out={disk}",
        "exp_params.model_save_ep_period=1", "checkpoint.every_n_epochs=1",
    ]  # fmt: skip
    code = run("configs/finetune.yaml", None, overrides)
    assert code == 2 and str(disk) in the_line(capsys)
    for path in disk.rglob("*.ckpt"):
        torch.load(path, weights_only=True)
    assert not [path for path in disk.rglob("*") if "partial" in path.name]


def test_training_on_a_disk_that_becomes_read_only(small_disk, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, disk, steps = write_store(tmp_path / "store", n_events=20), small_disk(30_000), iter(range(9))
    settings = [
        "dataset=store", f"dataset.root={store}", "dataset.batch_size=8", "front_end.nperseg=64", "figures=false",
        "front_end.size=[32,64]", "model_params.backbone_type=SmallResNetEncoder", "trainer_params.max_epochs=2",
        "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false", "resume=auto",
        "checkpoint.every_n_steps=1",
    ]  # fmt: skip

    def remount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="^.*: the disk is read-only; write to another"):
        patch.setattr(FiniteLoss, "on_before_backward", lambda *_: next(steps) == 2 and remount("ro"))
        train(compose("configs/finetune.yaml", settings), disk / "run")
    remount("rw")
    train(compose("configs/finetune.yaml", settings), disk / "run")
    assert "Going on with batch 1 of epoch 2 (step 2)." in capsys.readouterr().out
