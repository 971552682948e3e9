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
from seisml.errors import UserError, interrupts_wait
from seisml.run.folder import claim_folder, run_folder

FIXTURES = Path(__file__).parents[1] / "fixtures"
REPO = Path(__file__).resolve().parents[2]
SSL, FINETUNE = "configs/ssl.yaml", "configs/finetune.yaml"
GIVEN = ["dataset=store", "dataset.root=STORE"]


@pytest.fixture(autouse=True)
def _in_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "STORE").mkdir()
    (tmp_path / "data" / "aknes").mkdir(parents=True)
    for name in ("SEISML_TRACEBACK", "HYDRA_FULL_ERROR", "RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


class Recorder:
    """Stands for training: keeps what it was called with."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls: list[tuple[DictConfig, Path]] = []
        self.error = error

    def __call__(self, cfg: DictConfig, folder: Path) -> None:
        self.calls.append((cfg, folder))
        if self.error:
            raise self.error


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str, default: str = SSL) -> str:
    train = Recorder()
    Path("occupied").touch()
    assert run(default, train, arguments) == 2
    assert not train.calls and not Path("runs").exists()  # before anything ran or was made
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


# -- options and folders -----------------------------------------------------------------------------------------------
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


# -- one line per error ------------------------------------------------------------------------------------------------
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


def test_ctrl_c_waits_for_the_end_of_an_import() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


# -- what is cheap comes first, jobs run anywhere ----------------------------------------------------------------------
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
