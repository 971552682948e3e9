"""Front ends that hand waveforms to one-dimensional networks."""

from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms.waveform import ScaledWaveformFrontEnd


def test_one_scale_for_all_waveforms() -> None:
    x = torch.tensor([[[4.5, 14.5, -5.5]], [[4.5, 4.5, 4.5]], [[1.0, torch.nan, 2.0]]])
    scaled = ScaledWaveformFrontEnd(4.5, 10.0)(x)
    assert scaled[:, 0].tolist() == [[0, 1, -1], [0, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(ScaledWaveformFrontEnd(4.5, 10.0, compress=True)(x), scaled.asinh())
    assert ScaledWaveformFrontEnd(0, 1)(x.short()).dtype == torch.float32


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_none(std: float) -> None:
    with pytest.raises(UserError, match="front_end.std"):
        ScaledWaveformFrontEnd(0, std)
