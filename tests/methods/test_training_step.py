"""A training step is quick without giving other numbers."""

from __future__ import annotations

import copy

import pytest
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.methods.self_supervised.vnibcreg import VNIbCReg
from tests.methods.recipes import FACTS, SMALL, front_end, trainer


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_optimiser_does_what_pytorchs_default_does(optimizer):
    """Fused, with weights in channels-last order; from its third step on with the other's state, in another order."""
    ours, plain = (
        VNIbCReg(facts=FACTS, front_end=front_end(), optimizer=optimizer, weight_decay=0.1, LR=1e-2, **SMALL)
        for _ in range(2)
    )
    ours.load_state_dict(plain.state_dict())
    plain.encoder.to(memory_format=torch.contiguous_format)
    fused, default = ours.build_optimizer(), type(ours.build_optimizer())(plain.parameters())
    default.load_state_dict({"state": {}, "param_groups": fused.state_dict()["param_groups"]})
    default.param_groups[0] |= {"fused": None, "foreach": None}
    assert fused.param_groups[0]["fused"]
    order = {name: p.stride() for name, p in ours.named_parameters()}
    for step in range(4):
        if step == 2:
            fused.load_state_dict(copy.deepcopy(default.state_dict()))
            assert fused.param_groups[0]["fused"]
        for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
            gradient = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(step))
            mine.grad, theirs.grad = torch.empty_like(mine).copy_(gradient), gradient
            assert mine.stride() == order[name]
        fused.step()
        default.step()
        for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_step_in_bfloat16_is_that_of_float32_up_to_rounding(root):
    """Each result is off by at most one part in 2^9, and such errors of some ten layers, which do not know of one
    another, add up to less than one part in 2^8. Gradients meet them forwards and backwards."""
    losses, gradients = [], []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        data = StoreDataModule(str(root), batch_size=16, is_ssl=True)
        data.setup()
        method = VNIbCReg(facts=data.facts, front_end=front_end(), **SMALL)
        method.discriminator.model[2].p = 0.0  # what dropout draws depends on the type
        run = trainer(precision=precision, max_steps=1, limit_train_batches=1)
        run.fit(method, datamodule=data)
        losses.append(run.callback_metrics["train/loss"].item())
        gradients.append(torch.cat([p.grad.flatten() for p in method.parameters()]))
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=2**-8)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9


def test_weights_are_cast_once_for_all_views(root):
    """Lightning's autocast would cast them again for each pass."""
    data = StoreDataModule(str(root), batch_size=16, is_ssl=True)
    data.setup()
    run = trainer(precision="bf16-mixed", max_steps=1, limit_train_batches=1)
    with torch.profiler.profile() as profile:
        run.fit(VNIbCReg(facts=data.facts, front_end=front_end(), **SMALL), datamodule=data)
    times = {event.key: event.count for event in profile.key_averages()}
    convolutions, linear = 12, 5  # those of the encoder; those of projector and discriminator, with a bias each
    back_to_float32 = 7  # casts of features
    assert times["ToCopyBackward0"] == convolutions + 2 * linear + back_to_float32
