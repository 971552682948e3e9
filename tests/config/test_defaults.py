"""A default is typed once, in the constructor; the files of the groups show it and never another one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.networks import find_encoder

REPO = Path(__file__).resolve().parents[2]
SSL, FINETUNE = "configs/ssl.yaml", "configs/finetune.yaml"
METHODS = sorted(path.stem for path in (REPO / "configs" / "model_params").glob("*.yaml"))
DATASETS = sorted(path.stem for path in (REPO / "configs" / "dataset").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _in_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def defaults(target: type) -> dict[str, Any]:
    """Default of each constructor argument; a class's is its nearest base's that names it."""
    found: dict[str, Any] = {}
    for cls in (cls for cls in inspect.getmro(target) if "__init__" in vars(cls) and "seisml" in cls.__module__):
        for parameter in inspect.signature(vars(cls)["__init__"]).parameters.values():
            found.setdefault(parameter.name, parameter.default)
    return found


def plain(value: Any) -> Any:
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def written(path: Path, section: str) -> set[str]:
    """Keys of a section in a file and the files it includes, but those that refer to other settings."""
    config = OmegaConf.load(path)
    values = config.get(section) or OmegaConf.create()
    keys = {key for key, value in values.items_ex(resolve=False) if "${" not in str(value)}
    for entry in config.get("defaults", []):
        if OmegaConf.is_dict(entry) and "/recipe" in entry:
            keys |= written(REPO / "configs" / "recipe" / f"{entry['/recipe']}.yaml", section)
    return keys - {"_target_", "name"}


@pytest.mark.parametrize("method", METHODS)
def test_a_methods_file_shows_its_classs_defaults(method: str) -> None:
    path = REPO / "configs" / "model_params" / f"{method}.yaml"
    cfg = OmegaConf.to_container(compose(SSL, [f"model_params={method}"]), resolve=True)
    target = cfg["model_params"]["_target_"]
    known = defaults(get_class(target))
    assert target.startswith("seisml.methods.")
    shown = {key: cfg[section][key] for section in ("model_params", "exp_params") for key in written(path, section)}
    for key, value in shown.items():
        if key == "backbone_params":
            encoder = defaults(find_encoder(cfg["model_params"]["backbone_type"]))
            assert value == {name: plain(encoder[name]) for name in value}
        elif key == "LR" and known[key] is None:
            assert value == {"encoder": 5e-4, "clf": 1e-3}  # what Supervised takes in place of None
        else:
            assert value == plain(known[key]), key
    assert plain(cfg.get("augmentations") or []) == plain(known["augmentations"])
    if "load_encoder" in cfg and "backbone_type" in known:
        assert cfg["load_encoder"]["backbone_type"] == known["backbone_type"]
    for key in written(path, "dataset"):  # what a recipe asks of the data is another value than the data's
        assert cfg["dataset"][key] != defaults(StoreDataModule)[key], key


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_data_sets_file_shows_its_classs_defaults(dataset: str) -> None:
    place = "dataset.stores=[STORE]" if dataset == "mixture" else "dataset.root=STORE"
    cfg = OmegaConf.to_container(compose(FINETUNE, [f"dataset={dataset}", place]), resolve=True)
    known = defaults(get_class(cfg["dataset"]["_target_"]))
    for key in written(REPO / "configs" / "dataset" / f"{dataset}.yaml", "dataset") - {"root", "stores"}:
        assert cfg["dataset"][key] == plain(known[key]), key


@pytest.mark.parametrize("front_end", ["spectrogram", "waveform"])
def test_a_front_ends_file_shows_its_classs_defaults(front_end: str) -> None:
    shown = OmegaConf.load(REPO / "configs" / "front_end" / f"{front_end}.yaml")
    known = defaults(get_class(shown["_target_"]))
    for key, value in shown.items_ex(resolve=False):
        if key != "_target_" and "${" not in str(value):
            assert plain(OmegaConf.to_container(shown)[key]) == plain(known[key]), key


# -- a choice is complete ----------------------------------------------------------------------------------------------
def test_convnetquake_needs_nothing_else() -> None:
    cfg = compose(FINETUNE, ["model_params=convnetquake", "dataset=convnetquake", "dataset.root=STORE"])
    assert cfg.front_end._target_.endswith("WaveformFrontEnd") and cfg.model_params.in_channels == 3
    assert (cfg.exp_params.LR, cfg.dataset.batch_size, cfg.trainer_params.max_steps) == (1e-4, 128, 32000)
    assert cfg.model_params.backbone_type == "ConvNetQuakeEncoder" and cfg.dataset.in_channels == 3


@pytest.mark.parametrize("entry", [SSL, FINETUNE, str(REPO / "original_implementation" / "config.yaml")])
@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("convnet", {"exp_params.LR": 1e-4, "model_params.backbone_type": "ConvNetEncoder", "dataset.is_ssl": False}),
        ("simclr", {"exp_params.LR": 1e-3, "model_params.proj_hid": 512, "dataset.is_ssl": True}),
        ("tremor_clustering", {"exp_params.LR": 1e-3, "model_params.backbone_type": "EmbeddingConvNetEncoder"}),
        ("langet", {"dataset.return_single_spectrogram_train": False, "trainer_params.max_epochs": 50}),
    ],
)
def test_a_method_brings_its_recipe_to_every_entry_point(entry: str, method: str, values: dict[str, Any]) -> None:
    cfg = compose(entry, [f"model_params={method}"])
    assert {key: OmegaConf.select(cfg, key) for key in values} == values


def test_tremor_brings_its_shares_and_the_user_wins(tmp_path: Path) -> None:
    assert compose(FINETUNE, ["dataset=triggered_tremor"]).dataset.train_data_ratio == 0.7
    text = (REPO / FINETUNE).read_text().replace("model_params: supervised", "model_params: convnetquake")
    (tmp_path / "mine.yaml").write_text(f"{text}\nexp_params:\n  LR: 3.0e-4\ndataset:\n  batch_size: 32\n")
    cfg = compose("mine.yaml", default=FINETUNE)
    assert (cfg.exp_params.LR, cfg.dataset.batch_size, cfg.trainer_params.max_steps) == (3e-4, 32, 32000)
    cfg = compose("mine.yaml", ["exp_params.LR=1e-2", "front_end=spectrogram"], default=FINETUNE)
    assert cfg.exp_params.LR == 1e-2 and cfg.front_end._target_.endswith("SpectrogramFrontEnd")
