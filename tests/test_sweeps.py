"""Sweeps: what the agent of Weights & Biases, Hydra's multirun and Optuna would run, and one run of each for real."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from seisml.config.compose import compose
from seisml.config.launch import run
from tests.stores import write_store

REPO = Path(__file__).resolve().parents[1]
FILES = sorted((REPO / "configs" / "sweep").glob("wandb_*.yaml"))
TINY = [
    "dataset=store", "dataset.batch_size=8", "front_end.nperseg=32", "front_end.size=[32,64]",
    "trainer_params.max_epochs=1", "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false",
    "figures=false", "exp_params.model_save_ep_period=-1",
]  # fmt: skip
SMALL_SSL = [
    *TINY, "model_params.backbone_type=SmallResNetEncoder", "model_params.proj_hid=64", "model_params.proj_out=64"
]  # fmt: skip


def choices(parameter: dict[str, Any]) -> list[Any]:
    """All values of a grid; the ends of a range."""
    return parameter["values"] if "values" in parameter else [parameter["min"], parameter["max"]]


def agent_command(sweep: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The command line of a run, put together as ``wandb agent`` does, by wandb's functions."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    words = create_sweep_command(list(sweep["command"]))
    known = create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    known |= {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [sweep["program"]]}
    command: list[str] = []
    for word in map(str, words):
        command += known[word[2:-1]] if word.startswith("${") and word.endswith("}") else [word]
    return command


def commands(path: Path) -> list[list[str]]:
    """Those of a whole grid, or of the corners of what is searched."""
    sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = list(sweep["parameters"])
    combinations = itertools.product(*(choices(sweep["parameters"][name]) for name in names))
    return [agent_command(sweep, dict(zip(names, values, strict=True))) for values in combinations]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_command_of_the_agent_composes(path: Path) -> None:
    found = commands(path)
    seen = set()
    for command in (found[0], found[len(found) // 2], found[-1]):
        assert command[:2] == ["/usr/bin/env", "python"] and (REPO / command[2]).is_file() and command[3] == "--config"
        cfg = compose(command[4], command[5:])
        assert cfg.logger.offline is False and "WandbLogger" in cfg.logger["_target_"]
        seen.add(json.dumps([cfg.seed, str(cfg.dataset.train_data_ratio), str(cfg.exp_params)]))
    assert len(seen) == 3 and len(found) == (9 if "fractions" in path.stem else 32)


@pytest.mark.long
def test_a_command_of_the_agent_runs(tmp_path: Path) -> None:
    """Offline, which wandb's environment variable asks for: nobody has an account here."""
    (path,) = [path for path in FILES if "ssl" in path.stem]
    store = write_store(tmp_path / "store", n_events=24)
    command = commands(path)[0]
    command[1] = sys.executable
    command += [*SMALL_SSL, f"dataset.root={store}", f"hydra.run.dir={tmp_path / 'run'}"]
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "PYTHONPATH": str(REPO)}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert sweep["metric"]["name"] in metrics
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))


def test_hydra_sweeps_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = []
    arguments = ["-m", "+sweep=ssl_weights", *SMALL_SSL, f"dataset.root={tmp_path}", "exp_params.LR=1e-3"]
    keys = ("nu", "rho", "LR")
    assert run("configs/ssl.yaml", lambda cfg, _: weights.append([cfg.exp_params[key] for key in keys]), arguments) == 0
    sweep = yaml.safe_load(next(path for path in FILES if "ssl" in path.stem).read_text(encoding="utf-8"))
    ends = [choices(sweep["parameters"][f"exp_params.{key}"]) for key in keys]
    assert len(weights) == len({tuple(row) for row in weights}) == 4  # the rate is the command line's
    assert all(low <= value <= high for row in weights for value, (low, high) in zip(row, ends, strict=True))


@pytest.mark.long
def test_hydra_sweeps_the_same_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    arguments = ["-m", "+sweep=label_fractions", "dataset=store", f"dataset.root={tmp_path}"]

    def note(cfg: DictConfig, _: Path) -> None:
        data = cfg.dataset
        found.append({f"dataset.train_data_ratio={data.train_data_ratio}", f"seed={cfg.seed}", data.split_procedure})

    assert run("configs/finetune.yaml", note, arguments) == 0
    (path,) = [path for path in FILES if "fractions" in path.stem]
    for command, job in zip(commands(path), found, strict=True):
        assert {*command, "fixed_test"} >= job and "dataset.split_procedure=fixed_test" in command


@pytest.mark.parametrize(
    ("said", "jobs"),
    [
        (["dataset.train_data_ratio=0.05,0.1", "seed=0"], [(0.05, 0), (0.1, 0)]),
        (["dataset.train_data_ratio=0.8", "seed=0"], [(0.8, 0)]),
        (["++seed=5"], [(0.05, 5), (0.1, 5), (0.8, 5)]),
        (["hydra.mode=MULTIRUN", "dataset.train_data_ratio=0.8", "+seed=1,2"], [(0.8, 1), (0.8, 2)]),
    ],
)
def test_the_command_line_replaces_what_a_file_sweeps(
    said: list[str], jobs: list[tuple[float, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []

    def note(cfg: DictConfig, _: Path) -> None:
        found.append((cfg.dataset.train_data_ratio, cfg.seed))

    arguments = ["+sweep=label_fractions", "dataset=store", f"dataset.root={tmp_path}", *said]
    arguments += [] if said[0].startswith("hydra.mode") else ["-m"]
    assert run("configs/finetune.yaml", note, arguments) == 0
    assert found == jobs  # each once, in the order of the file's keys


def test_what_a_file_sweeps_is_checked_before_the_first_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["-m", "+sweep=label_fractions", "dataset=store", f"dataset.root={tmp_path}"]
    arguments += ["hydra.sweeper.params.sead='1,2'"]
    assert run("configs/finetune.yaml", lambda cfg, _: pytest.fail("a job has run"), arguments) == 2
    assert "sead" in capsys.readouterr().err


@pytest.mark.long
def test_optuna_searches_and_goes_on(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    store = write_store(tmp_path / "store", n_events=24)
    script = [sys.executable, "examples/optuna_ssl_weights.py", "--study", str(tmp_path / "optuna.db")]
    overrides = [*SMALL_SSL, f"dataset.root={store}", f"out={tmp_path / 'runs'}"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [*script, *overrides, "exp_params.rh=1"]
    wrong = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=280)
    assert wrong.returncode == 2 and wrong.stderr.count("error: ") == 1  # and no more trials
    command = [*script, "--trials", "1", *overrides]
    for _ in range(2):
        done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
    assert "best probe/knn_acc of 2 trials" in done.stdout
    study = optuna.load_study(study_name="ssl_weights", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    done_trials = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len(done_trials) == 2
    sweep = yaml.safe_load(next(path for path in FILES if "ssl" in path.stem).read_text(encoding="utf-8"))
    for trial in done_trials:  # the ranges are those of the sweep file
        assert set(trial.params) == set(sweep["parameters"])
        for name, kind in trial.distributions.items():
            assert [kind.low, kind.high] == choices(sweep["parameters"][name])
