"""docs/published.md: each setting that it says restores the published behaviour is accepted, and does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from torch import nn

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.run.build import build_method, build_section
from seisml.tasks.facts import DataFacts
from tests.stores import write_store

PAGE = Path(__file__).resolve().parents[1] / "docs" / "published.md"
FACTS = DataFacts(("noise", "a"), 100.0, 1000, (1.0, 3.0))
WHERE = {  # entry point's YAML and the overrides under which the row holds
    "sslearn.py": ("configs/ssl.yaml", ["dataset=store", "dataset.root=STORE"]),
    "finetune.py": ("configs/finetune.yaml", ["dataset=store", "dataset.root=STORE"]),
    "lab_ae": ("configs/finetune.yaml", ["+experiment=lab_ae"]),
    "linear": ("configs/finetune.yaml", ["+experiment=linear_evaluation"]),
    "original": ("original_implementation/config.yaml", []),
    "tremor": ("configs/finetune.yaml", ["+experiment=triggered_tremor"]),
    "convnetquake": ("configs/finetune.yaml", ["+experiment=convnetquake"]),
}
LIGHT = ["model_params.backbone_type=SmallResNetEncoder"]


def data_module(cfg: DictConfig, root: Path, batch_size: int) -> StoreDataModule:
    settings = OmegaConf.to_container(cfg.dataset, resolve=True) | {"root": str(root), "batch_size": batch_size}
    data = build_section("dataset", settings, StoreDataModule)
    data.setup()
    return data


def unlabelled(cfg: DictConfig, root: Path) -> int:
    data = data_module(cfg, root, 8)
    return int((data.labels[data.split.train] < 0).sum())


def steps(cfg: DictConfig, root: Path) -> int:
    return len(data_module(cfg, root, 12).train_dataloader())


def encoder(cfg: DictConfig, root: Path) -> str:
    return type(build_method(cfg, FACTS).encoder).__name__


def rates(cfg: DictConfig, root: Path) -> set[float]:
    return {group["lr"] for group in build_method(cfg, FACTS).parameter_groups()}


def class_weights(cfg: DictConfig, root: Path) -> list[float]:
    return build_method(cfg, FACTS).class_weight.tolist()


def has_plain_features(cfg: DictConfig, root: Path) -> bool:
    return isinstance(build_method(cfg, FACTS).scaling, nn.Identity)


def penalises_convolutions_only(cfg: DictConfig, root: Path) -> bool:
    return build_method(cfg, FACTS).l2_convolutions_only


def normalizes_by(cfg: DictConfig, root: Path) -> str:
    return build_method(cfg, FACTS).front_end.normalize


def dead_traces(cfg: DictConfig, root: Path) -> str:
    return data_module(cfg, root, 8).dead_traces


def value(key: str) -> Callable[[DictConfig, Path], object]:
    return lambda cfg, root: OmegaConf.select(cfg, key)


# (place, override): what to look at, what it is by default, what the override makes of it
ROWS: dict[tuple[str, str], tuple[Callable[[DictConfig, Path], object], object, object]] = {
    ("sslearn.py", "dataset.split_procedure=published"): (unlabelled, 10, 8),
    ("lab_ae", "dataset.split_by=record"): (value("dataset.split_by"), "event", "record"),
    ("finetune.py", "dataset.drop_last=true"): (steps, 3, 2),
    ("finetune.py", "dataset.dead_traces=keep"): (dead_traces, "skip", "keep"),
    ("finetune.py", "load_encoder.backbone_type=ResNet18Encoder"): (encoder, "ResNet34Encoder", "ResNet18Encoder"),
    ("sslearn.py", "front_end.floor=1.0"): (value("front_end.floor"), "auto", 1.0),
    ("finetune.py", "exp_params.use_class_weight=false"): (class_weights, [1.0, 3.0], [1.0, 1.0]),
    ("linear", "exp_params.standardize_features=false"): (has_plain_features, False, True),
    ("linear", "exp_params.LR.clf=1e-3"): (rates, {3e-2}, {1e-3}),
    ("linear", "trainer_params.max_epochs=100"): (value("trainer_params.max_epochs"), 200, 100),
    ("original", "backbone_with_clf_type=ResNet18"): (encoder, "ResNet34Encoder", "ResNet18Encoder"),
    ("tremor", "dataset.split_by=record"): (value("dataset.split_by"), "event", "record"),
    ("tremor", "dataset.dev_data_ratio=0.0"): (value("dataset.dev_data_ratio"), 0.2, 0.0),
    ("convnetquake", "front_end.normalize=peak"): (normalizes_by, "std", "peak"),
    ("convnetquake", "exp_params.l2_convolutions_only=false"): (penalises_convolutions_only, True, False),
    ("convnetquake", "dataset.split_by=time"): (value("dataset.split_by"), "event", "time"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """40 labelled events, 32 of which train, and 10 unlabelled ones."""
    return write_store(tmp_path_factory.mktemp("published") / "store", unlabelled=10)


def test_every_setting_of_the_page_is_checked_here() -> None:
    rows = [line.split("|")[-2] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    named = {override for cell in rows for override in re.findall(r"`(\S+=\S+)`", cell)}
    assert named == {override for _, override in ROWS}


@pytest.mark.parametrize(("place", "override"), ROWS, ids=lambda name: name)
def test_the_setting_restores_what_was_published(place: str, override: str, root: Path) -> None:
    look, by_default, restored = ROWS[place, override]
    config, overrides = WHERE[place]
    light = LIGHT if place == "linear" else []
    assert look(compose(config, [*overrides, *light]), root) == by_default
    assert look(compose(config, [*overrides, *light, override]), root) == restored
