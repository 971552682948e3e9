from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from seisml.losses.deep_clustering import deep_clustering_loss, whitened_kmeans_loss


def one_hot(labels: list[int]) -> torch.Tensor:
    return F.one_hot(torch.tensor(labels)).double()


def test_deep_clustering_hand_values():
    y = one_hot([0, 0, 1, 1])
    perfect = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    assert deep_clustering_loss(perfect, y).item() == pytest.approx(0.0)
    # all points on one spot: 8 of 16 pairs are wrong by 1
    assert deep_clustering_loss(torch.ones(4, 3, dtype=torch.float64), y).item() == pytest.approx(0.5)
    # opposite ends of one axis: the 8 unlike pairs have affinity -1 instead of 0
    opposite = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]], dtype=torch.float64)
    assert deep_clustering_loss(opposite, y).item() == pytest.approx(0.5)
    # without unit rows: like pairs have affinity 4 instead of 1
    assert deep_clustering_loss(2 * perfect, y, normalize=False).item() == pytest.approx(8 * 9 / 16)


def test_deep_clustering_equals_the_affinity_matrices():
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(30, 7, generator=generator, dtype=torch.float64)
    y = F.one_hot(torch.randint(0, 3, (30,), generator=generator), 3).double()
    w = torch.rand(30, generator=generator, dtype=torch.float64)
    unit = v / v.norm(dim=1, keepdim=True)
    pairs = w[:, None] * w[None]  # each pair of points weighs w_i w_j
    expected = (pairs * (unit @ unit.T - y @ y.T)).square().sum() / w.square().sum().square()
    torch.testing.assert_close(deep_clustering_loss(v, y, w), expected)


def test_one_point_does_not_see_its_label():
    v = torch.randn(1, 5)
    for label in (0, 1):
        assert deep_clustering_loss(v, torch.eye(2)[label : label + 1]).item() == pytest.approx(0.0, abs=1e-6)


def test_whitened_kmeans_hand_values():
    # V^T V = Y^T Y = V^T Y = diag(2, 2): the trace is 2 * (1/3) * 2 * (1/3) * 2 = 8/9
    v = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    y = one_hot([0, 0, 1, 1])
    assert whitened_kmeans_loss(v, y).item() == pytest.approx(4 - 2 * 8 / 9)
    # one dimension, one class: 1 + 1 - 2 * n / (n + 1) * n / (n + 1)
    assert whitened_kmeans_loss(torch.full((3, 1), 5.0), torch.ones(3, 1)).item() == pytest.approx(2 - 2 * 9 / 16)
    scaled = torch.full((3, 1), 5.0)  # V^T V = 75, V^T Y = 15
    expected = 2 - 2 * 15 * 15 / 76 / 4
    assert whitened_kmeans_loss(scaled, torch.ones(3, 1), normalize=False).item() == pytest.approx(expected)


def test_whitened_kmeans_equals_the_formula():
    generator = torch.Generator().manual_seed(1)
    v = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    y = F.one_hot(torch.randint(0, 3, (40,), generator=generator), 3).double()
    u = v / v.norm(dim=1, keepdim=True)
    eye = torch.eye(6, dtype=torch.float64)
    whitened = torch.inverse(u.T @ u + eye) @ u.T @ y @ torch.inverse(y.T @ y + eye[:3, :3]) @ y.T @ u
    torch.testing.assert_close(whitened_kmeans_loss(v, y), 9 - 2 * whitened.trace())


@pytest.mark.parametrize("loss", [deep_clustering_loss, whitened_kmeans_loss])
def test_order_and_names_of_classes_do_not_matter(loss):
    v, y = torch.randn(20, 4), one_hot([0, 1] * 10).float()
    order = torch.randperm(20)
    torch.testing.assert_close(loss(v[order], y[order].flip(1)), loss(v, y))


@pytest.mark.parametrize("loss", [deep_clustering_loss, whitened_kmeans_loss])
@pytest.mark.parametrize("normalize", [True, False])
def test_gradients(loss, normalize):
    v = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    y = one_hot([0, 1, 0, 1, 2, 2])
    assert torch.autograd.gradcheck(lambda v: loss(v, y, normalize=normalize), (v,))


@pytest.mark.parametrize("loss", [deep_clustering_loss, whitened_kmeans_loss])
def test_descent_separates_two_classes(loss):
    torch.manual_seed(0)
    v = torch.nn.Parameter(torch.randn(40, 4))
    label = torch.arange(40) % 2
    y = F.one_hot(label, 2)
    optimizer = torch.optim.Adam([v], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        loss(v, y).backward()
        optimizer.step()
    u = F.normalize(v.detach(), dim=1)
    affinity = u @ u.T
    like = label[:, None] == label[None]
    assert affinity[like].mean() > 0.9 and affinity[~like].abs().mean() < 0.35


@pytest.mark.parametrize("loss", [deep_clustering_loss, whitened_kmeans_loss])
def test_float32_inside_autocast(loss):
    v, y = torch.randn(16, 4), one_hot([0, 1] * 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(v, y)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, loss(v, y))


@pytest.mark.parametrize("loss", [deep_clustering_loss, whitened_kmeans_loss])
def test_wrong_shapes(loss):
    with pytest.raises(ValueError, match="assignment"):
        loss(torch.zeros(4, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="weight"):
        deep_clustering_loss(torch.zeros(4, 2), torch.zeros(4, 2), torch.ones(3))
