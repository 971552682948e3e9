import torch

from seisml.transforms.amplitude import normalized


def test_normalized():
    x = torch.randn(4, 2, 1000, generator=torch.Generator().manual_seed(0)) * 1e-9 + 1e-7
    x[0, 0] = 0.1
    std, peak = normalized(x, "std"), normalized(x, "peak")
    assert not std[0, 0].any() and not peak[0, 0].any()
    torch.testing.assert_close(std[1:].std(-1), torch.ones(3, 2))
    assert peak[1:].abs().amax(-1).eq(1).all()
    assert normalized(x, None)[1:].mean(-1).abs().max() < 1e-14
