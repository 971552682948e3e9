"""Entry points: their options, the folders of jobs, errors of jobs, processes of launchers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from seisml.config import launch as subject
from seisml.config.launch import run
from seisml.errors import Stopped, UserError, interrupts_wait
from seisml.run.folder import claim_folder, run_folder
from tests.config.launching import FINETUNE, GIVEN, SSL, Recorder, error_line

FIXTURES = Path(__file__).parents[1] / "fixtures"
REPO = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("in_new_folder")


@pytest.mark.parametrize("option", ["--config", "--config_ssl", "--config_ft", "--configs"])
def test_every_spelling_of_the_option(option: str) -> None:
    for arguments in ([f"{option}=x.yaml", "seed=3"], ["seed=3", option, "x.yaml"]):
        assert subject._take_option(arguments, SSL) == ("x.yaml", ["seed=3"])
    assert subject._take_option(["seed=3"], SSL) == (SSL, ["seed=3"])


def test_run_folder_is_new_and_holds_the_config() -> None:
    train, argv = Recorder(), list(sys.argv)
    for _ in range(2):
        assert run(SSL, train, [*GIVEN, "out=results"]) == 0
    first, second = (folder for _, folder in train.calls)
    assert first != second
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}_[0-9a-f]{6}", first.name)
    assert first.parent == Path("results/ssl").resolve()
    assert OmegaConf.load(first / "config.yaml").dataset.root == "STORE"
    assert (first / "ssl.log").is_file() and sys.argv == argv
    assert Path.cwd() != first  # paths of the user stay relative to where the user is


def test_multirun_gives_each_job_a_folder() -> None:
    train = Recorder()
    assert run(SSL, train, ["-m", *GIVEN, "seed=1,2"]) == 0
    folders = [folder for _, folder in train.calls]
    assert [folder.name for folder in folders] == ["0", "1"] and folders[0].parent == folders[1].parent


def test_sweep_file_is_a_multirun() -> None:
    train = Recorder()
    assert run(FINETUNE, train, ["-m", "+sweep=label_fractions", *GIVEN, "hydra.sweeper.params={seed: '0,1'}"]) == 0
    assert {(cfg.dataset.train_data_ratio, cfg.seed) for cfg, _ in train.calls} == {
        (ratio, seed) for ratio in (0.05, 0.1, 0.8) for seed in (0, 1)
    }


def test_used_folder_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "metrics.json").write_text("{}")
    line = error_line(capsys, *GIVEN, "hydra.run.dir=used")
    assert "used holds a run already (metrics.json)" in line
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["metrics.json"]


def test_a_used_folder_is_taken_to_go_on(tmp_path: Path) -> None:
    train = Recorder()
    assert run(SSL, train, [*GIVEN, "hydra.run.dir=used", "exp_params.LR=0.5"]) == 0
    assert run(SSL, train, [*GIVEN, "hydra.run.dir=used", "resume=auto"]) == 0
    assert run(SSL, train, [f"resume={tmp_path / 'used'}", "dataset.num_workers=3"]) == 0  # its settings, and this one
    assert {folder for _, folder in train.calls} == {tmp_path / "used"}
    assert [cfg.exp_params.LR for cfg, _ in train.calls] == [0.5, 1e-3, 0.5]
    assert [cfg.get("resume") for cfg, _ in train.calls] == [None, "auto", "auto"]
    last = train.calls[-1][0]
    assert last.dataset.num_workers == 3 and last.dataset.root == "STORE"
    train.calls.clear()
    for _ in range(2):
        assert run(SSL, train, ["-m", *GIVEN, "hydra.sweep.dir=sweep", "seed=1,2", "resume=auto"]) == 0
    assert [folder for _, folder in train.calls] == [tmp_path / "sweep" / number for number in "0101"]


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs2" / "a1").mkdir(parents=True)
    (tmp_path / "runs2" / "a1" / "config.yaml").touch()
    line = error_line(capsys, "resume=runs2/a2")
    assert "resume=runs2/a2: there is no run (config.yaml); did you mean 'runs2/a1'?" in line


def test_claiming_a_folder_twice_is_refused(tmp_path: Path) -> None:
    cfg = OmegaConf.create({"out": "runs"})
    folder = run_folder(cfg)
    claim_folder(folder, cfg)
    with pytest.raises(UserError, match="holds a run already"):
        claim_folder(folder, cfg)


def test_help_and_cfg(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(SSL, Recorder(), ["--help"])
    assert "--config_ssl" in capsys.readouterr().out
    assert run(SSL, Recorder(), ["--cfg", "job", "seed=9"]) == 0
    assert "seed: 9" in capsys.readouterr().out


def test_flat_yaml_takes_overrides_and_multirun(tmp_path: Path) -> None:
    train = Recorder()
    flat = str(FIXTURES / "published_finetune.yaml")
    assert (
        run(
            FINETUNE,
            train,
            ["--config_ft", flat, "-m", "seed=1,2", *GIVEN, "load_encoder.backbone_type=ResNet50Encoder"],
        )
        == 0
    )
    assert [cfg.dataset.train_test_split_rand_seed for cfg, _ in train.calls] == [0, 0]  # the file sets it
    assert [cfg.seed for cfg, _ in train.calls] == [1, 2]
    assert all(cfg.model_params.backbone_type == "ResNet50Encoder" for cfg, _ in train.calls)


def test_error_of_the_run_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(SSL, Recorder(UserError("the store is empty;\nfill it")), GIVEN) == 2
    assert capsys.readouterr().err == "error: the store is empty; fill it\n"
    wrapped = RuntimeError("Hydra says")
    wrapped.__cause__ = UserError("the cause")
    assert run(SSL, Recorder(wrapped), GIVEN) == 2
    assert capsys.readouterr().err == "error: the cause\n"
    worker = UserError(
        "Caught UserError in DataLoader worker process 0.\nTraceback\nseisml.errors.UserError: a bad row\n"
    )
    assert run(SSL, Recorder(worker), GIVEN) == 2
    assert capsys.readouterr().err == "error: a bad row\n"
    monkeypatch.setenv("SEISML_TRACEBACK", "1")
    assert run(SSL, Recorder(UserError("x")), GIVEN) == 2
    assert "Traceback" in capsys.readouterr().err


def test_error_of_one_job_lets_the_others_run(capsys: pytest.CaptureFixture[str]) -> None:
    train = Recorder(UserError("no good"))
    assert run(SSL, train, ["-m", *GIVEN, "seed=1,2"]) == 2
    assert len(train.calls) == 2
    assert capsys.readouterr().err == "error: job 0: no good\nerror: job 1: no good\n"


def test_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SSL, Recorder(ZeroDivisionError("a bug")), GIVEN) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SSL, Recorder(KeyboardInterrupt()), GIVEN) == 130
    assert capsys.readouterr().err == "interrupted\n"
    stop = SystemExit(1)  # what Lightning makes of it
    stop.__context__ = KeyboardInterrupt()
    assert run(SSL, Recorder(stop), GIVEN) == 130


def test_a_signal_ends_a_job_of_submitit_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Recorder(Stopped("SIGUSR2; step 3 is saved", signal.SIGUSR2))
    assert run(SSL, train, GIVEN) == 75
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    with pytest.raises(SystemExit) as caught:
        run(SSL, train, GIVEN)
    assert caught.value.code == 75
    assert capsys.readouterr().err == "stopped: SIGUSR2; step 3 is saved\n" * 2


def test_ctrl_c_waits_for_the_end_of_an_import() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def finish_or_fail(cfg: DictConfig, folder: Path) -> int:
    """Stands for training in other processes."""
    (folder / "ran").write_text(str(os.getpid()))
    if cfg.seed == 2:
        raise UserError("seed 2 is bad luck")
    return cfg.seed


@pytest.mark.long
def test_jobs_run_in_the_processes_of_a_launcher(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    arguments = ["--config", "flat.yaml", "-m", "hydra/launcher=joblib", *GIVEN]
    code = (
        "import sys; from seisml.config.launch import run; from tests.config.test_launch import finish_or_fail\n"
        f"sys.exit(run('configs/finetune.yaml', finish_or_fail, [*{arguments!r}, *sys.argv[1:]]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    shutil.copy(FIXTURES / "published_finetune.yaml", tmp_path / "flat.yaml")
    command = [sys.executable, "-c", code, "seed=1,2"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "error: job 1: seed 2 is bad luck" in done.stderr, done.stderr
    processes = [path.read_text() for path in (tmp_path / "runs").rglob("ran")]
    assert len(processes) == 2 and str(os.getpid()) not in processes
    assert [path.read_text() for path in (tmp_path / "runs").rglob("error.txt")] == ["2\nseed 2 is bad luck\n"]
    assert not list((tmp_path / "temporary").glob("seisml*"))
