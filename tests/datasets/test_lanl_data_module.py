"""LANL windows: they end where their target is read, cross no failure, and are split by stretch."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import signal as processing
from scipy import stats

from seisml.cli import main
from seisml.config.compose import compose
from seisml.datasets.lanl.data_module import LONGEST, LanlDataModule, LanlDemoDataModule
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.datasets.lanl.synthesis import synthesize
from seisml.errors import UserError
from seisml.run.build import build_section, load_method
from seisml.run.train import train
from seisml.tasks.regression import BinnedRegression, Regression

SCALE = 500.0  # windows of 300 samples


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lanl") / "demo.h5"
    assert prepare_lanl_demo(path, scale=SCALE)
    return path


def opened(root: Path, task: Regression | None = None, **kwargs) -> LanlDataModule:
    data = LanlDataModule(str(root), **kwargs)
    data.task = task or BinnedRegression()
    data.setup()
    return data


def test_targets_are_those_of_the_last_samples_and_no_window_crosses_a_failure(root: Path) -> None:
    data = opened(root)
    assert data.facts.n_samples == 300
    with h5py.File(root) as file:
        signal, time = file["signal"][()], file["time_to_failure"][()]
    for batch in data.evaluation_loader(np.arange(17)):
        begin = data.ready_store.stretches[batch["index"].numpy(), 0] + batch["start"].numpy()
        np.testing.assert_array_equal(batch["label"], time[begin + 299])
        np.testing.assert_array_equal(batch["waveform"][:, 0], signal[begin[:, None] + np.arange(300)])
        assert (np.diff(time[begin[:, None] + np.arange(300)], axis=1) < 0).all()
    steps = np.diff(batch["start"].numpy())
    assert (steps == 150).all()  # half of each window is repeated


def test_the_last_stretches_test_and_those_before_them_choose(root: Path) -> None:
    data = opened(root)
    assert [rows.tolist() for rows in (data.split.train, data.split.dev, data.split.test)] == [
        list(range(13)), [13, 14], [15, 16],
    ]  # fmt: skip
    published = opened(root, n_test_stretches=0, n_dev_stretches=2)
    assert published.split.dev.tolist() == [15, 16] and not len(published.split.test)
    with pytest.raises(UserError, match="17 stretches .* fewer than 2 to train on"):
        opened(root, n_test_stretches=10, n_dev_stretches=6)
    with pytest.raises(UserError, match="set dataset.n_test_stretches"):
        LanlDataModule(str(root), split_procedure="stratified")


def test_bins_span_the_published_range(root: Path) -> None:
    data = opened(root)
    of, label = data.facts.quantity, data.training_labels()
    assert (of.low, of.high, of.unit) == (0.0, LONGEST / SCALE, "s")
    assert of.mean == pytest.approx(float(label.mean()), rel=1e-4)
    assert of.median == pytest.approx(float(label.median()), rel=1e-6)
    task = data.task
    edges = torch.linspace(0, LONGEST / SCALE, 17)
    inside = (edges[:-1] + edges[1:]) / 2
    assert task.loss_target(inside, data.facts).tolist() == list(range(16))
    assert task.loss_target(torch.tensor([LONGEST / SCALE, 1.0]), data.facts).tolist() == [15, 15]  # or more: the last
    torch.testing.assert_close(task.centres(data.facts), inside)
    assert len(task.loss_target(label, data.facts).unique()) == 16  # every bin is met


def test_the_parts_that_choose_and_test_may_overlap_more(root: Path, tmp_path: Path) -> None:
    data = opened(root, evaluation_overlap=0.8)
    parts = (data.split.train, data.split.dev, data.split.test)
    steps = [np.diff(data.windows(rows[:1]).keys(np.arange(9))[1]) for rows in parts]
    assert [set(step.tolist()) for step in steps] == [{150}, {60}, {60}]
    data.write_split(tmp_path / "split.csv")
    table = pd.read_csv(tmp_path / "split.csv")
    for part, step in (("train", 150), ("dev", 60), ("test", 60)):
        rows = table[table["part"] == part]
        assert (rows["n_windows"] == rows["last_start"] // step + 1).all()


def test_published_spectrograms() -> None:
    """The sizes that the report gives, and SciPy's numbers standardised as there."""
    for nperseg, shape in ((2048, (308, 83)), (512, (77, 334))):
        front_end = compose(
            "configs/finetune.yaml", ["+experiment=lanl_spectrogram", "dataset=lanl", f"front_end.nperseg={nperseg}"]
        ).front_end
        built = build_section("front_end", {**front_end, "sampling_rate": 4e6}, torch.nn.Module)
        x = torch.randn(1, 1, 150_000, generator=torch.Generator().manual_seed(0)) * 3
        picture = built(x)
        assert picture.shape == (1, 1, *shape)
        hann = processing.spectrogram(x[0, 0].numpy(), 4e6, "hann", nperseg, nperseg // 8, detrend="linear")[2]
        expected = (np.log(hann[: shape[0]] + 1e-11) + 12) / 1.7
        np.testing.assert_allclose(picture[0, 0].numpy(), expected, atol=2e-3)


def test_intervals_draw_blocks_of_stretches(root: Path) -> None:
    data = opened(root)
    block = round(2 / SCALE * 4e6)
    names = data.event_names(np.array([15, 15, 15, 16]), np.array([0, block - 1, block, 0]))
    assert names[0] == names[1] and len(set(names)) == 3


def test_a_stated_window_and_a_plain_number(root: Path) -> None:
    data = opened(root, Regression(), window_length=400 / 4e6, window_overlap=0)
    batch = next(iter(data.train_dataloader()))
    assert batch["waveform"].shape[1:] == (1, 400) and batch["label"].dtype == torch.float32
    assert data.task.loss_target(data.training_labels(), data.facts).mean().abs() < 1e-4


def test_pretraining_takes_times_for_no_classes(root: Path) -> None:
    data = LanlDataModule(str(root), is_ssl=True, batch_size=8)
    data.setup()
    assert data.split.train.tolist() == list(range(13)) and not len(data.labelled(data.split.train))
    assert data.facts.classes == () and data.facts.quantity is None
    assert next(iter(data.train_dataloader()))["waveform"].shape == (8, 2, 300)


def test_missing_files_are_made_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="seisml prepare lanl SRC --out"):
        opened(tmp_path / "none.h5")
    data = LanlDemoDataModule(str(tmp_path / "demo.h5"))
    made = []
    monkeypatch.setattr("seisml.datasets.lanl.data_module.prepare_lanl_demo", made.append)
    data.prepare_data()
    assert made == [tmp_path / "demo.h5"]


def test_the_command(tmp_path: Path, capsys) -> None:
    out = tmp_path / "demo.h5"
    command = ["prepare", "lanl_demo", "--out", str(out), "--n-cycles", "3", "--scale", "1000"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 stretches" in said and (tmp_path / "demo_overview.png").is_file() and "dataset=lanl_demo" in said
    before = out.read_bytes()
    assert main(command) == 0 and "up to date" in capsys.readouterr().out and out.read_bytes() == before
    assert main([*command, "--seed", "1"]) == 2 and "--overwrite" in capsys.readouterr().err
    assert main([*command, "--seed", "1", "--overwrite", "--no-figures"]) == 0 and out.read_bytes() != before
    assert main([*command[:4], "--scale", "1e6"]) == 2 and "--scale between 1 and 5000" in capsys.readouterr().err
    with h5py.File(out, "r+") as file:
        file.attrs["scale"] = "many"
    with pytest.raises(UserError, match="its scale is 'many', not a positive number"):
        opened(out)


def test_the_middle_of_a_cycle_is_like_the_real_segments(shared_data: Path) -> None:
    """Noise, sizes of emissions and spectrum, in the median of some cycles; the demo's docstring has the numbers."""
    x, time = synthesize(6, 0)
    cycles = np.split(np.arange(len(x)), np.flatnonzero(np.diff(time) > 1e-3) + 1)
    middle = [x[rows[(time[rows] > 4 / 50) & (time[rows] < 6 / 50)][:150_000]] for rows in cycles]
    real = [pd.read_csv(path).acoustic_data.to_numpy() for path in sorted(shared_data.glob("lanl/seg_*.csv"))]
    made = np.median([statistics(piece) for piece in middle], axis=0)
    low, high = np.quantile([statistics(piece) for piece in real], [0, 1], axis=0)
    assert ((low / 1.4 < made) & (made < high * 1.4)).all(), (made / low, made / high)


def statistics(x: np.ndarray) -> list[float]:
    """Rolling standard deviation, standard deviation, kurtosis, large deviations, and power in five bands."""
    x = x.astype(float)
    frequency, power = processing.welch(x, 4e6, nperseg=2048)
    bands = np.add.reduceat(power / power.sum(), np.searchsorted(frequency, [0, 100e3, 200e3, 300e3, 500e3]))
    rolling = pd.Series(x).rolling(50).std().quantile([0.2, 0.5, 0.8, 0.95])
    deviations = np.quantile(np.abs(x - np.median(x)), [0.99, 0.999])
    return [*rolling, x.std(), stats.kurtosis(x, fisher=False), *deviations, *bands]


@pytest.mark.long
def test_a_run_beats_the_constant_predictor(tmp_path: Path) -> None:
    prepare_lanl_demo(tmp_path / "demo.h5", n_cycles=8, scale=250)
    cfg = compose(
        "configs/finetune.yaml",
        ["+experiment=lanl_wave", f"dataset.root={tmp_path / 'demo.h5'}", "trainer_params.gpus=[]",
         "exp_params.LR=3e-3", "model_params.backbone_params={channels: 12, n_layers: 3, stem_stride: 8}",
         "trainer_params.max_epochs=4", "dataset.batch_size=32",
         "trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1"],
    )  # fmt: skip
    result = train(cfg, tmp_path / "run")
    metrics = result.metrics
    assert metrics["test/mae"] < 0.9 * metrics["test/constant_mae"] and metrics["learned"] is True
    assert metrics["test/mae_interval"][0] < metrics["test/mae"] < metrics["test/mae_interval"][1]
    assert "test/expectation_mae_interval" in metrics
    assert set(result.figures) == {"loss_curves", "residuals", "course"}
    assert load_method(result.checkpoint).facts.quantity.high == pytest.approx(LONGEST / 250)
