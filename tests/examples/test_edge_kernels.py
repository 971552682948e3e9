"""Edge kernels on checkerboards: what the exercise observes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "edge_kernels.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("edge_kernels", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_larger_patches_leave_thin_edges_of_one_direction(example):
    small, large = example.checkerboard(5), example.checkerboard(50)
    assert small.shape == (20, 20) and set(np.unique(small)) == {0, 10} and small[0, 0] == 10 != small[0, 5]
    share = {n: np.mean(example.edges(image)["all edges"] != 0) for n, image in ((5, small), (50, large))}
    assert share[5] > 0.5 and share[50] < 0.07
    vertical = example.edges(large)["vertical edges"]
    assert not vertical[:, 10:40].any() and np.abs(vertical[10, 47:51]).max() == 30
    horizontal = example.edges(large)["horizontal edges"]
    assert not horizontal[10:40, :].any() and np.abs(horizontal[47:51, 10]).max() == 160


def test_it_draws_with_and_without_data(example, tmp_path):
    assert example.main(["--out", str(tmp_path / "edges.png")]) == 0
    figure = example.draw({"image": example.checkerboard(5)}, np.zeros((3, 5, 5)))
    assert (tmp_path / "edges.png").is_file() and len(figure.findobj(match=type(figure.axes[0]))) == 7
    with pytest.raises(SystemExit):
        example.main(["--out", str(tmp_path / "edges.png"), "--matrix", str(tmp_path / "none.mat")])
