"""What is wrong with a command or its files is one line, before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.config.launching import GIVEN, SSL, error_line

REPO = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("in_new_folder")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("exp_params.LRR=1", "exp_params.LRR=1: unknown key 'exp_params.LRR'; did you mean 'LR'?"),
        ("exp_parms.LR=1", "exp_parms.LR=1: unknown key 'exp_parms'; did you mean 'exp_params'?"),
        ("sed=1", "sed=1: unknown key 'sed'; did you mean 'seed'?"),
        ("dataset.root.x=1", "dataset.root.x=1: dataset.root: {'x': 1} is not text"),
        ("trainer_params.max_epoch=1", "did you mean 'max_epochs'?"),
        ("trainer_params.max_epochs=ten", "trainer_params.max_epochs: 'ten' is not a whole number"),
        ("trainer_params.gpus=x", "trainer_params.gpus: 'x' is not a whole number or a list or one of auto"),
        ("exp_params.LR=abc", "exp_params.LR=abc: exp_params.LR: 'abc' is not a number"),
        ("exp_params.LR='1e-3'", "exp_params.LR: '1e-3' is text"),
        ("exp_params.use_diag_loss=perhaps", "'perhaps' is not true or false"),
        ("dataset.batch_size=true", "dataset.batch_size: true is not a number"),
        ("dataset.split_by=evnt", "one of record, event, station, time (did you mean 'event'?)"),
        ("front_end.npreseg=80", "did you mean 'nperseg'?"),
        ("front_end.size=big", "front_end.size: 'big' is not a list"),
        ("model_params.proj_hidd=1", "did you mean 'proj_hid'?"),
        ("model_params._target_=seisml.methods.NoSuch", "cannot import 'seisml.methods.NoSuch'"),
        ("augmentations=RandomCrop", "augmentations: 'RandomCrop' is not a list"),
        ("seed=x", "seed: 'x' is not a whole number"),
        ("seed=-1", "seed=-1: seed: -1 is out of range; it is at least 0"),
        ("dataset.batch_size=0", "dataset.batch_size: 0 is out of range; it is at least 1"),
        ("dataset.num_workers=-1", "dataset.num_workers: -1 is out of range"),
        ("exp_params.LR=-1e-3", "exp_params.LR: -0.001 is out of range; it is above 0"),
        ("exp_params.weight_decay=nan", "exp_params.weight_decay: nan is out of range"),
        ("exp_params.weight_decay=inf", "exp_params.weight_decay: inf is out of range"),
        ("exp_params.LR=0", "exp_params.LR: 0 is out of range; it is above 0"),
        ("dataset.batch_size=1e3", "dataset.batch_size: 1000.0 is not a whole number; write 1000"),
        ("trainer_params.max_epochs=0", "trainer_params.max_epochs: 0 is out of range; it is at least 1 or -1"),
        ("trainer_params.limit_train_batches=0", "limit_train_batches: 0 is out of range; it is at least 1 or above 0"),
        ("trainer_params.accumulate_grad_batches=0", "accumulate_grad_batches: 0 is out of range; it is at least 1"),
        ("trainer_params.check_val_every_n_epoch=0", "check_val_every_n_epoch: 0 is out of range; it is at least 1"),
        ("trainer_params.overfit_batches=5", "trainer_params.overfit_batches cannot be set here: set"),
        ("trainer_params.accelerator=tpu", "'tpu' is not one of auto, cpu, gpu, cuda, mps"),
        ("trainer_params.callbacks=[]", "trainer_params.callbacks cannot be set here"),
        ("trainer_params.logger=false", "trainer_params.logger cannot be set here"),
        ("trainer_params.gradient_clip_val=1", "set exp_params.gradient_clip_val"),
        ("trainer_params.devices=0", "trainer_params.devices: 0 is out of range; it is at least 1"),
        ("logger=false", "~logger"),
        ("out=" + "a" * 300, "cannot be made"),
        ("out=''", "out: "),
        ("exp_params.LR=" + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("exp_params=5", "exp_params: 5 is not a section"),
        ("dataset=akness", "there is no configs/dataset/akness.yaml; did you mean 'aknes'?"),
        ("+experiment=no_such", "experiment=no_such: there is no configs/experiment/no_such.yaml"),
        ("experimnt=demo", "did you mean 'experiment'?"),
        ("dataset=store", "dataset.root is missing; set it: dataset.root=..."),
        ("exp_params.LR=1e-3,1e-4", "add -m to run each of them"),
        ("exp_params.LR={", "this is not an override; write key=value"),
        ("configs/ssl.yaml", "configs/ssl.yaml: this is not an override; write key=value"),
        ("out=occupied/x", "occupied is not a folder to write in; set out=FOLDER"),
        ("hydra.rn.dir=x", "hydra.rn.dir"),
        ("--no-such-option", "unrecognized arguments: --no-such-option"),
        ("out=${no_such}", "no_such"),
        ("~exp_params.no_such", "exp_params.no_such"),
    ],
)
def test_bad_override_is_one_line(capsys: pytest.CaptureFixture[str], override: str, expected: str) -> None:
    assert expected in error_line(capsys, override)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp_params:\n  LR: 1e-3\n  rhoo: 1\n", "mine.yaml:3: unknown key 'exp_params.rhoo'; did you mean 'rho'?"),
        ("seed: 1\n\nexp_parms:\n  LR: 1\n", "mine.yaml:3: unknown key 'exp_parms'; did you mean 'exp_params'?"),
        ("dataset:\n  batch_size: many\n", "mine.yaml:2: dataset.batch_size: 'many' is not a whole number"),
        ("exp_params:\n  LR: 1\n LR: 2\n", "mine.yaml:3: this is not valid YAML"),
        ("seed: 1\nseed: 2\n", "mine.yaml:2: this is not valid YAML (while constructing a mapping found duplicate key"),
        ("exp_params: 5\n", "mine.yaml:1: exp_params: 5 is not a section"),
        ("model_params:\n  name: VIbCReb\n", "there is no method 'VIbCReb'; did you mean 'vibcreg'?"),
        ("", "mine.yaml: it holds no keys"),
        ("defaults: 3\n", "mine.yaml: defaults is a list of files, such as"),
        ("defaults: [{a: 1, b: 2}]\n", "mine.yaml: defaults is a list of files, such as"),
        ("seed: " + "[" * 5000 + "]" * 5000, "mine.yaml: it is nested too deeply"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
         "mine.yaml: its aliases (*) repeat more than"),
        ("- 1\n", "mine.yaml: it holds no keys"),
    ],
)
def test_bad_yaml_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert expected in error_line(capsys, "--config", "mine.yaml", *GIVEN)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("out: runs", "trainer_params: {max_epoch: 300}", "'trainer_params.max_epoch'; did you mean 'max_epochs'?"),
        ("dataset: aknes", "dataset: akness", "there is no configs/dataset/akness.yaml; did you mean 'aknes'?"),
        ("- logger: csv", "- loger: csv", "loger"),
        ("out: runs", "out: [runs", "this is not valid YAML"),
    ],
)
def test_bad_native_yaml_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, old: str, new: str, expected: str
) -> None:
    text = (REPO / SSL).read_text()
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new))
    line = error_line(capsys, "--config", "mine.yaml")
    assert expected in line and "mine" in line


def test_bad_key_in_a_group_file_names_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text(
        "# @package _global_\nfront_end:\n  nperseg: 64\n  nooverlap: 3\n"
    )
    shutil.copy(REPO / SSL, tmp_path / "mine.yaml")
    line = error_line(capsys, "--config", "mine.yaml", "+experiment=own")
    assert line == "error: experiment/own.yaml:4: unknown key 'front_end.nooverlap'; did you mean 'noverlap'?"
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\nfront_end:\n  a: [\n")
    assert "experiment/own.yaml:4: this is not valid YAML" in error_line(
        capsys, "--config", "mine.yaml", "+experiment=own"
    )


def test_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "configs/ssll.yaml: there is no such file; did you mean 'configs/ssl.yaml'?" in error_line(
        capsys, "--config", "configs/ssll.yaml"
    )
    assert "--config needs a file" in error_line(capsys, "--config")


def test_multirun_checks_every_job_before_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert "exp_params.LR: 'abc' is not a number" in error_line(capsys, "-m", *GIVEN, "exp_params.LR=1e-3,abc")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dataset.root=nowhere", "dataset.root=nowhere: dataset.root: nowhere does not exist; make it with `seisml"),
        ("load_encoder.ckpt_fname=no.ckpt", "load_encoder.ckpt_fname: no.ckpt does not exist; did you mean 'on.ckpt'?"),
    ],
)
def test_missing_paths_are_found_before_torch_is_imported(tmp_path: Path, override: str, expected: str) -> None:
    (tmp_path / "on.ckpt").touch()
    code = (
        "import sys; from seisml.config.launch import run\n"
        f"assert run('configs/finetune.yaml', None, {[*GIVEN, override]!r}) == 2\n"
        "assert not {'torch', 'pandas', 'pytorch_lightning'} & set(sys.modules), sorted(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and expected in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()
