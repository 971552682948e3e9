"""InfoNCE: hand values, an independent formula, gradients, precision, shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seisml.losses import infonce_constant, infonce_loss, infonce_scores


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_hand_values():
    alike = torch.ones(2, 10, 4)
    assert infonce_loss(alike, alike).item() == pytest.approx(math.log(9))  # pieces 2-10 of 10: chance is 1 / 9
    # c_1 . (z_2, z_3) = (ln 3, 0): probability 3/4 for the next; c_2 . (z_2, z_3) = (0, ln 7): 7/8
    context = torch.tensor([[[math.log(3.0), 0.0], [0.0, math.log(7.0)], [99.0, 99.0]]])
    piece = torch.tensor([[[99.0, -99.0], [1.0, 0.0], [0.0, 1.0]]])
    expected = (math.log(4 / 3) + math.log(8 / 7)) / 2
    assert infonce_loss(context, piece).item() == pytest.approx(expected, rel=1e-6)
    swapped = piece[:, [0, 2, 1]]
    assert infonce_loss(context, swapped).item() == pytest.approx((math.log(4) + math.log(8)) / 2, rel=1e-6)


def test_independent_formula():
    c, z = draw(3, 5, 4, seed=1), draw(3, 5, 4, seed=2)
    losses, foresight = [], []
    for b in range(3):
        for k in range(4):
            scores = np.array([float((c[b, k] * z[b, j]).sum()) for j in range(1, 5)])
            losses.append(-math.log(math.exp(scores[k]) / np.exp(scores).sum()))
            foresight.append(-math.log(math.exp(scores[k]) / np.exp(scores[k:]).sum()))
    assert infonce_loss(c, z).item() == pytest.approx(np.mean(losses), rel=1e-12)
    met = np.array(foresight).reshape(3, 4)[:, :3]  # of one piece to come nothing is to be foreseen
    assert infonce_loss(c, z, foresight=True).item() == pytest.approx(met.mean(), rel=1e-12)


def test_alike_pieces_and_memory_alone():
    alike = torch.ones(2, 10, 4)
    for foresight in (False, True):
        assert infonce_loss(alike, alike, foresight).item() == pytest.approx(infonce_constant(10, foresight))
    assert infonce_constant(10) == pytest.approx(math.log(9))
    assert infonce_constant(4, foresight=True) == pytest.approx((math.log(3) + math.log(2)) / 2)
    # each context knows the pieces again that it has met, and scores the others alike: log((K - 1)!) / (K - 1)
    piece = torch.eye(10)[None] * 1e3
    context = -torch.ones(10, 10).tril()[None]
    assert infonce_loss(context, piece).item() == pytest.approx(math.log(math.factorial(9)) / 9, rel=1e-5)
    assert infonce_loss(context, piece, foresight=True).item() == pytest.approx(infonce_constant(10, True), rel=1e-5)


def test_the_last_context_and_the_first_piece_are_not_used():
    c, z = draw(2, 4, 3, seed=1).requires_grad_(), draw(2, 4, 3, seed=2).requires_grad_()
    infonce_loss(c, z).backward()
    assert not c.grad[:, -1].any() and not z.grad[:, 0].any() and c.grad[:, :-1].any() and z.grad[:, 1:].any()


def test_windows_do_not_meet():
    """The negatives of a window are its pieces: what another window holds changes nothing."""
    c, z = draw(2, 4, 3, seed=1), draw(2, 4, 3, seed=2)
    alone = [infonce_loss(c[b : b + 1], z[b : b + 1]) for b in range(2)]
    torch.testing.assert_close(infonce_loss(c, z), sum(alone) / 2)


@pytest.mark.parametrize("foresight", [False, True])
def test_gradcheck(foresight):
    c, z = draw(2, 4, 3, seed=1).requires_grad_(), draw(2, 4, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(infonce_loss, (c, z, foresight))


def test_large_scores_stay_finite_and_half_precision_is_lifted():
    c = torch.full((1, 3, 2), 1e4)
    assert torch.isfinite(infonce_loss(c, c))
    c, z = draw(2, 4, 64, seed=1).bfloat16(), draw(2, 4, 64, seed=2).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = infonce_loss(c, z)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, infonce_loss(c.float(), z.float()))
    assert infonce_scores(c, z).shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("context", "piece"), [((2, 4, 3), (2, 4, 2)), ((2, 3), (2, 3)), ((2, 2, 3), (2, 2, 3)), ((0, 4, 3), (0, 4, 3))]
)
def test_shapes_are_checked(context, piece):
    with pytest.raises(ValueError, match="K >= 3"):
        infonce_loss(torch.zeros(context), torch.zeros(piece))
