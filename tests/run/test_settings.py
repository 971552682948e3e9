"""What the sections of a config mean together."""

from __future__ import annotations

import pytest

from seisml.errors import SettingError
from seisml.run.settings import method_arguments


def test_method_arguments_come_from_three_sections() -> None:
    values = {
        "model_params": {"proj_out": 8, "out_size_enc": 512},
        "exp_params": {"LR": {"encoder": 5e-4, "clf": 1e-3}, "out_size_enc": None},
        "augmentations": None,
    }
    rates = {"encoder": 5e-4, "clf": 1e-3}
    assert method_arguments(values) == {"proj_out": 8, "out_size_enc": 512, "LR": rates, "augmentations": []}
    values["exp_params"]["out_size_enc"] = 300
    with pytest.raises(SettingError, match="model_params.out_size_enc is 512 but exp_params.out_size_enc is 300"):
        method_arguments(values)
