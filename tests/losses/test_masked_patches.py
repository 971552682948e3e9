from __future__ import annotations

import pytest
import torch

from seisml.losses.masked_patches import masked_patch_loss


def test_by_hand():
    """(1, 3) becomes (-1, 1), (0, 8) the same; (2, 2) is flat and becomes (0, 0)."""
    target = torch.tensor([[[1.0, 3.0], [0.0, 8.0]], [[2.0, 2.0], [1.0, 3.0]]], dtype=torch.float64)
    prediction = torch.tensor([[[-1.0, 1.0], [0.0, 2.0]], [[1.0, 0.0], [-1.0, 1.0]]], dtype=torch.float64)
    loss = masked_patch_loss(prediction, target, eps=1e-30)
    torch.testing.assert_close(loss, torch.tensor([(1 + 1) / 4, 1 / 4], dtype=torch.float64))


def test_the_patchs_mean_is_an_answer_of_zeros_and_has_a_loss_of_one():
    target = 7 + 3 * torch.randn(5, 4, 64)
    loss = masked_patch_loss(torch.zeros_like(target), target)
    torch.testing.assert_close(loss, torch.ones(5), rtol=1e-4, atol=0)
    louder = masked_patch_loss(torch.zeros_like(target), 100 * target - 5)
    torch.testing.assert_close(louder, loss, rtol=1e-4, atol=0)
    assert masked_patch_loss(torch.zeros(1, 2, 3), torch.full((1, 2, 3), 4.0)).item() == 0


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(2, 3, 5, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(masked_patch_loss, (one, other))


def test_it_stays_in_float32_inside_autocast():
    target = torch.randn(2, 3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = masked_patch_loss(torch.zeros(2, 3, 16, dtype=torch.bfloat16), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, masked_patch_loss(torch.zeros(2, 3, 16), target))


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 5)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"needs prediction and target \(N, H, P\)"):
        masked_patch_loss(torch.zeros(2, 3, 5), torch.zeros(shape))
