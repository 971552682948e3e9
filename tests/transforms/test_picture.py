import pytest
import torch

from seisml.transforms import SpectrogramFrontEnd, WaveformFrontEnd
from seisml.transforms.picture import bilinear_taps


@pytest.fixture(scope="module")
def picture():
    x = torch.randn(5, 3, 6000, generator=torch.Generator().manual_seed(0)) * 100
    x[1, 2] = 4.0
    return SpectrogramFrontEnd(floor=1.0).picture(x)


@pytest.mark.parametrize("size", [(128, 711), (41, 85), (20, 30), (128, 40), (41, 500), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_full_equals_interpolate(size, dtype):
    x = torch.randn(2, 2, 6000, generator=torch.Generator().manual_seed(0)).to(dtype) * 100
    picture = SpectrogramFrontEnd(floor=1.0, size=size).picture(x)
    expected = torch.nn.functional.interpolate(picture.values.double(), size=size, mode="bilinear")
    assert picture.full().dtype == dtype and picture.full().is_contiguous()
    assert (picture.full() - expected).abs().max() < (1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("size", [(128, 711), None, (20, 30), (128, 40)])
@pytest.mark.parametrize("width", [1, 7, 30])
def test_columns_equal_a_crop_of_the_full_picture(size, width):
    x = torch.randn(5, 3, 6000, generator=torch.Generator().manual_seed(0)) * 100
    picture = SpectrogramFrontEnd(floor=1.0, size=size).picture(x)
    full = picture.full()
    last = picture.width - width
    start = torch.tensor([0, 1, last // 2, last - 1, last]).clamp(0, last)
    columns = picture.columns(start, width)
    expected = torch.stack([full[k, :, :, s : s + width] for k, s in enumerate(start.tolist())])
    torch.testing.assert_close(columns, expected, rtol=0, atol=1e-6)


def test_every_start_of_the_published_picture(picture):
    full = picture.select(0).full()
    for first in range(0, 642, 5):
        start = (first + torch.arange(5)).clamp(max=641)
        expected = torch.stack([full[k, :, :, s : s + 70] for k, s in enumerate(start.tolist())])
        torch.testing.assert_close(picture.select(0).columns(start, 70), expected, rtol=0, atol=1e-6)


def test_select_and_multiply(picture):
    full = picture.full()
    assert torch.equal(picture.select(2).full(), full[:, 2:3])
    assert torch.equal(picture.select(-1).full(), full[:, 2:3])
    channel = torch.tensor([2, 0, 1, 1, 2])
    assert torch.equal(picture.select(channel).full(), full[torch.arange(5), channel][:, None])
    factor = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])
    torch.testing.assert_close(picture.scale(factor).full(), full * factor[:, None, None, None])
    assert (picture.channels, picture.width, picture.source_width) == (3, 711, 85)
    assert "5 x 3 traces" in repr(picture)


def test_columns_pass_gradients():
    front_end = SpectrogramFrontEnd(nperseg=16, floor=1.0, size=(9, 20))
    x = torch.randn(2, 1, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: front_end.picture(x).columns(torch.tensor([0, 11]), 6), (x,))


def test_reduced_precision_matrix_products_change_nothing(picture):
    before = torch.get_float32_matmul_precision()
    full, columns = picture.full(), picture.columns(torch.arange(5), 70)
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(picture.full(), full) and torch.equal(picture.columns(torch.arange(5), 70), columns)
    finally:
        torch.set_float32_matmul_precision(before)


def test_taps_made_in_inference_mode_serve_training():
    bilinear_taps.cache_clear()
    with torch.inference_mode():
        taps = bilinear_taps(13, 29, torch.float32, torch.device("cpu"))
    assert not any(tap.is_inference() for tap in taps)


def test_waveforms_have_the_same_interface():
    x = torch.randn(4, 2, 500, generator=torch.Generator().manual_seed(0)) * 3 + 8
    x[0, 0] = 5.1
    x[1, 1, 3] = float("nan")
    front_end = WaveformFrontEnd()
    picture = front_end.picture(x)
    assert not picture.full()[0, 0].any() and not picture.full()[1, 1].any()
    live = picture.full()[2:]
    assert live.mean(-1).abs().max() < 1e-6
    torch.testing.assert_close(live.std(-1), torch.ones(2, 2))
    start = torch.tensor([0, 10, 450, 449])
    expected = torch.stack([picture.full()[k, :, s : s + 50] for k, s in enumerate(start.tolist())])
    assert torch.equal(picture.columns(start, 50), expected)
    assert torch.equal(picture.select(1).full(), picture.full()[:, 1:])
    assert torch.equal(picture.scale(torch.full((4,), 2.0)).full(), picture.full() * 2)
    assert front_end.fit([]) is front_end and front_end.fitted and picture.width == 500
    assert "1 of 8 traces" in front_end.check(x) and front_end.check(x[2:]) is None
    assert WaveformFrontEnd("peak")(x)[2:].abs().amax(-1).eq(1).all()
    assert torch.equal(WaveformFrontEnd(None, demean=False)(x[2:]), x[2:])
