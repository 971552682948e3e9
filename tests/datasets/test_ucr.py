"""Tables of the UCR archive as a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seisml.datasets.ucr import UCRDataModule, UCRSet
from seisml.errors import UserError


def write(folder: Path, train: list[str], test: list[str]) -> Path:
    folder.mkdir(parents=True)
    for part, lines in (("TRAIN", train), ("TEST", test)):
        (folder / f"{folder.name}_{part}.tsv").write_text("".join(f"{line}\n" for line in lines))
    return folder


def rows(n: int, length: int = 12, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [f"{i % 2 + 1}\t" + "\t".join(f"{v:.4f}" for v in generator.standard_normal(length)) for i in range(n)]


def test_series_are_standardised_and_pooled(tmp_path: Path) -> None:
    root = write(tmp_path / "Toy", ["1\t1\t2\t3\t6", "2\t5\t5\t5\t5", "1\t1\t3\tNaN\tNaN"], ["2\t0\t0\t1\t1"])
    series = UCRSet(root)
    assert len(series) == 4
    assert series.metadata.trace_category.tolist() == ["1", "2", "1", "2"]
    assert series.metadata.split.tolist() == ["train"] * 3 + ["test"]
    x, mask = series.read_records(np.arange(4))
    assert x.shape == (4, 1, 4) and mask.all()
    values = np.array([1, 2, 3, 6.0])
    np.testing.assert_allclose(x[0, 0], np.arcsinh((values - 3) / values.std()), rtol=1e-6)
    assert not x[1].any()  # constant
    np.testing.assert_allclose(x[2, 0], [np.arcsinh(-1), np.arcsinh(1), 0, 0], rtol=1e-6)  # what is missing is zero
    window = series.read_traces([0, 0], [[0, 0], [0, 0]], start=[-1, 2], n_samples=3)
    assert window.shape == (2, 2, 3)
    np.testing.assert_allclose(window[:, 0], [[0, x[0, 0, 0], x[0, 0, 1]], [x[0, 0, 2], x[0, 0, 3], 0]])


def test_splits(tmp_path: Path) -> None:
    root = write(tmp_path / "Toy", rows(30), rows(20, seed=1))
    data = UCRDataModule(str(root), train_data_ratio=0.8)
    data.setup()
    assert (len(data.split.train), len(data.split.test)) == (40, 10)
    assert data.facts.classes == ("1", "2") and data.facts.n_samples == 12
    column = UCRDataModule(str(root), split_procedure="column")
    column.setup()
    assert column.split.test.tolist() == list(range(30, 50))


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (["1\t1\tx\t3"], r"line 1, column 3: 'x' is not a number"),
        (["1\t1\t2\t3", "1\t1"], "TRAIN"),
        (["nan\t1\t2\t3"], "line 1, column 1"),
        (["1\t1\tinf\t3"], "line 1, column 3"),
        ([], "is not a table"),
        (["1"], "hold 0 samples"),
        (["1\t1\t2"], "TRAIN has 2 samples a series, TEST 3"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, train: list[str], words: str) -> None:
    root = write(tmp_path / "Toy", train, ["1\t1\t2\t3"])
    if train == ["1\t1\t2\t3", "1\t1"]:  # a short row is a shorter series
        assert len(UCRSet(root)) == 3
        return
    with pytest.raises(UserError, match=words):
        UCRSet(root)
    with pytest.raises(UserError, match="there is no"):
        UCRSet(tmp_path / "None")


def test_real_sets(shared_data: Path) -> None:
    folders = sorted((shared_data / "ucr" / "UCRArchive_2018").iterdir())
    assert len(folders) == 10
    for folder in folders:
        series = UCRSet(folder)
        x, _ = series.read_records(np.arange(len(series)))
        assert np.isfinite(x).all() and len(np.unique(series.metadata.trace_category)) >= 2
