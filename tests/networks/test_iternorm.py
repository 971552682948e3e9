"""IterNorm against an independent numpy implementation of the iteration, its running averages, its precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.errors import UserError
from seisml.networks import IterNorm


def features(batch: int, size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=g, dtype=torch.float64)
    return (torch.randn(batch, size, generator=g, dtype=torch.float64) @ mixing + 3.0).to(dtype)


def whitening_by_numpy(x: np.ndarray, n_groups: int, iterations: int, eps: float) -> tuple[np.ndarray, list, list]:
    """Group by group in the paper's layout (channels x samples), with explicit products."""
    out, means, matrices = [], [], []
    for block in np.split(x.T, n_groups):
        d, m = block.shape
        mean = block.mean(axis=1)
        centred = block - mean[:, None]
        sigma = np.zeros((d, d))
        for column in centred.T:
            sigma += np.outer(column, column) / m
        sigma += eps * np.eye(d)
        trace = np.trace(sigma)
        p = np.eye(d)
        for _ in range(iterations):
            p = 0.5 * (3 * p - np.linalg.matrix_power(p, 3) @ (sigma / trace))
        matrices.append(p / np.sqrt(trace))
        means.append(mean)
        out.append(matrices[-1] @ centred)
    return np.concatenate(out).T, means, matrices


@pytest.mark.parametrize(("batch", "size", "groups"), [(7, 12, 4), (20, 6, 1), (5, 5, 5), (4, 16, 2), (128, 64, 8)])
@pytest.mark.parametrize("iterations", [1, 5])
def test_equals_numpy(batch, size, groups, iterations):
    norm = IterNorm(size, groups, T=iterations).double()
    x = features(batch, size)
    expected, means, matrices = whitening_by_numpy(x.numpy(), groups, iterations, 1e-5)
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(norm.running_mean, 0.1 * np.array(means), rtol=1e-12)
    np.testing.assert_allclose(
        norm.running_whitening, 0.9 * np.eye(size // groups) + 0.1 * np.array(matrices), rtol=1e-9, atol=1e-12
    )


def test_hand_value():
    """One channel per group, one iteration: S_N = 1, P_1 = (3 - 1) / 2 = 1, so that it is plain standardisation."""
    x = torch.tensor([[0.0], [2.0], [4.0]], dtype=torch.float64)
    std = (8 / 3 + 1e-5) ** 0.5  # biased, eps inside
    assert IterNorm(1, 1, T=1)(x).flatten().tolist() == pytest.approx([-2 / std, 0.0, 2 / std])


def test_enough_iterations_whiten():
    """What it approximates; far more iterations diverge, because rounding makes P and S stop commuting."""
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = IterNorm(8, 2, T=12, eps=0.0).double()(x).detach()
    for block in out.split(4, dim=1):
        torch.testing.assert_close(block.T @ block / 200, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-8)


def test_published_size_does_not_reach_unit_variance():
    """64 channels a group from 128 samples: five iterations stop at a standard deviation of about 0.72."""
    x = torch.randn(128, 512, generator=torch.Generator().manual_seed(0))
    assert IterNorm(512, 8)(x).std().item() == pytest.approx(0.72, abs=0.02)


def test_defaults_are_the_published_ones():
    norm = IterNorm(4096)
    assert (norm.num_groups, norm.T, norm.eps, norm.momentum, norm.affine) == (64, 5, 1e-5, 0.1, True)
    assert norm.running_whitening.shape == (64, 64, 64)
    assert torch.equal(norm.running_whitening[3], torch.eye(64)) and not norm.running_mean.any()
    assert IterNorm(512).running_whitening.shape == (64, 8, 8)


def test_running_averages_over_batches():
    norm = IterNorm(6, 3).double()
    mean, matrix = np.zeros((3, 2)), np.stack([np.eye(2)] * 3)
    for seed in range(4):
        x = features(9, 6, seed)
        norm(x)
        _, means, matrices = whitening_by_numpy(x.numpy(), 3, 5, 1e-5)
        mean, matrix = 0.9 * mean + 0.1 * np.array(means), 0.9 * matrix + 0.1 * np.array(matrices)
    np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-10)
    np.testing.assert_allclose(norm.running_whitening, matrix, rtol=1e-8, atol=1e-12)


def test_eval_uses_the_running_averages_and_leaves_them():
    norm = IterNorm(6, 3).double()
    norm(features(9, 6))
    norm.eval()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    x = features(4, 6, 1)
    out = norm(x)
    for g in range(3):
        columns = slice(2 * g, 2 * g + 2)
        expected = (x[:, columns] - before["running_mean"][g]) @ before["running_whitening"][g].T
        torch.testing.assert_close(out[:, columns], expected)
    torch.testing.assert_close(norm(x[:1]), out[:1])  # a single sample is fine, and sees no other
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_affine_scales_and_shifts():
    plain, affine = IterNorm(6, 3, affine=False).double(), IterNorm(6, 3).double()
    x = features(5, 6)
    torch.testing.assert_close(plain(x), affine(x))
    assert not list(plain.parameters())
    with torch.no_grad():
        affine.weight.copy_(torch.arange(6.0))
        affine.bias.fill_(0.5)
    torch.testing.assert_close(affine(x), plain(x) * torch.arange(6.0, dtype=torch.float64) + 0.5)


@pytest.mark.parametrize("training", [True, False])
def test_gradcheck_through_the_iterations(training):
    norm = IterNorm(6, 2, T=3).double().train(training)
    norm(features(8, 6, 5))
    assert torch.autograd.gradcheck(norm, (features(5, 6).requires_grad_(),), fast_mode=False)
    norm(features(5, 6)).square().sum().backward()
    assert norm.weight.grad.abs().min() > 0


def test_each_group_stands_alone():
    norm = IterNorm(6, 3).double()
    x = features(5, 6)
    other = x.clone()
    other[:, :2] = features(5, 2, 9)
    torch.testing.assert_close(norm(x)[:, 2:], norm(other)[:, 2:])


def test_float32_inside_autocast():
    x = features(16, 32, dtype=torch.float32)
    norm = IterNorm(32, 4, affine=False)
    expected = norm(x)
    with torch.autocast("cpu", torch.bfloat16):
        inside, half = norm(x), norm(x.bfloat16())
    assert inside.dtype == half.dtype == torch.float32
    assert torch.equal(inside, expected)
    assert torch.equal(half, norm(x.bfloat16().float()))
    assert norm.running_whitening.dtype == torch.float32


def test_close_to_float64():
    x = features(128, 512)
    double, single = IterNorm(512, 8).double(), IterNorm(512, 8)
    torch.testing.assert_close(single(x.float()).double(), double(x), rtol=0, atol=1e-3)


def test_constant_batch_is_finite():
    norm = IterNorm(8, 2)
    x = torch.full((4, 8), 0.1, requires_grad=True)
    out = norm(x)
    out.square().sum().backward()
    assert out.abs().max() < 1e-3 and torch.isfinite(x.grad).all()
    assert torch.isfinite(norm.running_whitening).all()


@pytest.mark.parametrize(
    ("size", "groups", "expected"),
    [(300, 64, (60, 5)), (100, 64, (50, 2)), (130, 64, (130, 1)), (32, 64, (32, 1)), (4096, 64, (64, 64))],
)
def test_groups_by_the_published_rule(size, groups, expected):
    norm = IterNorm(size, groups)
    assert norm.running_mean.shape == expected and norm.num_groups == expected[0]
    assert norm(torch.randn(4, size)).shape == (4, size)


@pytest.mark.parametrize(("size", "groups"), [(0, 64), (64, 0)])
def test_no_groups_or_features(size, groups):
    with pytest.raises(UserError, match=f"{groups} groups of {size} features.*1 or more"):
        IterNorm(size, groups)


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"needs input \(B, 8\), got \(4, 6\)"):
        IterNorm(8, 2)(torch.zeros(4, 6))
    with pytest.raises(UserError, match=r"2 or more samples.*\(1, 8\)"):
        IterNorm(8, 2)(torch.zeros(1, 8))


def test_state_travels():
    norm, fresh = IterNorm(8, 2), IterNorm(8, 2)
    norm(features(5, 8, dtype=torch.float32))
    fresh.load_state_dict(norm.state_dict())
    x = features(3, 8, 2, torch.float32)
    assert torch.equal(fresh.eval()(x), norm.eval()(x))
