"""Collapse monitors against hand values and independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.evaluation.collapse import collapse_monitors, effective_rank, feature_std, off_diagonal_correlation


@pytest.fixture
def z() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 10, generator=generator) @ torch.randn(10, 10, generator=generator) + 3


def test_feature_std(z: torch.Tensor) -> None:
    assert feature_std(z).item() == pytest.approx(np.std(z.numpy(), axis=0, ddof=1).mean(), rel=1e-5)
    assert feature_std(torch.ones(5, 3)).item() == 0


@pytest.mark.parametrize("n", [64, 6])  # both products: D x D and B x B
def test_correlation_equals_numpy(z: torch.Tensor, n: int) -> None:
    correlation = np.corrcoef(z[:n].numpy().T)
    off = correlation[~np.eye(10, dtype=bool)]
    assert off_diagonal_correlation(z[:n]).item() == pytest.approx(np.sqrt((off**2).mean()), rel=1e-4)


def test_correlation_hand_values(z: torch.Tensor) -> None:
    first = z[:, :1]
    assert off_diagonal_correlation(torch.cat([first, -2 * first + 5], dim=1)).item() == pytest.approx(1, abs=1e-5)
    square = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert off_diagonal_correlation(square).item() == pytest.approx(0, abs=1e-6)


def test_constant_features_are_left_out(z: torch.Tensor) -> None:
    padded = torch.cat([z, torch.full((64, 5), 0.1), torch.zeros(64, 2)], dim=1)
    assert off_diagonal_correlation(padded).item() == pytest.approx(off_diagonal_correlation(z).item(), rel=1e-5)
    assert off_diagonal_correlation(torch.full((64, 5), 0.1)).isnan()


def test_effective_rank_hand_values() -> None:
    assert effective_rank(torch.eye(7)).item() == pytest.approx(7, rel=1e-5)
    assert effective_rank(torch.ones(6, 4)).item() == pytest.approx(1, rel=1e-3)
    # singular values 3 and 1: entropy of (3/4, 1/4)
    expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_rank(torch.diag(torch.tensor([3.0, 1, 0]))).item() == pytest.approx(expected, rel=1e-5)
    assert effective_rank(torch.zeros(3, 3)).item() == 0


def test_effective_rank_equals_the_eigenvalue_route(z: torch.Tensor) -> None:
    singular = np.sqrt(np.linalg.eigvalsh(z.double().numpy().T @ z.double().numpy()).clip(0))
    p = singular / singular.sum()
    assert effective_rank(z).item() == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)


def test_monitors_tell_a_collapse(z: torch.Tensor) -> None:
    healthy = collapse_monitors(z)
    line = collapse_monitors(z[:, :1] * torch.ones(10) + 100)
    point = collapse_monitors(torch.full((64, 10), 0.3))
    assert line["off_diagonal_correlation"] > 0.99 > healthy["off_diagonal_correlation"]
    assert line["effective_rank"] < 1.1 < healthy["effective_rank"]
    assert point["feature_std"] < 1e-6 < healthy["feature_std"]


def test_low_precision_non_finite_and_shapes(z: torch.Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = collapse_monitors(z.bfloat16())
    assert all(value.dtype == torch.float32 and value.ndim == 0 for value in low.values())
    assert low["effective_rank"].item() == pytest.approx(collapse_monitors(z)["effective_rank"].item(), rel=0.05)
    assert all(value.isnan() for value in collapse_monitors(z * torch.nan).values())
    with pytest.raises(ValueError, match=r"\(1, 4\)"):
        feature_std(torch.zeros(1, 4))
