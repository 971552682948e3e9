from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from seisml.config.compose import compose, compose_with_hydra, hydra_for, settable
from seisml.config.sources import config_dir, find_yaml, primary
from seisml.errors import UserError

FIXTURES = Path(__file__).parents[1] / "fixtures"
REPO = Path(__file__).resolve().parents[2]
SSL, FINETUNE = "configs/ssl.yaml", "configs/finetune.yaml"
ORIGINAL = str(REPO / "original_implementation" / "config.yaml")
GIVEN = ["dataset=store", "dataset.root=STORE"]


@pytest.fixture(autouse=True)
def _in_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# -- composing (every method: test_defaults.py; every experiment: tests/test_experiments.py) ---------------------------
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
    text = (REPO / SSL).read_text() + "\ntrainer_params:\n  max_epochs: 7\n"
    (tmp_path / "elsewhere" / "mine.yaml").write_text(text)
    assert compose("elsewhere/mine.yaml").trainer_params.max_epochs == 7


def test_a_file_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    method = (REPO / "configs" / "model_params" / "vnibcreg.yaml").read_text() + "\nload_encoder:\n  trust: []\n"
    (tmp_path / "model_params").mkdir()
    shutil.copy(REPO / SSL, tmp_path / "mine.yaml")
    for text in (method, f"{method}\nbackbone_with_clf_type: AlexNet\n"):
        (tmp_path / "model_params" / "own.yaml").write_text(text)
        cfg = compose("mine.yaml", ["model_params=own"])
        assert "load_encoder" in cfg and ("backbone_with_clf_type" in cfg) == ("AlexNet" in text)
    with pytest.raises(UserError, match="unknown key 'backbone_with'; did you mean 'backbone_with_clf_type'"):
        compose("mine.yaml", ["model_params=own", "backbone_with=1"])


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
    assert cfg.model_params["_target_"] == "seisml.methods.self_supervised.barlow_twins.BarlowTwins"
    assert cfg.exp_params.LR == 1e-4 and "rho" not in cfg.exp_params


def test_flat_yaml_of_which_the_method_alone_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FIXTURES / "published_ssl.yaml").read_text().replace("VIbCRegTNC", "VIbCReg")
    (tmp_path / "flat.yaml").write_text(text)
    cfg = compose("flat.yaml", default=SSL)
    assert cfg.model_params["_target_"] == "seisml.methods.self_supervised.vibcreg.VIbCReg" and cfg.exp_params.nu == 10
    assert "rho" not in cfg.exp_params and "use_diag_loss" not in cfg.exp_params
    said = capsys.readouterr().out
    assert said == "exp_params.rho, exp_params.use_diag_loss: unused, since VIbCReg has no such settings\n"
    (tmp_path / "flat.yaml").write_text(text.replace("rho: 13", "rhoo: 13"))
    with pytest.raises(UserError, match="unknown key 'exp_params.rhoo'"):
        compose("flat.yaml", default=SSL)


@pytest.mark.parametrize("by_override", [False, True])
def test_flat_yaml_on_another_store_brings_no_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by_override: bool
) -> None:
    text = (FIXTURES / "published_ssl.yaml").read_text()
    (tmp_path / "flat.yaml").write_text(text if by_override else text.replace("dataset:", "dataset:\n  root: mine"))
    overrides = ["dataset.root=mine"] if by_override else []
    assert compose("flat.yaml", overrides, default=SSL).front_end.floor == 1.0  # not there: what the file was made for
    (tmp_path / "mine").mkdir()
    cfg = compose("flat.yaml", overrides, default=SSL)
    assert cfg.front_end.floor == "auto" and cfg.dataset.root == "mine" and "zero_weight_classes" not in cfg.dataset
    assert (cfg.dataset.split_procedure, cfg.dataset.drop_last) == ("published", True)
    assert "mine is another store than that of" in capsys.readouterr().out
    (tmp_path / "mine" / "prepare.json").write_text('{"options": {"command": "aknes"}}')
    assert compose("flat.yaml", overrides, default=SSL).front_end.floor == 1.0


@pytest.mark.parametrize(
    ("front_end", "overrides", "expected"),
    [
        ("standardized", [], "standardized"),  # the file's choice stays, whatever the method asks for
        ("spectrogram", [], "waveform"),  # the same as the entry point's file: no choice of the user's
        ("standardized", ["front_end=waveform"], "waveform"),
        ("standardized", ["+experiment=ucr"], "waveform"),
    ],
)
def test_a_front_end_that_the_yaml_chooses_wins_over_its_method(tmp_path, front_end, overrides, expected) -> None:
    chosen = {"front_end": front_end, "dataset": "demo", "model_params": "convnetquake", "trainer_params": "default"}
    defaults = [*({group: name} for group, name in chosen.items()), "_self_"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"defaults": defaults, "seed": 0, "out": "runs", "encoder_folder": "checkpoints"}))
    method = ["model_params=supervised"] if "+experiment=ucr" in overrides else []
    start = primary(find_yaml(str(path)), find_yaml("configs/finetune.yaml"))
    with hydra_for(start):
        cfg = compose_with_hydra(start, settable([*overrides, *method], start))
        assert cfg.hydra.runtime.choices["front_end"] == expected
