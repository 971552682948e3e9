"""Classes by their dotted paths, those that checkpoints and settings of before give them among them."""

from __future__ import annotations

import importlib
import inspect

import pytest

from seisml.methods.base import Method
from seisml.methods.self_supervised.vicreg import VICReg
from seisml.run.settings import differences, identity
from seisml.values.classes import MOVED, find_class, first_path, only_trusted, present_path


@pytest.mark.parametrize(("former", "present"), MOVED.items())
def test_a_class_is_found_where_it_once_was(former, present):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(former)
    here = vars(importlib.import_module(present))
    methods = [
        name for name, kind in here.items()
        if inspect.isclass(kind) and kind.__module__ == present and issubclass(kind, Method)
    ]  # fmt: skip
    assert methods
    for name in methods:
        with only_trusted():  # as a checkpoint's settings are read
            assert find_class(f"{former}.{name}", Method, "model_params._target_") is here[name]


def test_a_class_keeps_its_first_path_however_often_it_moves(monkeypatch):
    module = "seisml.methods.self_supervised.vicreg"
    monkeypatch.setitem(MOVED, "seisml.methods.between.vicreg", module)
    paths = [f"{place}.VICReg" for place in ("seisml.methods.vicreg", "seisml.methods.between.vicreg", module)]
    assert {first_path(path) for path in paths} == {paths[0]} and {present_path(path) for path in paths} == {paths[2]}
    assert first_path("my_package.VICReg") == present_path("my_package.VICReg") == "my_package.VICReg"
    assert all(find_class(path, Method, "key") is VICReg for path in paths)


def test_settings_do_not_differ_by_where_a_class_lies():
    before = {"model_params": {"_target_": "seisml.methods.vicreg.VICReg", "out": 8}, "some": [{"_target_": "a.B"}]}
    after = before | {"model_params": {"_target_": "seisml.methods.self_supervised.vicreg.VICReg", "out": 8}}
    assert not differences(before, after) and identity(after) == before
    after["model_params"]["_target_"] = "seisml.methods.self_supervised.simclr.SimCLR"
    (change,) = differences(before, after)
    assert "SimCLR (not seisml.methods.vicreg.VICReg)" in change
