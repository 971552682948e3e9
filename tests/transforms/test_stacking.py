import torch

from seisml.transforms import stack_traces


def test_weights_are_inverse_standard_deviations():
    x = torch.randn(3, 4, 500, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 5.0, 0.1])[:, None]
    weight = 1 / x.std(dim=-1)
    expected = (x * (weight / weight.sum(1, keepdim=True))[..., None]).sum(1, keepdim=True)
    torch.testing.assert_close(stack_traces(x), expected)
    assert stack_traces(x).shape == (3, 1, 500)


def test_dead_masked_and_broken_traces_do_not_count():
    x = torch.randn(1, 5, 500, generator=torch.Generator().manual_seed(0))
    live = x[:, :2].clone()
    x[0, 2] = 0.1
    x[0, 3, 7] = float("nan")
    mask = torch.tensor([[True, True, True, True, False]])
    torch.testing.assert_close(stack_traces(x, mask), stack_traces(live))
    assert not stack_traces(torch.zeros(2, 3, 50)).any()
    assert not stack_traces(x, torch.zeros(1, 5, dtype=torch.bool)).any()


def test_small_units():
    x = torch.randn(2, 3, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    torch.testing.assert_close(stack_traces(x * 1e-12) * 1e12, stack_traces(x))
