"""VICReg, Barlow Twins and SimCLR: the library's losses against their papers' formulas."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from seisml.errors import UserError
from seisml.losses import barlow_twins_loss, partner_accuracy, simclr_loss, vicreg_loss

LOSSES = [vicreg_loss, barlow_twins_loss, simclr_loss]


def views(batch: int, features: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(batch * 100 + features)
    z = torch.randn(batch, features, generator=g, dtype=torch.float64)
    return z.to(dtype), (z + 0.5 * torch.randn(batch, features, generator=g, dtype=torch.float64)).to(dtype)


def test_hand_values():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # standardised, uncorrelated
    assert barlow_twins_loss(z, z).item() == pytest.approx(0.0, abs=1e-8)
    assert barlow_twins_loss(z, -z).item() == pytest.approx(2 * 4, rel=1e-4)
    assert vicreg_loss(z, z).item() == pytest.approx(0.0, abs=1e-8)
    assert vicreg_loss(z, -z, 1.0, 0.0, 0.0).item() == pytest.approx(4.0)
    assert simclr_loss(torch.ones(4, 3), torch.ones(4, 3)).item() == pytest.approx(math.log(7), rel=1e-6)


def test_vicreg_formula():
    z, z2 = views(6, 9)
    a, b = z.numpy(), z2.numpy()
    hinge = sum(np.maximum(0, 1 - np.sqrt(np.var(v, axis=0, ddof=1) + 1e-4)).mean() for v in (a, b)) / 2
    matrices = [np.cov(v, rowvar=False) for v in (a, b)]
    off = sum(np.sum((c - np.diag(np.diag(c))) ** 2) / 9 for c in matrices)
    assert vicreg_loss(z, z2, 2.0, 3.0, 5.0).item() == pytest.approx(2 * np.mean((a - b) ** 2) + 3 * hinge + 5 * off)


def test_barlow_twins_formula():
    z, z2 = views(16, 5)
    c = np.corrcoef(z.numpy(), z2.numpy(), rowvar=False)[:5, 5:]
    on = np.sum((1 - np.diag(c)) ** 2)
    expected = on + 0.02 * (np.sum(c**2) - np.sum(np.diag(c) ** 2))
    assert barlow_twins_loss(z, z2, 0.02).item() == pytest.approx(expected, rel=1e-4)  # the library adds 1e-5 to var


def test_simclr_formula():
    z, z2 = views(5, 7)
    both = np.concatenate([z.numpy(), z2.numpy()])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    expected = 0.0
    for i in range(10):
        weights = [np.exp(both[i] @ both[j] / 0.2) for j in range(10) if j != i]
        expected -= np.log(np.exp(both[i] @ both[(i + 5) % 10] / 0.2) / sum(weights)) / 10
    assert simclr_loss(z, z2, 0.2).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss):
    z, z2 = (v.requires_grad_() for v in views(5, 4))
    assert torch.autograd.gradcheck(loss, (z, z2))


@pytest.mark.parametrize("loss", LOSSES)
def test_float32_inside_autocast(loss):
    z, z2 = views(16, 8, torch.float32)
    expected = loss(z, z2)
    with torch.autocast("cpu", torch.bfloat16):
        inside, half = loss(z, z2), loss(z.bfloat16(), z2.bfloat16())
    assert inside.dtype == half.dtype == torch.float32
    assert inside.item() == expected.item()
    assert half.item() == pytest.approx(expected.item(), rel=0.02)


@pytest.mark.parametrize("loss", LOSSES)
def test_bad_shapes_are_named(loss):
    with pytest.raises(ValueError, match=rf"{loss.__name__}.*z \(4, 3\), z2 \(4, 2\)"):
        loss(torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(UserError, match=r"at least 2 samples.*\(1, 3\)"):
        loss(torch.zeros(1, 3), torch.zeros(1, 3))


def test_simclr_refuses_a_temperature_of_zero():
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        simclr_loss(*views(3, 3), temperature=0)


def test_arguments_are_left_alone():
    for loss in LOSSES:  # the library works in place here and there
        z, z2 = views(6, 4)
        loss(z, z2)
        assert torch.equal(z, views(6, 4)[0]) and torch.equal(z2, views(6, 4)[1])


@pytest.mark.long
def test_no_network_and_no_slow_import():
    """Importing the losses loads no lightly, and using them opens no connection."""
    script = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import torch, seisml.losses as losses\n"
        "assert 'lightly' not in sys.modules\n"
        "z = torch.eye(4)\n"
        "losses.vicreg_loss(z, z), losses.barlow_twins_loss(z, z), losses.simclr_loss(z, z)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_partner_is_found_by_direction():
    z = torch.eye(6)[:4] * torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert partner_accuracy(z, 5 * z).item() == 1.0
    assert partner_accuracy(z, 5 * z.roll(1, 0)).item() == 0.0
    half = z.clone()
    half[2:] = z[2:].flip(0)
    assert partner_accuracy(z, half).item() == 0.5
    generator = torch.Generator().manual_seed(0)
    drawn = [partner_accuracy(*torch.randn(2, 8, 32, generator=generator)).item() for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(1 / 15, abs=0.015)
