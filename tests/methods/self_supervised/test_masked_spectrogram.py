"""Masked-spectrogram modelling: what is hidden is not seen, what is seen is not asked for."""

from __future__ import annotations

import pytest
import torch

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.losses.masked_patches import masked_patch_loss
from seisml.methods.self_supervised.masked_spectrogram import MaskedSpectrogram
from seisml.run.checkpoints import encoder_state, read_checkpoint
from seisml.run.train import train
from seisml.tasks.facts import DataFacts
from seisml.transforms.patches import hide, to_patches
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from seisml.transforms.waveform import WaveformFrontEnd
from tests.stores import SAMPLING_RATE, write_store

FACTS = DataFacts((), SAMPLING_RATE, 1000)
SMALL = {"backbone_type": "SmallResNetEncoder", "patch_size": [8, 16], "decoder_hid": 32}


def build(**settings):
    torch.manual_seed(0)
    front_end = SpectrogramFrontEnd(nperseg=64, noverlap=32, size=(32, 70), floor=1e-3, sampling_rate=SAMPLING_RATE)
    return MaskedSpectrogram(**{"facts": FACTS, "front_end": front_end, **SMALL, **settings})


def pictures(n=3, channels=1):
    return torch.randn(n, channels, 32, 70, generator=torch.Generator().manual_seed(1))


def of_samples(n=3, epoch=0):
    return SampleRandom(0, epoch, torch.arange(n))


def test_patches_are_rectangles_row_after_row():
    x = torch.arange(2 * 2 * 5 * 7).reshape(2, 2, 5, 7)
    patches = to_patches(x, (2, 3))
    assert patches.shape == (2, 4, 12)
    for sample in range(2):
        for number, (row, column) in enumerate([(0, 0), (0, 3), (2, 0), (2, 3)]):
            expected = x[sample, :, row : row + 2, column : column + 3].flatten()
            assert torch.equal(patches[sample, number], expected)


def test_what_is_hidden_does_not_reach_the_encoder():
    method, x = build(in_channels=2), pictures(channels=2)
    hidden = method.hidden(x, of_samples())
    assert hidden.shape == (3, round(0.6 * 16)) and all(len(set(row.tolist())) == len(row) for row in hidden)
    covered = hide(x, hidden, method.patch_size)
    is_hidden = torch.zeros(3, 16, dtype=torch.bool).scatter(1, hidden, True)
    flat = to_patches(covered, method.patch_size)
    assert torch.equal(flat[~is_hidden], to_patches(x, method.patch_size)[~is_hidden])
    assert torch.equal(covered[..., 64:], x[..., 64:])  # six columns that make no patch
    others = torch.zeros_like(x)
    others[..., :64] = torch.where(
        is_hidden.unflatten(1, (4, 4)).repeat_interleave(8, 1).repeat_interleave(16, 2)[:, None], 1e3, x[..., :64]
    )
    others[..., 64:] = x[..., 64:]
    torch.testing.assert_close(hide(others, hidden, method.patch_size), covered)


def test_what_is_seen_is_not_in_the_loss():
    """The loss is that of the hidden patches, whatever the visible ones are, given what the network answers."""
    method, x = build(), pictures()
    answered = []
    method.decoder.register_forward_hook(lambda _, inputs, out: answered.append((inputs[1], out.detach())))
    loss, constant = method.losses(x, of_samples())
    (hidden, prediction), patches = answered[0], to_patches(x, method.patch_size)
    target = torch.stack([patches[sample, hidden[sample]] for sample in range(3)])
    torch.testing.assert_close(loss, masked_patch_loss(prediction, target))
    torch.testing.assert_close(constant, torch.ones(3), rtol=1e-3, atol=0)


def test_what_is_hidden_follows_the_sample():
    method, x = build(), pictures(4)
    first, again, later = (method.hidden(x, of_samples(4, epoch)) for epoch in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, later)
    alone = method.hidden(x[:1], SampleRandom(0, 0, torch.tensor([2])))
    assert torch.equal(alone[0], first[2]) and not torch.equal(first[0], first[1])


def test_places_tell_patches_apart():
    method = build()
    number = torch.arange(16)[None]
    answers = method.decoder(torch.randn(1, 128), number, (4, 4))[0]
    assert torch.cdist(answers, answers).add(torch.eye(16)).min() > 1e-3


@pytest.mark.parametrize(
    ("settings", "x", "words"),
    [
        ({"patch_size": [8]}, None, "patch_size: .* is not a number of frequencies and one of columns"),
        ({"patch_size": [32, 64]}, pictures(), "pictures of 32 x 70 have 1 patches of 32 x 64; lower it"),
        ({"front_end": WaveformFrontEnd()}, torch.zeros(2, 1, 1000), "pictures of 1000 have 0 .*=spectrogram"),
    ],
)
def test_what_cannot_be_hidden_is_a_line(settings, x, words):
    with pytest.raises(UserError, match=words):
        build(**settings).hidden(x, of_samples())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_it_learns_and_its_encoder_is_fine_tuned(tmp_path, precision, capsys):
    root = write_store(tmp_path / "store", n_events=40, unlabelled=8)
    common = [
        "dataset=store", f"dataset.root={root}", "dataset.batch_size=8", "dataset.split_procedure=fixed_test",
        "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]", "figures=false", "~logger",
        "+trainer_params.enable_progress_bar=false", "trainer_params.gpus=[]", f"encoder_folder={tmp_path}/encoders",
        f"trainer_params.precision={precision}",
    ]  # fmt: skip
    small = ["model_params.backbone_type=SmallResNetEncoder", "model_params.patch_size=[16,16]"]
    settings = ["model_params=masked_spectrogram", *small, "trainer_params.max_epochs=3"]
    metrics = train(compose("configs/ssl.yaml", [*common, *settings]), tmp_path / "run").metrics
    assert 0 < metrics["train/loss"] < 1 and metrics["learned"] == (metrics["train/loss"] < 0.98)
    assert metrics["train/explained"] == pytest.approx(1 - metrics["train/loss"], abs=0.02)
    assert metrics["chance"] == {"train/explained": 0.0}
    assert {"probe/knn_acc", "collapse/feature_std"} <= set(metrics)
    (encoder,) = (tmp_path / "encoders").iterdir()
    assert all(name.startswith("model.") for name in encoder_state(read_checkpoint(encoder), encoder))
    tuned = [*common, "load_encoder.backbone_type=SmallResNetEncoder", "trainer_params.max_epochs=1"]
    tuned += [f"load_encoder.ckpt_fname={encoder}", "exp_params.model_save_ep_period=-1"]
    assert train(compose("configs/finetune.yaml", tuned), tmp_path / "tuned").metrics["test/n"] == 8
    capsys.readouterr()
    still = train(compose("configs/ssl.yaml", [*common, *settings, "exp_params.LR=1e-12"]), tmp_path / "still")
    assert not still.metrics["learned"] and "an answer that ignores its input gives 1" in capsys.readouterr().out
