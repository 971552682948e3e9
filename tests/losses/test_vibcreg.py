"""VIbCReg's terms: hand values, independent formulas, gradients, precision, shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.errors import UserError
from seisml.losses import (
    covariance,
    covariance_full,
    covariance_gram,
    invariance,
    variance,
    vibcreg,
    vibcreg_loss,
    vicreg_loss,
)


def embeddings(batch: int, features: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Correlated features of differing scales and means."""
    g = torch.Generator().manual_seed(seed)
    mixing = torch.eye(features) + 0.3 * torch.randn(features, features, generator=g) / features**0.5
    scale = torch.rand(features, generator=g) + 0.2
    return ((torch.randn(batch, features, generator=g) @ mixing) * scale + torch.randn(features, generator=g)).to(dtype)


# Three samples of two features, worked out by hand: means (2, 0); centred (-1, -1), (0, 0), (1, 1) doubled in column 2.
TINY = torch.tensor([[1.0, -2.0], [2.0, 0.0], [3.0, 2.0]])


def test_hand_values():
    assert invariance(TINY, TINY + torch.tensor([1.0, -2.0])).item() == pytest.approx((1 + 4) / 2)
    assert variance(0.5 * TINY).item() == pytest.approx(0.5 * (1 - (0.25 + 1e-4) ** 0.5) + 0.5 * 0, abs=1e-6)
    # The columns are perfectly correlated: K is all ones, two of four entries are off the diagonal.
    assert covariance(TINY).item() == pytest.approx(0.5)
    assert covariance_full(TINY).item() == pytest.approx(0.5)
    assert covariance_gram(TINY).item() == pytest.approx(0.5)
    # Orthogonal after centring: nothing off the diagonal.
    square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert covariance(square).item() == 0.0
    assert variance(torch.ones(4, 3)).item() == pytest.approx(0.99)


def test_independent_formula():
    for batch, features in [(6, 9), (9, 6), (7, 7)]:
        z, z2 = embeddings(batch, features, 1), embeddings(batch, features, 2)
        a, b = z.numpy(), z2.numpy()
        expected_invariance = np.mean([(x - y) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True)])
        expected_variance = sum(np.maximum(0, 1 - np.sqrt(np.var(v, axis=0, ddof=1) + 1e-4)).mean() for v in (a, b))
        expected_covariance = (
            sum((np.corrcoef(v, rowvar=False) ** 2).sum() - features for v in (a, b)) / features**2
        )  # the centred, normalised features' products are the correlation coefficients
        terms = vibcreg_loss(z, z2, 10.0, 20.0, 30.0)
        assert terms["invariance"].item() == pytest.approx(expected_invariance, rel=1e-12)
        assert terms["variance"].item() == pytest.approx(expected_variance, rel=1e-12)
        assert terms["covariance"].item() == pytest.approx(expected_covariance, rel=1e-10)
        total = 10 * expected_invariance + 20 * expected_variance + 30 * expected_covariance
        assert terms["loss"].item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("batch", "features"), [(5, 40), (40, 5), (8, 8), (2, 3), (128, 256)])
def test_forms_agree_in_value_and_gradient(batch, features):
    grads, values = [], []
    for form in (covariance_full, covariance_gram):
        z = embeddings(batch, features, 3).requires_grad_()
        value = form(z)
        value.backward()
        values.append(value.item())
        grads.append(z.grad)
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-8, atol=1e-12)


def test_forms_agree_in_float32():
    grads, values = [], []
    for form in (covariance_full, covariance_gram):
        z = embeddings(32, 512, 3, torch.float32).requires_grad_()
        value = form(z)
        value.backward()
        values.append(value.item())
        grads.append(z.grad)
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert (grads[0] - grads[1]).norm() < 1e-5 * grads[0].norm()


@pytest.mark.parametrize(
    ("batch", "features", "expected"), [(4, 5, "gram"), (4, 4, "full"), (5, 4, "full"), (128, 4096, "gram")]
)
def test_gram_form_is_picked_where_smaller(monkeypatch, batch, features, expected):
    picked = []
    monkeypatch.setattr(vibcreg, "covariance_gram", lambda z: picked.append("gram"))
    monkeypatch.setattr(vibcreg, "covariance_full", lambda z: picked.append("full"))
    covariance(torch.zeros(batch, features))
    assert picked == [expected]


@pytest.mark.parametrize(("batch", "features"), [(4, 6), (6, 4)])
def test_gradcheck(batch, features):
    z, z2 = embeddings(batch, features, 4).requires_grad_(), embeddings(batch, features, 5).requires_grad_()
    assert torch.autograd.gradcheck(invariance, (z, z2))
    assert torch.autograd.gradcheck(variance, (z,))
    assert torch.autograd.gradcheck(covariance_full, (z,))
    assert torch.autograd.gradcheck(covariance_gram, (z,))
    assert torch.autograd.gradcheck(lambda a, b: vibcreg_loss(a, b, 25.0, 25.0, 200.0)["loss"], (z, z2))


def test_covariance_of_random_data_is_not_zero():
    batch, features = 16, 256
    z = torch.randn(batch, features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert covariance(z).item() == pytest.approx((1 - 1 / features) / (batch - 1), rel=0.05)
    assert covariance(z).item() >= 1 / (batch - 1) - 1 / features  # the rank of K is at most B - 1


def test_covariance_ignores_scale_and_mean():
    z = embeddings(6, 12)
    assert covariance(1e-3 * z + 5.0).item() == pytest.approx(covariance(z).item(), rel=1e-9)


@pytest.mark.parametrize("form", [covariance_full, covariance_gram])
@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e6])
def test_constant_features_count_for_nothing(form, constant):
    """Centring a constant leaves rounding error, which must not be blown up to a unit vector."""
    z = embeddings(30, 20, 6, torch.float32)
    expected = form(z).item() * 20**2 / 22**2
    z = torch.cat([z, torch.full((30, 2), constant)], dim=1).requires_grad_()
    value = form(z)
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert z.grad[:, -2:].abs().max() == 0.0
    assert z.grad.abs().max() < 1.0


@pytest.mark.parametrize("form", [covariance_full, covariance_gram])
def test_collapsed_embeddings_give_finite_gradients(form):
    z = torch.full((8, 16), 0.3).requires_grad_()
    loss = form(z) + variance(z)
    loss.backward()
    assert loss.item() == pytest.approx(0.99)
    assert torch.isfinite(z.grad).all()


def test_variance_is_not_vicregs():
    """No factor 1/2: with only the variance weighted, VIbCReg's loss is twice VICReg's."""
    z, z2 = 0.1 * embeddings(8, 5, 7), 0.1 * embeddings(8, 5, 8)
    ours = vibcreg_loss(z, z2, 0.0, 1.0, 0.0)["loss"].item()
    assert ours == pytest.approx(variance(z).item() + variance(z2).item())
    assert vicreg_loss(z, z2, 0.0, 1.0, 0.0).item() == pytest.approx(ours / 2)


def test_float32_inside_autocast():
    z, z2 = embeddings(8, 32, 9, torch.float32), embeddings(8, 32, 10, torch.float32)
    expected = vibcreg_loss(z, z2, 10.0, 10.0, 10.0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = vibcreg_loss(z, z2, 10.0, 10.0, 10.0)
        halves = z.bfloat16().requires_grad_(), z2.bfloat16().requires_grad_()
        half = vibcreg_loss(*halves, 10.0, 10.0, 10.0)
    for name, value in expected.items():
        assert inside[name].dtype == half[name].dtype == torch.float32
        assert inside[name].item() == value.item()
    rounded = vibcreg_loss(halves[0].detach().float(), halves[1].detach().float(), 10.0, 10.0, 10.0)
    assert half["loss"].item() == rounded["loss"].item()
    half["loss"].backward()
    assert all(h.grad.dtype == torch.bfloat16 and h.grad.abs().max() > 0 for h in halves)


@pytest.mark.parametrize(
    ("z", "z2"), [((4, 3), (4, 2)), ((4, 3), (3, 3)), ((4, 3, 1), (4, 3, 1)), ((4,), (4,)), ((4, 0), (4, 0))]
)
def test_bad_shapes_are_named(z, z2):
    with pytest.raises(ValueError, match="vibcreg_loss.*B, D") as error:
        vibcreg_loss(torch.zeros(z), torch.zeros(z2))
    assert str(z) in str(error.value) and str(z2) in str(error.value)


@pytest.mark.parametrize("term", [variance, covariance, covariance_full, covariance_gram])
def test_one_sample_is_refused(term):
    with pytest.raises(UserError, match=r"at least 2 samples.*\(1, 4\).*batch_size"):
        term(torch.zeros(1, 4))


def test_gathered_batches_give_the_loss_of_one():
    """Functions without state: concatenating the parts of two processes is all that gathering needs."""
    z, z2 = embeddings(8, 12, 11), embeddings(8, 12, 12)
    parts = torch.cat([z[:4], z[4:]]), torch.cat([z2[:4], z2[4:]])
    assert vibcreg_loss(*parts)["loss"].item() == vibcreg_loss(z, z2)["loss"].item()
