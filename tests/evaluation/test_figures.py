"""Figures: they draw what was given, nothing is cut off, and drawing leaves no trace in matplotlib's state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from seisml.errors import UserError
from seisml.evaluation.figures import (
    accuracy_bars,
    confusion_matrix,
    difference_map,
    embedding_map,
    gallery,
    gallery_rows,
    label_curves,
    loss_curves,
    save,
)

AKNES = ["Noise", "Regional", "Rockfall", "Slope_HF", "Slope_LF", "Slope_Multi", "Slope_Tremor", "Spike"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def assert_nothing_cut(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    beyond = set()  # ticks beyond the axes' limits exist but are not drawn
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                beyond |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip() or text in beyond:
            continue
        box = text.get_window_extent(canvas.get_renderer())
        inside = box.x0 >= -2 and box.y0 >= -2 and box.x1 <= width + 2 and box.y1 <= height + 2
        assert inside, f"{text.get_text()!r} at {box} leaves the figure of {width} x {height}"


def log(epochs: int = 8) -> pd.DataFrame:
    rows = []
    for epoch in range(epochs):
        rows.append({"epoch": epoch, "step": 10 * epoch + 4, "lr-Adam/pg1": 1e-3 / (epoch + 1)})
        rows.append(
            {
                "epoch": epoch,
                "step": 10 * epoch + 9,
                "train/loss_step": 99.0,
                "train/loss_epoch": 50.0 * 0.5**epoch,
                "train/covariance": 0.1 * 0.3**epoch,
                "train/variance": max(0.0, 1 - epoch / 4),
                "train/feature_std": 0.5,
                "train/effective_rank": 3.0 * epoch,
                "dev/loss": float("inf") if epoch == 2 else 60 * 0.6**epoch,
                "dev/knn_acc": 0.5,
                "epoch_time": 12.0,
            }
        )
    rows.append({"epoch": epochs, "step": 10 * epochs, "test/acc": 0.8, "test/per_class/Spike/f1": 0.3})
    return pd.DataFrame(rows)


def test_loss_curves(tmp_path: Path) -> None:
    log().to_csv(tmp_path / "metrics.csv", index=False)
    figure = loss_curves(tmp_path / "metrics.csv", title="VNIbCReg on demo")
    panels = {axes.get_ylabel(): axes for axes in figure.axes}
    assert list(panels) == ["loss", "accuracy", "loss terms", "features", "effective rank", "learning rate"]
    assert panels["loss"].get_yscale() == "log" and panels["loss terms"].get_yscale() == "symlog"
    lines = {line.get_label(): line for line in panels["loss"].get_lines()}
    assert set(lines) == {"train", "dev"}
    np.testing.assert_allclose(lines["train"].get_xdata(), np.arange(1, 9))
    np.testing.assert_allclose(lines["train"].get_ydata(), 50 * 0.5 ** np.arange(8))  # the epoch's mean, not the step
    assert len(lines["dev"].get_xdata()) == 7  # the infinite one is left out
    accuracy = {line.get_label(): line for line in panels["accuracy"].get_lines()}
    assert set(accuracy) == {"dev knn acc", "test acc"}
    assert accuracy["test acc"].get_xdata().tolist() == [8]  # logged one epoch later
    assert_nothing_cut(figure)


def test_chance_stands_beside_a_curve() -> None:
    frame = pd.DataFrame({"epoch": [0, 1, 2], "train/loss": [3.0, 2.0, 1.0], "train/tnc_accuracy": [0.5, 0.6, 0.7]})
    figure = loss_curves(frame, chance={"train/tnc_accuracy": 0.5, "train/absent": 1.0})
    assert "chance of tnc accuracy" in texts(figure) and not any("absent" in text for text in texts(figure))
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in figure.axes[1].lines]
    assert_nothing_cut(figure)


def test_a_curve_far_above_zero_stays_below_the_edge() -> None:
    frame = pd.DataFrame({"epoch": [0, 1, 2], "train/loss": [37.0, 36.0, 34.0]})
    axes = loss_curves(frame).axes[0]
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 1.03 * 37


def test_loss_curves_of_one_epoch_go_by_step() -> None:
    frame = pd.DataFrame([{"epoch": 0, "step": i, "train/loss": 1.0 + i} for i in range(5)])
    axes = loss_curves(frame).axes[0]
    assert axes.get_xlabel() == "step" and axes.get_lines()[0].get_xdata().tolist() == [0, 1, 2, 3, 4]


def test_loss_curves_without_losses_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no losses to draw"):
        loss_curves(pd.DataFrame({"epoch": [0], "train/loss": [np.nan]}))
    (tmp_path / "metrics.csv").write_text("")
    for name in ("metrics.csv", "missing.csv"):
        with pytest.raises(UserError, match=name):
            loss_curves(tmp_path / name)


@pytest.mark.parametrize("k", [2, 8, 20])
def test_confusion_matrix(k: int, rng: np.random.Generator) -> None:
    counts = rng.poisson(3, (k, k)) + np.diag(rng.poisson(400, k))
    counts[1] = 0
    names = AKNES if k == 8 else [f"cluster {i}" for i in range(k)]
    figure = confusion_matrix(torch.as_tensor(counts), names)
    shown = texts(figure)
    assert "no samples" in shown and f"{names[1]} (0)" in shown and str(counts[0, 0]) in shown
    np.testing.assert_allclose(figure.axes[0].images[0].get_array()[0], counts[0] / counts[0].sum())
    assert f"Accuracy {np.trace(counts) / counts.sum():.1%}" in figure.get_suptitle()
    assert_nothing_cut(figure)


def test_confusion_matrix_extremes() -> None:
    assert "No labelled samples" in confusion_matrix(np.zeros((2, 2)), ["a", "b"]).get_suptitle()
    big = confusion_matrix([[123456, 7], [5, 98765]], ["_noise$", "a class with a name far too long to be shown"])
    assert_nothing_cut(big)
    with pytest.raises(ValueError, match=r"\(2, 2\) for 2"):
        confusion_matrix(np.zeros((3, 3)), ["a", "b"])


def test_embedding_map(rng: np.random.Generator) -> None:
    label = rng.integers(-1, 3, 80)
    x = rng.normal(size=(80, 600)) + 4 * label[:, None]  # more features than samples
    x[3] = np.nan
    figure = embedding_map(torch.as_tensor(x), torch.as_tensor(label), ["AE", "UP", "noise"], title="random encoder")
    title = figure.get_suptitle()
    assert "random encoder" in title and "t-SNE" in title and "79 embeddings, 1 left out" in title
    drawn = sum(len(points.get_offsets()) for points in figure.axes[0].collections)
    assert drawn == 79 and any(word.startswith("unlabelled") for word in texts(figure))
    assert_nothing_cut(figure)


def test_embedding_map_subsamples_and_is_deterministic(rng: np.random.Generator) -> None:
    x, label = rng.normal(size=(100, 4)), np.zeros(100, int)
    first, again = (embedding_map(x, label, ["a"], limit=40) for _ in range(2))
    assert "40 of 100 embeddings" in first.get_suptitle()
    offsets = [figure.axes[0].collections[0].get_offsets() for figure in (first, again)]
    np.testing.assert_array_equal(*offsets)


def test_embedding_map_of_few_narrow_or_collapsed(rng: np.random.Generator) -> None:
    assert "principal components" in embedding_map(rng.normal(size=(5, 8)), np.zeros(5), ["a"]).get_suptitle()
    assert "t-SNE" in embedding_map(rng.normal(size=(30, 1)), np.zeros(30), ["a"]).get_suptitle()
    assert "collapsed" in embedding_map(np.full((30, 8), 0.3), np.zeros(30), ["a"]).get_suptitle()
    assert "collapsed" in embedding_map(np.ones((1, 8)), [-1], ["a"]).get_suptitle()
    with pytest.raises(UserError, match="none of 4 embeddings is finite"):
        embedding_map(np.full((4, 2), np.nan), np.zeros(4), ["a"])


def test_gallery_rows_show_errors_and_every_class() -> None:
    true = np.repeat([0, 1, 2], [50, 30, 4])
    predicted = true.copy()
    predicted[[0, 1, 2, 60]] = 2
    rows = gallery_rows(true, predicted, 12)
    assert len(set(rows)) == 12 and set(rows[-4:]) == {0, 1, 2, 60}
    assert {0, 1, 2} == set(true[rows[:8]]) and np.all(true[rows[:8]] == predicted[rows[:8]])
    predicted[:] = 2  # nearly all wrong: half is for errors, and more where the rest is short
    assert len(gallery_rows(true, predicted, 12)) == 12
    assert len(gallery_rows(true[:3], predicted[:3], 12)) == 3
    assert len(gallery_rows(np.full(5, -1), np.zeros(5), 3)) == 3


def pictures(wave: np.ndarray) -> np.ndarray:
    frames = np.abs(np.fft.rfft(wave[:, : wave.shape[1] // 64 * 64].reshape(len(wave), -1, 64), axis=2))
    return np.log10(frames + 1e-6).transpose(0, 2, 1)


def test_gallery_of_laboratory_records(shared_data: Path) -> None:
    import obspy

    folder = shared_data / "lab_ae"
    if not folder.is_dir():
        pytest.skip("needs shared/data/lab_ae")
    classes = ["AE", "UP", "noise"]
    files = [path for name in classes for path in sorted((folder / name).glob("*"))[:6]]
    wave = np.stack([obspy.read(path)[0].data.astype(np.float32) for path in files])
    true = np.repeat([0, 1, 2], 6)
    predicted = np.where(np.arange(18) % 7, true, 2)
    figure = gallery(wave, pictures(wave), true, predicted, classes, 1e7, probability=np.linspace(0, 1, 18))
    shown = texts(figure)
    assert len(figure.axes) == 24 and "time (µs)" in shown and "frequency (MHz)" in shown
    assert figure.get_suptitle() == "12 of 18 events: 2 of the 2 wrong ones, 10 others"
    wrong = [axes for axes in figure.axes if axes.get_title("left").startswith("✗")]
    right = [axes for axes in figure.axes if axes.get_title("left").startswith("✓")]
    assert len(wrong) == 2 and len(right) == 10
    colors = {tuple(axes.spines["top"].get_edgecolor()) for axes in wrong}
    assert colors.isdisjoint(tuple(axes.spines["top"].get_edgecolor()) for axes in right)
    assert_nothing_cut(figure)


@pytest.mark.parametrize("n", [1, 3, 6, 12])
def test_gallery_titles_do_not_meet(n: int, rng: np.random.Generator) -> None:
    wave = rng.normal(size=(n, 16000)).astype(np.float32)
    wave[0] = 5  # dead
    true, predicted = np.arange(n) % 8, (np.arange(n) + 6) % 8
    figure = gallery(wave, pictures(wave), true, predicted, AKNES, 1000.0, probability=np.ones(n))
    assert_nothing_cut(figure)
    assert "no signal" in texts(figure)
    for axes in figure.axes:
        assert axes._left_title.get_window_extent().width <= axes.get_window_extent().width * 1.02


def test_gallery_without_pictures_axis_or_labels() -> None:
    wave = np.full((2, 50), np.nan)
    figure = gallery(wave, None, [-1, 0], [0, 0], ["a"], 50.0)
    assert len(figure.axes) == 2 and "a (unlabelled)" in texts(figure)
    unknown = gallery(np.ones((2, 50)), np.zeros((2, 4, 5)), [0, 0], [0, 0], ["a"], 50.0, frequency_range=None)
    assert "frequency" in texts(unknown) and "2 events, 0 wrong" in texts(unknown)
    with pytest.raises(ValueError, match="gallery"):
        gallery(wave, None, [0], [0, 0], ["a"], 50.0)
    with pytest.raises(ValueError, match="gallery"):
        gallery(wave[:0], None, [], [], ["a"], 50.0)


def test_accuracy_bars() -> None:
    table = {"random encoder, linear": (0.41, 0.03), "fine-tuned": 1.0, "diverged": float("nan")}
    long = "demo: test accuracy of a random and a pretrained encoder, mean and standard deviation over 5 seeds"
    figure = accuracy_bars(table, chance=0.125, title=long)
    assert {"41.0% ± 3.0%", "100.0%", "no value", "chance 12.5%"} <= set(texts(figure))
    assert_nothing_cut(figure)
    with pytest.raises(UserError, match="empty"):
        accuracy_bars({})


def comparison_summary() -> pd.DataFrame:
    lines = []
    for probe in ("nz_2013", "a_store_with_a_long_name"):
        for labels, events in (("1event", 2), ("100%", 60)):
            for row, gain in (("scratch", np.nan), ("self + linear", -0.04), ("self + fine-tuned", 0.1)):
                line = {"probe": probe, "labels": labels, "row": row, "train_events": events, "acc_std": 0.02}
                lines.append(line | {"acc": 0.7 + np.nan_to_num(gain), "to_scratch": gain, "to_scratch_real": gain > 0})
    return pd.DataFrame(lines).astype({"to_scratch_real": object})


def test_difference_map() -> None:
    figure = difference_map(comparison_summary())
    found = figure.axes[0].texts
    assert [text.get_text() for text in found[:4]] == ["70.0%"] * 4  # scratch itself
    bold = [text.get_text() for text in found if text.get_weight() == "bold"]
    assert bold == ["+10.0"] * 4 and [text.get_text() for text in found[4:8]] == ["-4.0"] * 4
    assert_nothing_cut(figure)
    with pytest.raises(UserError, match="empty"):
        difference_map(pd.DataFrame())


def test_label_curves() -> None:
    figure = label_curves(comparison_summary())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["nz_2013", "a_store_with_a_long_name"]
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "60"]
        np.testing.assert_allclose(np.asarray(axes.containers[2].lines[0].get_ydata(), float), [0.8, 0.8])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "scratch",
        "self + linear",
        "self + fine-tuned",
    ]
    assert_nothing_cut(figure)
    with pytest.raises(UserError, match="empty"):
        label_curves(pd.DataFrame())


def test_save_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = accuracy_bars({"a": 0.5})
    path = save(figure, tmp_path / "figures" / "bars")
    assert path == tmp_path / "figures" / "bars.png" and path.read_bytes()[:4] == b"\x89PNG"
    before = path.read_bytes()

    def fail(self: Figure, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save(figure, path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.long
def test_no_pyplot_and_no_changed_settings() -> None:
    before = dict(matplotlib.rcParams)
    save_nothing = accuracy_bars({"a": 0.5}), loss_curves(log())
    assert all(save_nothing) and dict(matplotlib.rcParams) == before
    code = "import sys, seisml.evaluation.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
