"""Checkpoints that mean harm: nothing they say runs, and each ends in one line."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

from seisml.cli import main
from seisml.config.launch import run
from seisml.errors import UserError
from seisml.networks import SmallResNetEncoder
from seisml.run.build import load_method
from tests.continuous_records import make_record, make_stream, write_checkpoint
from tests.stores import write_store

SMALL = [
    "dataset=store", "dataset.batch_size=8", "front_end.nperseg=64", "front_end.size=[32,64]",
    "model_params.backbone_type=SmallResNetEncoder", "trainer_params.max_epochs=1", "trainer_params.gpus=[]",
    "trainer_params.enable_progress_bar=false", "figures=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """What a small run's checkpoint holds."""
    return torch.load(write_checkpoint(tmp_path_factory.mktemp("run"), trained=False), weights_only=True)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's, which leaves a file when it is imported and when its classes are built."""
    folder = tmp_path / "packages"
    (folder / "tremor_lab").mkdir(parents=True)
    (folder / "tremor_lab" / "__init__.py").write_text(
        "from pathlib import Path\nimport torch\n"
        "Path(__file__).with_name('imported').touch()\n"
        "from seisml.networks.convnetquake import ConvNetQuakeEncoder\nfrom seisml.networks import SmallResNetEncoder\n"
        "class Net(ConvNetQuakeEncoder): pass\nclass Small(SmallResNetEncoder): pass\n"
        "from seisml.transforms import ViewAugmentation\n"
        "class Blur(ViewAugmentation):\n    def forward(self, views, random): return views\n"
        "def run(**settings): Path(__file__).with_name('called').touch()\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield folder / "tremor_lab"
    for name in [name for name in sys.modules if name.split(".")[0] == "tremor_lab"]:
        del sys.modules[name]


def changed(values, path, **settings):
    """Write the checkpoint with other values at dotted places of its record."""
    values = copy.deepcopy(values)
    for place, value in settings.items():
        *way, last = place.split("__")
        part = values["seisml"]
        for key in way:
            part = part.setdefault(key, {})
        part[last] = value
    torch.save(values, path)
    return path


def as_bundle(checkpoint, folder):
    """The same as a bundle, without what writing one checks."""
    values = torch.load(checkpoint, weights_only=True)
    weights = safetensors.torch.save({name: x.contiguous() for name, x in values["state_dict"].items()})
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    about = {"format": "seisml model 1", "weights_sha256": digest, **values["seisml"]}
    (folder / "model.json").write_text(json.dumps(about))
    return folder


ATTACKS = {
    "a function in the augmentations": {"config__augmentations": [{"os.system": {"command": "touch ran"}}]},
    "a class in the augmentations": {"config__augmentations": [{"subprocess.Popen": {"args": ["touch", "ran"]}}]},
    "an attribute of a module of ours": {"config__augmentations": [{"seisml.run.record.subprocess.Popen": {}}]},
    "an import of a module of ours": {"config__augmentations": ["seisml.run.record.Path"]},
    "the command line": {"front_end": {"_target_": "seisml.cli.main", "argv": ["--version"]}},
    "the front end": {"front_end": {"_target_": "subprocess.Popen", "args": ["touch", "ran"]}},
    "the configuration's front end": {"front_end": None, "config__front_end": {"_target_": "os.system"}},
    "the backbone": {"backbone_type": "seisml.run.record.os.system", "backbone_params": {"command": "touch ran"}},
    "the configuration's backbone": {"config__exp_params__backbone_type": "subprocess.Popen"},
    "the method": {"config__model_params": {"_target_": "subprocess.Popen", "args": ["touch", "ran"]}},
    "a module that is only imported": {"config__augmentations": ["tremor_lab.Blur"]},
    "an imported front end": {"front_end": {"_target_": "tremor_lab.Blur"}},
    "an imported backbone": {"backbone_type": "tremor_lab.Net"},
    "a name like ours": {"backbone_type": "seisml_lab.Net"},
    "a relative name": {"backbone_type": "..tremor_lab.Net"},
    "a nested class": {"config__exp_params__backbone_params": {"n_layers": {"_target_": "tremor_lab.run"}}},
    "a nested class in a list": {"config__augmentations": [{"RandomCrop": {"x": [{"_target_": "tremor_lab.run"}]}}]},
    "the environment": {"config__exp_params__noise_class": "${oc.env:HOME}"},
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nothing_that_a_checkpoint_says_is_run(honest, package, tmp_path, monkeypatch, capsys, attack):
    monkeypatch.chdir(tmp_path)
    make_stream(make_record(30, {})).write("a.mseed", format="MSEED")
    path = changed(honest, tmp_path / "evil.ckpt", **attack)
    for evil in (path, as_bundle(path, tmp_path / "evil.ckpt.bundle")):
        assert main(["predict", str(evil), "a.mseed", "--out", "out"]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line]
        assert len(lines) == 1 and "evil.ckpt" in lines[0], lines
    assert not (tmp_path / "ran").exists() and "tremor_lab" not in sys.modules
    assert {file.name for file in package.iterdir()} == {"__init__.py"}


def test_what_the_user_trusts_is_built(honest, package, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_stream(make_record(30, {})).write("a.mseed", format="MSEED")
    mine = {"backbone_type": "tremor_lab.Net", "config__augmentations": ["tremor_lab.Blur"]}
    path = changed(honest, tmp_path / "mine.ckpt", **mine)
    assert main(["predict", str(path), "a.mseed", "--out", "out"]) == 2
    assert "--trust tremor_lab" in capsys.readouterr().err
    arguments = ["predict", str(path), "a.mseed", "--out", "out", "--no-plots", "--trust"]
    assert main([*arguments, "tremor_lab"]) == 0
    assert main([*arguments, "tremor lab;"]) == 2
    evil = changed(honest, tmp_path / "evil.ckpt", config__augmentations=["tremor_lab.run"])
    assert main(["predict", str(evil), "a.mseed", "--out", "out", "--trust", "tremor_lab"]) == 2
    assert not (package / "called").exists()


def test_a_pretrained_encoder_names_no_foreign_class(package, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = write_store(tmp_path / "store", n_events=20)
    state = SmallResNetEncoder().state_dict()
    record = {"backbone_type": "tremor_lab.Small", "backbone_params": {}, "in_channels": 1}
    torch.save({"epoch": 1, "model_state_dict": state, "seisml": record}, "encoder.ckpt")
    arguments = [*SMALL, f"dataset.root={store}", "load_encoder.ckpt_fname=encoder.ckpt"]
    assert run("configs/finetune.yaml", None, arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "load_encoder.trust=[tremor_lab]" in lines[0] and "tremor_lab" not in sys.modules
    assert run("configs/finetune.yaml", None, [*arguments, "load_encoder.trust=[tremor_lab]"]) == 0
    record["front_end"] = {"_target_": "subprocess.Popen", "args": ["touch", "ran"]}
    torch.save({"epoch": 1, "model_state_dict": state, "seisml": record}, "encoder.ckpt")
    assert run("configs/finetune.yaml", None, [*arguments, "load_encoder.trust=[tremor_lab]"]) == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "override",
    ["augmentations=[{os.getpid: {}}]", "front_end._target_=os.getpid", "dataset._target_=tremor_lab.run",
     "logger._target_=tremor_lab.run", "model_params._target_=tremor_lab.run"],
)  # fmt: skip
def test_settings_build_classes_of_their_kind_alone(package, tmp_path, monkeypatch, capsys, override):
    monkeypatch.chdir(tmp_path)
    store = write_store(tmp_path / "store", n_events=20)
    assert run("configs/finetune.yaml", None, [*SMALL, f"dataset.root={store}", override]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and not (package / "called").exists(), lines


def nested(levels):
    """Lists in lists that hold each other twice: 2**levels values in a few bytes."""
    value = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


SPECTROGRAM = "seisml.transforms.spectrogram.SpectrogramFrontEnd"
MALFORMED = {
    "no facts": {"facts": None},
    "no configuration": {"config": None},
    "a list of facts": {"facts": [1, 2]},
    "an unknown fact": {"facts__colour": "red"},
    "a name that is a number": {"facts__classes": ["noise", 3, "x"]},
    "no rate": {"facts__sampling_rate": float("nan")},
    "a rate of zero": {"facts__sampling_rate": 0},
    "samples without end": {"facts__n_samples": 10**15},
    "many samples": {"facts__n_samples": 10**9, "backbone_params": {"n_layers": 5, "channels": 8, "n_samples": 10**9}},
    "half a sample": {"facts__n_samples": 200.5},
    "a weight missing": {"facts__class_weights": [1.0]},
    "no seed": {"config__seed": "now"},
    "no method": {"config__model_params": {}},
    "a method that is text": {"config__model_params": "ConvNetQuake"},
    "an unknown key": {"config__exp_params__colour": "red"},
    "channels without end": {"in_channels": 10**9},
    "many channels": {"in_channels": 4096, "backbone_params": {"n_layers": 5, "channels": 10**6, "n_samples": 200}},
    "channels beyond arithmetic": {"backbone_params": {"n_layers": 5, "channels": 10**12, "n_samples": 200}},
    "layers without end": {"backbone_params": {"n_layers": 10**9, "channels": 8, "n_samples": 200}},
    "nested arguments": {"backbone_params": {"channels": nested(3)}},
    "a bomb": {"config__exp_params__backbone_params": {"channels": nested(40)}},
    "events that are text": {"seen_events": "all"},
    "wide projections": {
        "config__model_params": {
            "_target_": "seisml.methods.self_supervised.vibcreg.VIbCReg", "backbone_type": "SmallResNetEncoder",
            "proj_hid": 10**12, "proj_out": 10**12,
        },
        "backbone_type": "SmallResNetEncoder", "backbone_params": {}, "in_channels": 1, "config__exp_params": {},
    },
    "a long window": {"front_end": {"_target_": SPECTROGRAM, "nperseg": 10**12}},
    "a large picture": {"front_end": {"_target_": SPECTROGRAM, "size": [10**6, 10**6]}},
}  # fmt: skip


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_malformed_records_are_one_line_and_take_no_memory(honest, tmp_path, change):
    path = changed(honest, tmp_path / "odd.ckpt", **change)
    tracemalloc.start()
    with pytest.raises(UserError, match="odd.ckpt") as caught:
        load_method(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000 and peak < 2**26


def test_weights_that_are_larger_than_their_file(honest, tmp_path):
    for name, odd in {
        "expanded": lambda x: torch.zeros(1, dtype=x.dtype).expand(x.shape),
        "sparse": lambda x: torch.zeros(x.shape).to_sparse(),
        "text": lambda x: "weights",
    }.items():
        values = copy.deepcopy(honest)
        values["state_dict"] = {key: odd(value) for key, value in honest["state_dict"].items()}
        torch.save(values, tmp_path / f"{name}.ckpt")
        with pytest.raises(UserError, match=f"{name}.ckpt"):
            load_method(tmp_path / f"{name}.ckpt")
    torch.save({"model_state_dict": {"x": torch.zeros(10**6)}}, tmp_path / "plain.ckpt")
    with zipfile.ZipFile(tmp_path / "plain.ckpt") as plain, zipfile.ZipFile(
        tmp_path / "packed.ckpt", "w", zipfile.ZIP_DEFLATED
    ) as packed:
        for member in plain.namelist():
            packed.writestr(member, plain.read(member))
    with pytest.raises(UserError, match="packed.ckpt is damaged"):
        load_method(tmp_path / "packed.ckpt")


VALUES = (
    None, True, -1, 0, 3, 10**6, 10**12, -(10**18), 2.5, float("nan"), float("inf"), "", "x", "os.system", "${x}",
    [], [1, "a"], {}, {"_target_": "os.system"}, {1: 2}, [[[]]], b"bytes",
)  # fmt: skip


def test_records_changed_at_random(honest, tmp_path):
    """Any change of any value: the model loads, or there is one line."""
    generator = np.random.default_rng(11)
    loaded = refused = 0
    for _ in range(150):
        values = copy.deepcopy(honest)
        for _ in range(generator.integers(1, 4)):
            part, keys = values["seisml"], list(values["seisml"])
            key = keys[generator.integers(len(keys))]
            while isinstance(part[key], dict) and part[key] and generator.random() < 0.8:
                part, keys = part[key], list(part[key])
                key = keys[generator.integers(len(keys))]
            choice = generator.integers(3)
            if choice == 0:
                del part[key]
            else:
                part[key if choice == 1 else "unknown"] = copy.deepcopy(VALUES[generator.integers(len(VALUES))])
            if not values["seisml"]:
                break
        torch.save(values, tmp_path / "odd.ckpt")
        try:
            load_method(tmp_path / "odd.ckpt")
            loaded += 1
        except UserError as error:
            assert "odd.ckpt" in str(error) and "\n" not in str(error)
            refused += 1
    assert loaded and refused > 60
