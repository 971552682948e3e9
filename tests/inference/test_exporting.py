"""The whole path from windows to probabilities as one graph: the numbers of the method, by ONNX and torch.export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import seisml
from seisml.cli import main
from seisml.errors import UserError
from seisml.inference import exporting
from seisml.inference.exporting import write_onnx, write_program
from seisml.methods.convnetquake import ConvNetQuake
from seisml.run.build import build_method
from seisml.tasks.facts import DataFacts
from seisml.waveforms.preprocessing import Preprocessing
from tests.continuous_records import write_checkpoint

SPECTROGRAM = {
    "_target_": "seisml.transforms.spectrogram.SpectrogramFrontEnd", "nperseg": 40, "size": [24, 32],
    "floor": 1.0, "normalize": "std",
}  # fmt: skip
WAVEFORM = {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": "peak"}
SMALL = {"backbone_type": "SmallResNetEncoder", "backbone_params": {"widths": [4, 8]}}
METHODS = {
    "frozen and scaled": (
        "supervised.Supervised",
        {**SPECTROGRAM, "detrend": "linear", "fmin": 1.0, "scale": [1.0, 2.0], "normalize": None},
        {**SMALL, "freeze_encoders": True, "standardize_features": True},
    ),
    "stacked traces": ("langet.StackedTraceClassifier", SPECTROGRAM, {"backbone_with_clf_type": "ResNet18"}),
    "components": ("convnetquake.ConvNetQuake", WAVEFORM, {"in_channels": 3}),
    "trees": ("fitted.attribute_forest.AttributeForest", WAVEFORM, {"n_estimators": 2}),
}


def build(name, detrend=None):
    torch.manual_seed(0)
    target, front_end, arguments = METHODS[name]
    cfg = {"model_params": {"_target_": f"seisml.methods.{target}", **arguments}, "front_end": front_end, "seed": 0}
    method = build_method(OmegaConf.create(cfg), DataFacts(("noise", "a", "rockfäll"), 20.0, 200)).eval()
    for buffer in method.buffers():  # statistics that are not those of a fresh network
        if buffer.ndim and buffer.is_floating_point():
            buffer.add_(torch.rand_like(buffer))
    steps = {"detrend": detrend, "components": "ZNE" if method.in_channels == 3 else None}
    method.run_record = {"preprocessing": steps}
    return method


def expected(method, windows, detrend=None):
    x = torch.from_numpy(Preprocessing(detrend=detrend).on_window(windows)).float()
    zeros = torch.zeros(len(x)).long()
    with torch.no_grad():
        return method.predict_log_probability({"waveform": x, "epoch": zeros, "index": zeros})[0].exp().numpy()


def check(method, run, detrend):
    """Any number of windows; any number of traces where the network takes one at a time."""
    generator = np.random.default_rng(3)
    for n, traces in ((1, 3), (7, 3), (400, 3), *([(2, 1), (2, 9)] if method.in_channels == 1 else [])):
        windows = (50 * generator.standard_normal((n, traces, 200)) + 30 * np.arange(200)).astype(np.float32)
        np.testing.assert_allclose(run(windows), expected(method, windows, detrend), atol=1e-4)


@pytest.mark.long
def test_onnx_gives_the_numbers_of_the_method(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    method = build("frozen and scaled")
    assert write_onnx(method, tmp_path / "model.onnx") <= 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == ["noise", "a", "rockfäll"] and json.loads(about["sampling_rate"]) == 20.0
    check(method, lambda windows: session.run(["probability"], {"waveform": windows})[0], None)


@pytest.mark.long
@torch.no_grad()
def test_a_torch_program_gives_the_numbers_of_the_method(tmp_path):
    method = build("stacked traces")
    assert write_program(method, tmp_path / "model.pt2") <= 1e-5
    program = torch.export.load(str(tmp_path / "model.pt2")).module()
    check(method, lambda windows: program(torch.from_numpy(windows)).numpy(), None)


@pytest.mark.long
def test_the_command_writes_them_into_the_bundle(tmp_path, monkeypatch, capsys):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    monkeypatch.chdir(tmp_path)
    values = torch.load(write_checkpoint(tmp_path, trained=False), weights_only=True)
    values["seisml"]["preprocessing"] = {"detrend": "linear"}
    torch.save(values, "last.ckpt")
    assert main(["export", "last.ckpt", "--out", "all", "--onnx", "--torch-export"]) == 0
    names = {"model.json", "weights.safetensors", "model.onnx", "model.pt2"}
    assert {file.name for file in (tmp_path / "all").iterdir()} == names
    assert "model.onnx gives the same probabilities" in capsys.readouterr().out
    session = onnxruntime.InferenceSession("all/model.onnx")
    program = torch.export.load("all/model.pt2").module()
    method = seisml.load("all").method
    check(method, lambda windows: session.run(["probability"], {"waveform": windows})[0], "linear")
    check(method, lambda windows: program(torch.from_numpy(windows)).detach().numpy(), "linear")


def test_a_graph_that_gives_other_numbers_is_not_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    write_checkpoint(tmp_path, trained=False)
    assert main(["export", "last.ckpt", "--out", "all", "--torch-export"]) == 2
    assert "off; leave the option out" in capsys.readouterr().err and not (tmp_path / "all").exists()


class Stubborn(ConvNetQuake):
    """Does something else with loud windows, which no graph can."""

    def predict_log_probability(self, batch):
        answer = super().predict_log_probability(batch)
        return answer if float(batch["waveform"].sum()) < 1e6 else None


def test_what_cannot_be_exported_is_said_in_a_line(tmp_path, capfd):
    method = build("components")
    method.__class__ = Stubborn
    with pytest.raises(UserError, match="Stubborn cannot be exported as a graph") as caught:
        write_program(method, tmp_path / "model.pt2")
    assert str(caught.value).isprintable() and not list(tmp_path.iterdir())
    said = capfd.readouterr()
    assert not said.out and not said.err  # no graph before the line


@pytest.mark.parametrize("write", [write_onnx, write_program])
def test_trees_are_no_graph(write, tmp_path, capfd):
    with pytest.raises(UserError, match="AttributeForest: trees on attributes cannot be exported as a graph"):
        write(build("trees"), tmp_path / "model")
    said = capfd.readouterr()
    assert not said.out and not said.err
