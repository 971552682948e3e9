from __future__ import annotations

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from seisml.config import compose as subject
from seisml.config.check import method_arguments
from seisml.config.compose import claim_folder, compose, config_dir, run, run_folder, trainer_arguments
from seisml.errors import UserError, interrupts_wait

FIXTURES = Path(__file__).parents[1] / "fixtures"
REPO = Path(__file__).resolve().parents[2]
SSL, FINETUNE = "configs/ssl.yaml", "configs/finetune.yaml"
ORIGINAL = str(REPO / "original_implementation" / "config.yaml")
GIVEN = ["dataset=store", "dataset.root=STORE"]


@pytest.fixture(autouse=True)
def _in_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
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


# -- composing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("config", "values"),
    [
        (SSL, {"model_params.name": "VNIbCReg", "trainer_params.max_epochs": 300, "dataset.batch_size": 128,
               "exp_params.rho": 13.0, "exp_params.LR": 1e-3, "model_params.proj_out": 4096, "dataset.is_ssl": True}),
        (FINETUNE, {"load_encoder.ckpt_fname": "none", "trainer_params.max_epochs": 100, "dataset.batch_size": 64,
                    "exp_params.LR.encoder": 5e-4, "dataset.train_data_ratio": 0.8, "dataset.is_ssl": False,
                    "model_params.backbone_type": "ResNet34Encoder"}),
        (ORIGINAL, {"model_params.backbone_with_clf_type": "ResNet34", "trainer_params.max_epochs": 50,
                    "exp_params.weight_decay": 1e-4, "dataset.return_single_spectrogram_train": False}),
    ],
)  # fmt: skip
def test_published_hyperparameters(config: str, values: dict) -> None:
    cfg = compose(config)
    assert {key: OmegaConf.select(cfg, key) for key in values} == values
    assert cfg.dataset.root == "data/aknes" and cfg.front_end.floor == 1.0
    assert cfg.seed == cfg.dataset.train_test_split_rand_seed == 0
    assert "hydra" not in cfg


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (REPO / "configs" / group).glob("*.yaml"))


@pytest.mark.parametrize("option", options("model_params"))
def test_every_method_composes(option: str) -> None:
    refused = []
    for config in (SSL, FINETUNE, ORIGINAL):
        try:
            assert compose(config, [f"model_params={option}"]).model_params["_target_"].startswith("seisml.methods.")
        except UserError as error:
            refused.append(str(error))
    assert len(refused) < 3, refused


@pytest.mark.parametrize("option", options("experiment"))
def test_every_experiment_composes_where_it_says_it_belongs(option: str) -> None:
    text = (REPO / "configs" / "experiment" / f"{option}.yaml").read_text()
    entries = {"sslearn.py": SSL, "finetune.py": FINETUNE, "original_implementation/train.py": ORIGINAL}
    for config in [config for script, config in entries.items() if script in text] or [SSL, FINETUNE]:
        compose(config, [f"+experiment={option}"])


def test_floor_follows_the_data_unless_it_is_set() -> None:
    assert compose(SSL, GIVEN).front_end.floor == "auto"
    assert compose(SSL, ["front_end.floor=0.5"]).front_end.floor == 0.5
    assert "floor" not in compose(SSL, ["front_end=waveform"]).front_end


def test_constructor_arguments_need_no_plus() -> None:
    cfg = compose(SSL, [*GIVEN, "front_end.nfft=256", "trainer_params.deterministic=true", "+dataset.split_by=event"])
    assert (cfg.front_end.nfft, cfg.trainer_params.deterministic, cfg.dataset.split_by) == (256, True, "event")
    with pytest.raises(Exception, match="not in struct"):  # struct mode stays on for the code that reads it
        cfg.no_such_key  # noqa: B018


def test_native_yaml_anywhere_finds_the_groups(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    text = (REPO / SSL).read_text().replace("max_epochs: 300", "max_epochs: 7")
    (tmp_path / "elsewhere" / "mine.yaml").write_text(text)
    assert compose("elsewhere/mine.yaml").trainer_params.max_epochs == 7


def test_config_dir_installed_or_in_the_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seisml.config import sources

    assert config_dir() == REPO / "configs"
    shutil.copytree(REPO / "configs", tmp_path / "seisml" / "configs")
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "seisml" / "config" / "sources.py"))
    assert config_dir() == tmp_path / "seisml" / "configs"
    assert sources.find_yaml(SSL) == tmp_path / "seisml" / "configs" / "ssl.yaml"


# -- the published flat layout -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "default"), [("ssl", SSL), ("finetune", FINETUNE), ("original", ORIGINAL)])
def test_flat_yaml_runs_unedited(name: str, default: str) -> None:
    path = FIXTURES / f"published_{name}.yaml"
    cfg = compose(str(path), default=default)
    assert cfg.dataset.root == "data/aknes"
    for section, values in OmegaConf.load(path).items():
        if OmegaConf.is_dict(values):
            for key, value in values.items():
                assert OmegaConf.select(cfg, f"{section}.{key}") == value
        else:
            assert cfg[section] == values


def test_flat_yaml_gets_the_published_procedures_and_native_files_the_default(tmp_path: Path) -> None:
    flat = str(FIXTURES / "published_ssl.yaml")
    chosen = compose(flat, default=SSL).dataset
    assert (chosen.split_procedure, chosen.drop_last) == ("published", True)
    assert compose(flat, GIVEN, default=SSL).dataset.split_procedure == "published"
    assert compose(flat, ["dataset.split_procedure=fixed_test"], SSL).dataset.split_procedure == "fixed_test"
    tremor = compose(str(FIXTURES / "published_finetune.yaml"), ["dataset=triggered_tremor"], FINETUNE)
    assert tremor.dataset.split_procedure == "fixed_test"  # the data set's choice stands
    for config in (SSL, FINETUNE, ORIGINAL):
        native = compose(config).dataset
        assert "split_procedure" not in native and native.drop_last  # stratified
        assert "drop_last" not in compose(config, GIVEN).dataset
    (tmp_path / "flat.yaml").write_text("dataset: {split_procedure: column, drop_last: false}\n")
    own = compose("flat.yaml", default=SSL).dataset
    assert (own.split_procedure, own.drop_last) == ("column", False)


def test_native_defaults_are_the_published_ones() -> None:
    assert compose(SSL).augmentations == ["NeighboringCrop"]
    for config in (SSL, FINETUNE, ORIGINAL):
        assert compose(config).exp_params.model_save_ep_period == 50


def test_flat_yaml_chooses_the_method_by_name(tmp_path: Path) -> None:
    (tmp_path / "flat.yaml").write_text("model_params: {name: Barlow-Twins}\nexp_params: {LR: 1e-4}\n")
    cfg = compose("flat.yaml", default=SSL)
    assert cfg.model_params["_target_"] == "seisml.methods.barlow_twins.BarlowTwins"
    assert cfg.exp_params.LR == 1e-4 and "rho" not in cfg.exp_params


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
        ("seed=-1", "seed=-1: seed: -1 is out of range; it is between 0 and 4294967295"),
        ("dataset.batch_size=0", "dataset.batch_size: 0 is out of range; it is at least 1"),
        ("dataset.num_workers=-1", "dataset.num_workers: -1 is out of range"),
        ("exp_params.LR=-1e-3", "exp_params.LR: -0.001 is out of range; it is at least 0"),
        ("exp_params.weight_decay=nan", "exp_params.weight_decay: nan is out of range"),
        ("exp_params=5", "exp_params: 5 is not a section"),
        ("dataset=akness", "there is no configs/dataset/akness.yaml; did you mean 'aknes'?"),
        ("+experiment=no_such", "experiment=no_such: there is no configs/experiment/no_such.yaml"),
        ("experimnt=demo", "did you mean 'experiment'?"),
        ("dataset=store", "dataset.root is missing; set it: dataset.root=..."),
        ("exp_params.LR=1e-3,1e-4", "add -m to run each of them"),
        ("exp_params.LR={", "this is no override; write key=value"),
        ("configs/ssl.yaml", "configs/ssl.yaml: this is no override; write key=value"),
        ("out=occupied/x", "occupied is no folder to write in; set out=FOLDER"),
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
        ("exp_params: 5\n", "mine.yaml: exp_params: 5 is not a section"),
        ("model_params:\n  name: VIbCReb\n", "there is no method 'VIbCReb'; did you mean 'vibcreg'?"),
        ("", "mine.yaml: it holds no keys"),
        ("- 1\n", "mine.yaml: it holds no keys"),
    ],
)
def test_bad_yaml_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert expected in error_line(capsys, "--config", "mine.yaml", *GIVEN)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max_epochs: 300", "max_epoch: 300", "unknown key 'trainer_params.max_epoch'; did you mean 'max_epochs'?"),
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


# -- arguments ---------------------------------------------------------------------------------------------------------
def test_method_arguments_come_from_three_sections() -> None:
    cfg = compose(FINETUNE, [*GIVEN, "model_params.out_size_enc=512"])
    arguments = method_arguments(cfg)
    assert arguments["out_size_enc"] == 512 and arguments["LR"] == {"encoder": 5e-4, "clf": 1e-3}
    assert arguments["augmentations"] == []
    with pytest.raises(UserError, match="model_params.out_size_enc is 512 but exp_params.out_size_enc is 300"):
        method_arguments(compose(FINETUNE, [*GIVEN, "model_params.out_size_enc=512", "exp_params.out_size_enc=300"]))


@pytest.mark.parametrize(
    ("present", "gpus", "expected"),
    [
        (0, [0], {"accelerator": "cpu", "devices": 1, "strategy": "auto"}),
        (0, None, {"accelerator": "cpu", "devices": 1, "strategy": "auto"}),
        (2, [], {"accelerator": "cpu", "devices": 1, "strategy": "auto"}),
        (2, 0, {"accelerator": "cpu", "devices": 1, "strategy": "auto"}),
        (2, [1], {"accelerator": "gpu", "devices": [1], "strategy": "auto"}),
        (2, 1, {"accelerator": "gpu", "devices": [0], "strategy": "auto"}),
        (2, "auto", {"accelerator": "gpu", "devices": [0, 1], "strategy": "ddp"}),
        (2, -1, {"accelerator": "gpu", "devices": [0, 1], "strategy": "ddp"}),
    ],
)
def test_trainer_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], present: int, gpus: object, expected: dict
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: present > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: present)
    assert trainer_arguments(gpus) == expected
    said = capsys.readouterr().out.splitlines()
    assert len(said) == (1 if gpus == [0] and not present else 0)
    if present:
        with pytest.raises(UserError, match="there is no GPU 5; this machine has 0, 1"):
            subject.trainer_arguments([0, 5])
