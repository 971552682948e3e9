from __future__ import annotations

import pickle

import pytest
import torch

from seisml.errors import UserError
from seisml.networks import ResNet18Encoder, SmallResNetEncoder
from seisml.run.checkpoints import atomic_save, encoder_state, load_weights, read_checkpoint


def test_published_encoders_load(tmp_path):
    """The published files: {"epoch", "model_state_dict"} with keys such as model.conv1.weight."""
    published = ResNet18Encoder()
    torch.save({"epoch": 99, "model_state_dict": published.state_dict()}, tmp_path / "published.ckpt")
    values = read_checkpoint(tmp_path / "published.ckpt")
    assert "model.conv1.weight" in values["model_state_dict"]
    encoder = ResNet18Encoder()
    load_weights(encoder, encoder_state(values, "published.ckpt"), "published.ckpt")
    picture = torch.randn(2, 1, 32, 64)
    torch.testing.assert_close(encoder.eval()(picture), published.eval()(picture))


def test_encoders_are_found_in_other_layouts():
    state = SmallResNetEncoder().state_dict()
    whole = {"state_dict": {f"encoder.{k}": v for k, v in state.items()} | {"classifier.weight": torch.zeros(2, 2)}}
    assert set(encoder_state(whole, "x")) == set(encoder_state(state, "x")) == set(state)


def test_missing_file_names_the_nearest(tmp_path):
    torch.save({}, tmp_path / "VNIbCReg-ep300.ckpt")
    with pytest.raises(UserError, match="is a folder; name a file in it .VNIbCReg-ep300.ckpt"):
        read_checkpoint(tmp_path)
    with pytest.raises(UserError, match="VNIbCReg-ep30.ckpt does not exist; did you mean 'VNIbCReg-ep300.ckpt'"):
        read_checkpoint(tmp_path / "VNIbCReg-ep30.ckpt")


def test_truncated_and_empty_files(tmp_path):
    torch.save(ResNet18Encoder().state_dict(), tmp_path / "whole.ckpt")
    data = (tmp_path / "whole.ckpt").read_bytes()
    for size in (0, 100, len(data) // 2):
        (tmp_path / "cut.ckpt").write_bytes(data[:size])
        with pytest.raises(UserError, match="cut.ckpt.*(damaged|not a file)"):
            read_checkpoint(tmp_path / "cut.ckpt")


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_foreign_pickles_are_not_unpickled(tmp_path):
    torch.save({"model": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="not unpickled"):
        read_checkpoint(tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match=r"plain.ckpt"):
        read_checkpoint(tmp_path / "plain.ckpt")


def test_a_checkpoint_without_encoder_says_what_it_has(tmp_path):
    with pytest.raises(UserError, match="holds no encoder.*it has optimizer"):
        encoder_state({"optimizer": 3}, tmp_path / "x.ckpt")


def test_weights_of_another_network_are_named():
    small = SmallResNetEncoder()
    with pytest.raises(UserError, match="does not fit SmallResNetEncoder.*backbone_type"):
        load_weights(small, ResNet18Encoder().state_dict(), "x.ckpt")
    wide = SmallResNetEncoder(widths=(32, 64, 128, 256)).state_dict()
    with pytest.raises(UserError, match=r"model.conv1.weight has shape \(32, 1, .*not \(16, 1"):
        load_weights(small, {name: wide[name] for name in reversed(sorted(wide))}, "x.ckpt")


def test_saving_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "encoder.ckpt"
    atomic_save({"epoch": 1}, path)

    def die(values, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", die)
    with pytest.raises(KeyboardInterrupt):
        atomic_save({"epoch": 2}, path)
    assert read_checkpoint(path) == {"epoch": 1} and [file.name for file in path.parent.iterdir()] == ["encoder.ckpt"]
