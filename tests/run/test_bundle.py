"""Model bundles: written whole or not at all, the same numbers as the checkpoint, and nothing in them is believed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from seisml.cli import main
from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.inference.export import export
from seisml.run.build import load_method, read_pretrained
from seisml.run.bundle import model_hash
from seisml.run.checkpoints import encoder_state, read_checkpoint
from seisml.run.train import train
from tests.continuous_records import make_record, make_stream, write_checkpoint
from tests.run.resuming.runs import FINETUNE, PRETRAIN, configured
from tests.stores import write_store

SPLIT = "0123456789abcdef"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A trained checkpoint with all that a run puts into it."""
    path = write_checkpoint(tmp_path_factory.mktemp("run"))
    values = torch.load(path, weights_only=True)
    values["seisml"] |= {
        "split_hash": SPLIT, "versions": {"seisml": "0.1.0", "git": None}, "run": "2020",
        "preprocessing": {"components": "ZNE", "sampling_rate": 20.0, "bandpass": [1.0, 8.0], "detrend": "linear"},
        "decision": {"noise_class": "noise", "threshold": 0.5, "f1": 0.9, "n_events": 9, "n_noise": 9},
        "seen_events": torch.tensor([5, -3, 2**60]),
    }  # fmt: skip
    values["seisml"]["facts"]["classes"] = ["noise", "rockfall", "jökulhlaup"]
    torch.save(values, path)
    return path


@pytest.fixture
def bundle(checkpoint, tmp_path):
    return export(checkpoint, tmp_path / "bundle")


def test_a_bundle_gives_the_method_back(checkpoint, bundle):
    ours, theirs = load_method(bundle), load_method(checkpoint)
    assert {file.name for file in bundle.iterdir()} == {"model.json", "weights.safetensors"}
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert ours.run_record.keys() == theirs.run_record.keys() and ours.facts == theirs.facts
    for name, value in theirs.run_record.items():
        same = torch.equal(ours.run_record[name], value) if isinstance(value, torch.Tensor) else (
            ours.run_record[name] == value)  # fmt: skip
        assert same, name
    batch = {"waveform": torch.randn(4, 3, 200), "index": torch.arange(4), "epoch": torch.zeros(4).long()}
    with torch.no_grad():
        assert torch.equal(ours.predict_log_probability(batch)[0], theirs.predict_log_probability(batch)[0])


def test_its_description_is_for_people(bundle):
    text = (bundle / "model.json").read_text(encoding="utf-8")
    about = json.loads(text)
    assert about["facts"]["classes"] == ["noise", "rockfall", "jökulhlaup"] and "jökulhlaup" in text
    assert about["split_hash"] == SPLIT and about["versions"]["seisml"] == "0.1.0"
    assert about["decision"]["threshold"] == 0.5
    assert about["preprocessing"]["bandpass"] == [1.0, 8.0] and about["facts"]["sampling_rate"] == 20.0
    assert about["config"]["model_params"]["_target_"] == "seisml.methods.convnetquake.ConvNetQuake"


def test_predict_takes_a_bundle_like_a_checkpoint(checkpoint, bundle, tmp_path, capsys):
    stream = make_stream(make_record(600, {100.0: "rockfall", 400.0: "earthquake"}, seed=4))
    stream.write(str(tmp_path / "a.mseed"), format="MSEED")
    for model, out in ((checkpoint, "one"), (bundle, "two")):
        arguments = [str(model), str(tmp_path / "a.mseed"), "--out", str(tmp_path / out), "--no-plots"]
        assert main(["predict", *arguments]) == 0
    days = [next((tmp_path / out / "days").rglob("*.mseed")).read_bytes() for out in ("one", "two")]
    assert days[0] == days[1]
    tables = [(tmp_path / out / "detections.csv").read_text().splitlines() for out in ("one", "two")]
    assert tables[0] == tables[1] and len(tables[0]) > 1


def test_the_command_and_a_bundle_of_a_bundle(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(checkpoint), "--out", "models/mine"]) == 0
    assert 'seisml.load("models/mine")' in capsys.readouterr().out
    assert main(["export", "models/mine", "--out", "copy"]) == 0
    assert model_hash("copy") == model_hash("models/mine")
    assert main(["export", str(checkpoint), "--out", "copy"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["export", "nothing.ckpt", "--out", "empty"]) == 2 and not (tmp_path / "empty").exists()


def test_the_encoder_of_a_pretraining_run_is_handed_on(tmp_path, monkeypatch, capsys):
    store = write_store(tmp_path / "store", n_events=12)
    more = ["trainer_params.max_epochs=1", "checkpoint.every_n_steps=null"]
    result = train(compose(*configured(store, PRETRAIN, tmp_path / "run", *more)), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(result.checkpoint), "--out", "models/encoder"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert "load_encoder.ckpt_fname=models/encoder" in said and "seisml.load" not in said
    named = ["load_encoder.ckpt_fname=models/encoder"]
    handed_on = read_pretrained(compose(*configured(store, FINETUNE, tmp_path, *named)))
    trained = encoder_state(read_checkpoint(result.checkpoint), result.checkpoint)
    assert trained and all(torch.equal(handed_on["state"][name], value) for name, value in trained.items())


def test_values_that_json_cannot_hold_leave_nothing_behind(checkpoint, tmp_path):
    for value in (float("inf"), {1: 2}, b"bytes", torch.zeros(1), "\ud800"):
        values = torch.load(checkpoint, weights_only=True)
        values["seisml"]["config"]["exp_params"]["odd"] = value
        torch.save(values, tmp_path / "odd.ckpt")
        with pytest.raises(UserError, match="odd") as caught:
            export(tmp_path / "odd.ckpt", tmp_path / "out")
        assert len(str(caught.value).splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["odd.ckpt"]


@pytest.mark.long
def test_a_killed_export_leaves_nothing_that_looks_like_a_bundle(checkpoint, tmp_path):
    code = (
        "import os, sys\nfrom seisml.inference import export\n"
        "write = export.write_bundle\n"
        "def stop(folder, *values):\n    write(folder, *values)\n    os.kill(os.getpid(), 9)\n"
        "export.write_bundle = stop\nexport.export(*sys.argv[1:])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(checkpoint), str(tmp_path / "out")], timeout=120)
    assert done.returncode == -9 and not (tmp_path / "out").exists()
    export(checkpoint, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]  # and what the killed one had written is gone


def break_weights(bundle):
    (bundle / "weights.safetensors").write_bytes((bundle / "weights.safetensors").read_bytes()[:-5])


def lose_weights(bundle):
    (bundle / "weights.safetensors").unlink()


def foreign_weights(bundle):
    safetensors.torch.save_file({"x": torch.zeros(3)}, bundle / "weights.safetensors")


def no_json(bundle):
    (bundle / "model.json").write_text("{")


def deep_json(bundle):
    (bundle / "model.json").write_text("[" * 200_000)


def not_a_number(bundle):
    text = (bundle / "model.json").read_text(encoding="utf-8")
    (bundle / "model.json").write_text(text.replace("20.0", "NaN"), encoding="utf-8")


def other_format(bundle):
    text = (bundle / "model.json").read_text(encoding="utf-8")
    (bundle / "model.json").write_text(text.replace("seisml model 1", "seisml model 99"), encoding="utf-8")


def a_list(bundle):
    (bundle / "model.json").write_text("[]")


def hash_of_damage(bundle):
    from hashlib import sha256

    (bundle / "weights.safetensors").write_bytes(b"\xff" * 100)
    about = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    about["weights_sha256"] = sha256(b"\xff" * 100).hexdigest()
    (bundle / "model.json").write_text(json.dumps(about))


DAMAGE = [
    break_weights, lose_weights, foreign_weights, no_json, deep_json, not_a_number, other_format, a_list, hash_of_damage
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damaged_bundles_are_one_line(bundle, damage):
    damage(bundle)
    with pytest.raises(UserError, match="bundle") as caught:
        load_method(bundle)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 500


def test_more_numbers_than_the_file_has_are_refused(checkpoint, bundle):
    about = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    about["facts"]["n_samples"] = 10**9
    about["config"]["exp_params"]["backbone_params"]["channels"] = 10**6
    (bundle / "model.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="bundle"):
        load_method(bundle)


def test_state_of_random_weights_survives(checkpoint, tmp_path):
    """Memory layouts and shared weights are the writer's matter, values are not."""
    values = torch.load(checkpoint, weights_only=True)
    name = "encoder.model.1.weight"
    values["state_dict"][name] = torch.from_numpy(np.asfortranarray(values["state_dict"][name].numpy()))
    torch.save(values, tmp_path / "odd.ckpt")
    loaded = load_method(export(tmp_path / "odd.ckpt", tmp_path / "out"))
    assert torch.equal(loaded.state_dict()[name], values["state_dict"][name])
