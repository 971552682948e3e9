"""``seisml predict CHECKPOINT TEST_FOLDER --submission out.csv``."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from seisml.cli import main
from seisml.config.compose import compose
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.run.build import load_method
from seisml.run.train import train

LENGTH = 300  # samples of a window at a scale of 500
SMALL = {
    "lanl_features": ["exp_params.n_estimators=5"],
    "lanl_spectrogram": ["front_end.nperseg=64", "model_params.backbone_params={widths: [4], stem_stride: 2}"],
    "lanl_wave": ["model_params.backbone_params={channels: 4, n_layers: 1}"],
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lanl") / "demo.h5"
    prepare_lanl_demo(path, scale=500)
    return path


@pytest.fixture(scope="module")
def checkpoints(record: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each approach, after one step."""
    folder = tmp_path_factory.mktemp("runs")
    overrides = [
        f"dataset.root={record}", "trainer_params.gpus=[]", "trainer_params.max_epochs=1", "figures=false",
        "trainer_params.limit_train_batches=1", "trainer_params.limit_val_batches=1", "dataset.n_test_stretches=0",
        "trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1",
    ]  # fmt: skip
    return {
        name: train(
            compose("configs/finetune.yaml", [f"+experiment={name}", *overrides, *small]), folder / name
        ).checkpoint
        for name, small in SMALL.items()
    }


@pytest.fixture
def test_folder(record: Path, tmp_path: Path) -> Path:
    """Twenty segments, more than a batch, and the order in which they are asked for."""
    folder = tmp_path / "contest" / "test"
    folder.mkdir(parents=True)
    with h5py.File(record) as file:
        for number in range(20):
            x = file["signal"][number * 1000 : number * 1000 + LENGTH]
            pd.DataFrame({"acoustic_data": x}).to_csv(folder / f"seg_{number:02d}.csv", index=False)
    order = [f"seg_{number:02d}" for number in reversed(range(20))]
    pd.DataFrame({"seg_id": order, "time_to_failure": 0}).to_csv(tmp_path / "contest" / "sample_submission.csv")
    return folder


def predict(checkpoint: Path, folder: Path, out: Path) -> int:
    return main(["predict", str(checkpoint), str(folder), "--submission", str(out)])


@pytest.mark.parametrize("approach", SMALL)
def test_all_segments_in_the_order_asked_for(checkpoints, test_folder: Path, tmp_path: Path, approach: str) -> None:
    out = tmp_path / "out.csv"
    assert predict(checkpoints[approach], test_folder, out) == 0
    made = pd.read_csv(out)
    assert list(made) == ["seg_id", "time_to_failure"]
    assert made["seg_id"].tolist() == [f"seg_{number:02d}" for number in reversed(range(20))]
    method = load_method(checkpoints[approach])
    x = np.stack([pd.read_csv(test_folder / f"{name}.csv")["acoustic_data"] for name in made["seg_id"]])
    one = torch.zeros(20, dtype=torch.int64)
    batch = {"waveform": torch.from_numpy(x).float()[:, None], "index": one, "start": one, "epoch": one}
    with torch.no_grad():
        expected = method.task.predicted(method.answer(batch)[0], method.facts)
    np.testing.assert_allclose(made["time_to_failure"], expected, atol=1e-5)
    assert predict(checkpoints[approach], test_folder.parent, tmp_path / "again.csv") == 0  # the contest's folder
    assert (tmp_path / "again.csv").read_text() == out.read_text()


def test_without_a_sample_they_go_by_name(checkpoints, test_folder: Path, tmp_path: Path, capsys) -> None:
    (test_folder.parent / "sample_submission.csv").unlink()
    assert predict(checkpoints["lanl_features"], test_folder, tmp_path / "out.csv") == 0
    assert pd.read_csv(tmp_path / "out.csv")["seg_id"].tolist() == [f"seg_{number:02d}" for number in range(20)]
    assert "20 segments in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("short", "seg_03.csv: has 299 rows, a segment has 300"),
        ("bad row", "seg_03.csv: line 5: acoustic_data is 'x'"),
        ("cut", "seg_03.csv: line 301, the last, is cut"),
        ("gone", "sample_submission.csv: line 18: "),
        ("twice", "names a segment twice"),
        ("column", "has no column 'seg_id' (it has segment)"),
        ("elsewhere", "line 2: "),
        ("empty", "holds no seg_*.csv"),
        ("no folder", "is not a folder"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    checkpoints, test_folder: Path, tmp_path: Path, capsys, damage: str, words: str
) -> None:
    segment, sample = test_folder / "seg_03.csv", test_folder.parent / "sample_submission.csv"
    lines = segment.read_text().splitlines()
    if damage == "short":
        segment.write_text("\n".join(lines[:-1]) + "\n")
    if damage == "bad row":
        segment.write_text("\n".join([*lines[:4], "x", *lines[5:]]) + "\n")
    if damage == "cut":
        segment.write_text("\n".join(lines))
    if damage == "gone":
        segment.unlink()
    if damage == "twice":
        sample.write_text("seg_id,time_to_failure\nseg_01,0\nseg_01,0\n")
    if damage == "column":
        sample.write_text("segment\nseg_01\n")
    if damage == "elsewhere":
        sample.write_text("seg_id,time_to_failure\n../test/seg_01,0\n")
    if damage in ("empty", "no folder"):
        shutil.rmtree(test_folder)
    if damage == "empty":
        test_folder.mkdir()
    out = tmp_path / "out.csv"
    out.write_text("an earlier one")
    assert predict(checkpoints["lanl_features"], test_folder, out) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert out.read_text() == "an earlier one" and list(tmp_path.glob("out*")) == [out]


def test_segments_that_are_not_asked_for_are_left_out(checkpoints, test_folder: Path, tmp_path: Path, capsys) -> None:
    (test_folder.parent / "sample_submission.csv").write_text("seg_id,time_to_failure\nseg_07,0\n")
    assert predict(checkpoints["lanl_features"], test_folder, tmp_path / "out.csv") == 0
    assert "19 segments are not in the sample submission" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "out.csv")["seg_id"].tolist() == ["seg_07"]


def test_options_that_do_not_go_together(checkpoints, test_folder: Path, tmp_path: Path, capsys) -> None:
    checkpoint = str(checkpoints["lanl_features"])
    assert main(["predict", checkpoint, str(test_folder)]) == 2
    assert "--out: name the folder" in capsys.readouterr().err
    assert main(["predict", checkpoint, str(test_folder), "--submission", "a.csv", "--out", str(tmp_path)]) == 2
    assert "--submission: takes one folder" in capsys.readouterr().err
    assert main(["predict", checkpoint, str(test_folder), "--submission", "a.csv", "--device", "cuda:9"]) == 2
    assert "--device" in capsys.readouterr().err
