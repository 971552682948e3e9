"""Every experiment, composed and run for one step, on a small store of the shape it expects."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf
from scipy.io import savemat

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.methods.base import Method
from seisml.run.settings import changed
from seisml.run.train import train
from tests.settings_read import record_reads, unread
from tests.stores import write_network, write_store

REPO = Path(__file__).resolve().parents[1]
ENTRIES = {
    "sslearn.py": "configs/ssl.yaml",
    "finetune.py": "configs/finetune.yaml",
    "original_implementation/train.py": "original_implementation/config.yaml",
}
EXPERIMENTS = sorted(path.stem for path in (REPO / "configs" / "experiment").glob("*.yaml"))
SMALLER = [
    "dataset=store",
    "dataset.batch_size=8",
    "front_end.nperseg=32",
    "front_end.noverlap=24",
    "front_end.size=[32,128]",
    "model_params.backbone_type=SmallResNetEncoder",
]
SIZES = {"model_params.proj_hid": 64, "model_params.proj_out": 64, "exp_params.n_estimators": 8}


def entry_points() -> list[tuple[str, str]]:
    """Each experiment with each entry point that its comment names; with the first two where it names none."""
    pairs = []
    for name in EXPERIMENTS:
        text = (REPO / "configs" / "experiment" / f"{name}.yaml").read_text()
        named = [config for script, config in ENTRIES.items() if script in text]
        pairs += [(name, config) for config in named or list(ENTRIES.values())[:2]]
    return pairs


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    """A store for every experiment, of every kind that they read, on which it can take a step."""
    folder = tmp_path_factory.mktemp("experiments")
    generator = np.random.default_rng(0)
    with h5py.File(folder / "tremor.h5", "w") as file:
        file["X"] = generator.standard_normal((120, 20000)).astype(np.float32)
        file["y"] = np.arange(120) // 2 % 2
        file["source"] = np.array([f"event{number // 2:03d}_{number % 2}".encode() for number in range(120)])
        file.attrs["sampling_rate"] = 20.0
    prepare_lanl_demo(folder / "lanl.h5", scale=400)
    classes = ("noise", "cluster_1", "cluster_2")
    return {
        "store": write_store(folder / "store", n_events=150, n_samples=2000, classes=classes, unlabelled=80),
        "tremor": folder / "tremor.h5",
        "lanl": folder / "lanl.h5",
        "network": write_network(folder / "network"),
        "sensors": write_network(folder / "sensors", n_events=60, n_samples=2000, delay=0.0),
        "ucr": write_ucr(folder / "Tones"),
        "labquakes": write_table(folder / "lab.mat"),
    }


def write_table(path: Path) -> Path:
    """Spectrograms of 65 frequencies in a MATLAB file."""
    power = np.random.default_rng(0).exponential(size=(65 * 20, 90))
    savemat(path, {"mSpec": np.vstack([power, np.arange(90) % 3]), "classes": np.array(["AE", "UP", "noise"])})
    return path


def write_ucr(folder: Path) -> Path:
    """Two tables of tones, in the manner of the UCR archive."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for part, n in (("TRAIN", 300), ("TEST", 100)):
        label = np.arange(n) % 2
        series = np.sin(np.arange(64) * (0.3 + 0.4 * label[:, None])) + 0.1 * generator.standard_normal((n, 64))
        np.savetxt(folder / f"{folder.name}_{part}.tsv", np.column_stack([label, series]), delimiter="\t", fmt="%.5f")
    return folder


@pytest.mark.parametrize(("experiment", "config"), entry_points())
def test_one_step_in_which_every_setting_is_read(
    experiment: str, config: str, stores: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = [*SMALLER, f"dataset.root={stores['store']}"] if keeps_published_network(experiment) else []
    cfg = compose(
        config,
        [
            f"+experiment={experiment}",
            "trainer_params.max_steps=1",
            "trainer_params.max_epochs=-1",
            "trainer_params.limit_train_batches=1",
            "trainer_params.limit_val_batches=1",
            "trainer_params.gpus=[]",
            "trainer_params.enable_progress_bar=false",
            "figures=false",
            "exp_params.model_save_ep_period=1",
            f"encoder_folder={tmp_path / 'encoders'}",
            *smaller,
        ],
    )
    dataset = cfg.dataset
    kinds = ("tremor", "lanl", "ucr", "labquakes")
    kind = next((name for name in kinds if name in dataset["_target_"]), "store")
    if dataset.get("views_from") == "event":  # windows of records, or whole records of one moment
        kind = "network" if dataset.window_length else "sensors"
    root = str(stores[kind])
    place = {"dataset.stores": [root]} if "stores" in dataset else {"dataset.root": root}
    small = {key: size for key, size in SIZES.items() if OmegaConf.select(cfg, key) is not None}
    cfg = changed(cfg, place | small)
    read = record_reads(monkeypatch, Method, StoreDataModule)
    metrics = train(cfg, tmp_path / "run").metrics
    settings = {"dataset": set(cfg.dataset), "model_params": {*cfg.model_params, *cfg.exp_params, "augmentations"}}
    if cfg.dataset.is_ssl:  # the published files of pretraining set these, and two traces are drawn whatever they say
        settings["dataset"] -= {"return_single_spectrogram_train", "return_single_spectrogram_test"}
    for section, keys in settings.items():
        assert not unread(get_class(cfg[section]["_target_"]), keys - {"_target_"}, read), section
    score = next(metrics[name] for name in ("test/acc", "test/r2", "test/next_piece_acc") if name in metrics)
    assert np.isfinite(metrics["train/loss"]) and score <= 1
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


def keeps_published_network(experiment: str) -> bool:
    """Tell the experiments that change no network: ResNet34 on pictures of 128 x 711 is not a small test."""
    text = (REPO / "configs" / "experiment" / f"{experiment}.yaml").read_text()
    return "backbone" not in text and "defaults" not in text
