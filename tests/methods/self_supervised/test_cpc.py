"""CPC: what its loss is made of, what it learns, and what is left of it for fine-tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.datasets.lanl.data_module import LanlDataModule
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.errors import UserError
from seisml.losses.infonce import infonce_loss
from seisml.methods.self_supervised.cpc import CPC
from seisml.run.build import load_method
from seisml.run.train import train
from seisml.store.writer import StoreWriter
from seisml.tasks.facts import DataFacts, Quantity
from seisml.tasks.next_piece import NextPiece
from seisml.transforms.waveform import WaveformFrontEnd
from tests.stores import SAMPLING_RATE

K, PIECE = 5, 40
QUANTITY = Quantity("time_to_failure_s", "s", 2.0, 1.0, 2.0, 0.0, 4.0)
FACTS = DataFacts((), SAMPLING_RATE, K * PIECE, (), QUANTITY, K)
SMALL = {"channels": [8, 16], "kernel_size": 4, "stride": [2, 2], "dilation": 1, "context_size": 16}
QUIET = ["trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1"]


def cpc(facts: DataFacts = FACTS, **kwargs) -> CPC:
    torch.manual_seed(0)
    method = CPC(facts=facts, front_end=WaveformFrontEnd(), **{"backbone_params": dict(SMALL), **kwargs})
    method.logged = {}
    method.log_dict = lambda values, **_: method.logged.update(values)
    return method


def batch(n: int = 6, traces: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "waveform": torch.randn(n, traces, K * PIECE, generator=generator),
        "piece_label": 4 * torch.rand(n, K, generator=generator),
        "index": torch.arange(n), "start": torch.zeros(n).long(), "epoch": torch.zeros(n).long(),
    }  # fmt: skip


def write_records(folder: Path, ordered: bool, n_records: int = 3, n_samples: int = 24_000) -> Path:
    """Continuous noise of three components; ordered, its loudness goes up and down slowly, so that neighbours agree."""
    generator, time = np.random.default_rng(0), np.arange(n_samples)
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number in range(n_records):
            noise = generator.standard_normal((3, n_samples))
            loudness = np.exp(3 * np.sin(2 * np.pi * time / 500 + number)) if ordered else 1.0
            row = {"trace_sampling_rate_hz": SAMPLING_RATE, "source_id": f"station{number}"}
            writer.add((loudness * noise).astype(np.float32), row)
    return folder


def run(folder: Path, *changes: str, config: str = "configs/ssl.yaml"):
    return train(compose(config, [*QUIET, *changes]), folder)


def on_store(root: Path, *changes: str) -> list[str]:
    """Words for CPC on a store of long records: windows of 2 s in five pieces, one record tests."""
    sizes = "{channels: [8, 16], kernel_size: 4, stride: 2, dilation: 1, context_size: 16}"
    return [
        "model_params=cpc", f"model_params.backbone_params={sizes}", "dataset=store", f"dataset.root={root}",
        "dataset.window_length=2",
        "dataset.n_pieces=5", "dataset.batch_size=32", "front_end=standardized", "front_end.mean=0", "front_end.std=1",
        "dataset.split_procedure=fixed_test", "dataset.test_data_ratio=0.3", "dataset.train_data_ratio=0.6",
        "exp_params.LR=5e-3", "figures=false", *changes,
    ]  # fmt: skip


# -- the loss ----------------------------------------------------------------------------------------------------------
def test_the_loss_is_infonce_of_contexts_and_next_pieces() -> None:
    method, x = cpc(), batch()
    loss = method.training_step(x, 0)
    z, c = method.encoder.sequences(method.front_end(x["waveform"]))
    torch.testing.assert_close(loss, infonce_loss(c, z))
    picked = torch.einsum("bkd,bjd->bkj", c[:, :-1], z[:, 1:]).argmax(-1)
    accuracy = (picked == torch.arange(K - 1)).float().mean()
    torch.testing.assert_close(method.logged["train/next_piece_acc"], accuracy)
    assert method.logged["train/next_piece_acc_chance"].item() == pytest.approx(1 / (K - 1))
    assert method.constant_losses(torch.zeros(3)) == {"train/infonce": pytest.approx(np.log(K - 1))}
    method = cpc(foresight=True)
    torch.testing.assert_close(method.training_step(x, 0), infonce_loss(c, z, foresight=True))
    assert method.constant_losses(torch.zeros(3))["train/infonce"] == pytest.approx(np.log(24) / 3)


def test_a_linear_map_of_the_context() -> None:
    sizes = SMALL | {"context_size": 7}
    with pytest.raises(UserError, match="linear_map: contexts have 7 features and pieces 16"):
        cpc(backbone_params=sizes)
    method, x = cpc(backbone_params=sizes, linear_map=True), batch()
    z, c = method.encoder.sequences(method.front_end(x["waveform"]))
    torch.testing.assert_close(method.training_step(x, 0), infonce_loss(c @ method.predictor.weight.T, z))


def test_every_drawn_trace_is_a_sequence() -> None:
    method, x = cpc(), batch(traces=2)
    halves = [method.training_step(x | {"waveform": x["waveform"][:, k : k + 1]}, 0) for k in range(2)]
    torch.testing.assert_close(method.training_step(x, 0), sum(halves) / 2)


def test_the_head_learns_the_number_of_each_piece() -> None:
    method, x = cpc(target_weight=0.05, n_bins=4), batch()
    loss = method.training_step(x, 0)
    z, c = method.encoder.sequences(method.front_end(x["waveform"]))
    score = method.target_head(c).flatten(0, 1)  # (B * K, 4)
    entropy = F.cross_entropy(score, x["piece_label"].flatten().long())  # bins of 1 s from 0 to 4
    torch.testing.assert_close(loss, infonce_loss(c, z) + 0.05 * entropy)
    torch.testing.assert_close(method.logged["train/target_loss"], entropy)
    error = (score.argmax(-1) + 0.5 - x["piece_label"].flatten()).abs().mean()
    torch.testing.assert_close(method.logged["train/mae"], error)
    x["piece_label"][:, 1:] = torch.nan  # pieces without a number teach the head nothing
    method.training_step(x, 0)
    first = F.cross_entropy(method.target_head(c[:, 0]), x["piece_label"][:, 0].long())
    torch.testing.assert_close(method.logged["train/target_loss"], first)


def test_what_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(UserError, match="dataset.n_pieces: .* 3 or more, not 2"):
        cpc(DataFacts((), SAMPLING_RATE, 80, n_pieces=2))
    with pytest.raises(UserError, match="exp_params.target_weight: there are no numbers"):
        cpc(DataFacts((), SAMPLING_RATE, K * PIECE, n_pieces=K), target_weight=0.05)
    with pytest.raises(UserError, match="DilatedConvNetEncoder does not give; take ContextEncoder"):
        cpc(backbone_type="DilatedConvNetEncoder", backbone_params={})
    with pytest.raises(UserError, match="knn_acc_record_ep_period: .* set -1"):
        cpc(knn_acc_record_ep_period=1)


# -- data --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def lanl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lanl") / "demo.h5"
    prepare_lanl_demo(path, n_cycles=7, scale=500)
    return path


def test_pieces_of_the_lanl_record_carry_their_own_times_to_failure(lanl: Path) -> None:
    data = LanlDataModule(str(lanl), is_ssl=True, n_views=1, n_pieces=10, label_column="time_to_failure_s")
    data.task = NextPiece()
    data.setup()
    assert (data.facts.n_samples, data.facts.n_pieces, data.facts.quantity.unit) == (3000, 10, "s")
    x = next(iter(data.train_dataloader()))
    assert x["waveform"].shape[1:] == (1, 3000) and x["piece_label"].shape[1:] == (10,)
    for k in range(10):
        ends = x["start"].numpy() + 300 * (k + 1) - 1
        np.testing.assert_array_equal(x["piece_label"][:, k], data.store.time_to_failure(x["index"].numpy(), ends))
    torch.testing.assert_close(x["piece_label"][:, -1], x["label"])


def test_windows_and_views_that_do_not_fit(tmp_path: Path) -> None:
    root = write_records(tmp_path / "store", ordered=False, n_samples=1000)
    with pytest.raises(UserError, match="windows of 200 samples do not part into 7 equal pieces; .* windows of 196"):
        StoreDataModule(str(root), is_ssl=True, window_length=2, n_pieces=7).setup()
    with pytest.raises(UserError, match="n_views is 1; set it to 2"):
        StoreDataModule(str(root), is_ssl=True, window_length=2, n_views=1, view_jitter=0.1)


# -- runs --------------------------------------------------------------------------------------------------------------
def test_neighbours_that_agree_are_found_on_a_record_that_was_not_trained_on(tmp_path: Path) -> None:
    root = write_records(tmp_path / "store", ordered=True)
    changes = on_store(root, "trainer_params.max_epochs=5", "exp_params.foresight=true")
    metrics = run(tmp_path / "run", *changes).metrics
    assert metrics["test/next_piece_acc_chance"] == 1 / 4 and metrics["test/next_piece_acc_interval"][0] > 0.3
    assert metrics["test/foresight_acc_interval"][0] > metrics["test/foresight_acc_chance"] + 0.1
    assert metrics["learned"] is True
    again = run(tmp_path / "again", *changes).metrics
    assert again["train/infonce"] == metrics["train/infonce"]  # nothing is drawn but from keys


@pytest.mark.parametrize("foresight", [False, True])
def test_noise_cannot_be_foreseen_and_the_run_says_so(tmp_path: Path, capsys, foresight: bool) -> None:
    """With the published negatives pieces that have been are known again, which lifts the accuracy all the same."""
    root = write_records(tmp_path / "store", ordered=False)
    changes = on_store(root, "trainer_params.max_epochs=6", f"exp_params.foresight={foresight}")
    metrics = run(tmp_path / "run", *changes).metrics
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "by chance" in line]
    assert metrics["test/foresight_acc"] == pytest.approx(13 / 36, abs=0.05) and metrics["learned"] is not foresight
    if foresight:
        assert said.startswith("Warning: the next piece is picked no better than by chance: next_piece_acc 0.2")
    else:
        assert metrics["test/next_piece_acc_interval"][0] > 0.28
        assert said.startswith("Warning: among the pieces still to come the next one is picked no better than")


def test_a_learnt_context_is_fine_tuned_frozen_or_started_afresh(lanl: Path, tmp_path: Path) -> None:
    small = "model_params.backbone_params={channels: [8, 16], kernel_size: 8, stride: 4, dilation: 1, context_size: 16}"
    two = ["trainer_params.limit_train_batches=2", "trainer_params.limit_val_batches=2"]
    lean = [f"dataset.root={lanl}", small, "trainer_params.max_epochs=1", "figures=false", *two]
    learnt = run(tmp_path / "cpc", "+experiment=lanl_cpc", "exp_params.target_weight=0.05", *lean)
    assert {"train/target_loss", "train/mae", "dev/mae", "dev/next_piece_acc"} <= set(learnt.metrics)
    method = load_method(learnt.checkpoint)
    assert method.encoder_settings()["backbone_params"]["piece_samples"] == 300
    tune = ["+experiment=lanl_cpc_finetune", f"load_encoder.ckpt_fname={learnt.checkpoint}", *lean]
    frozen = run(tmp_path / "frozen", *tune, "exp_params.freeze_encoders=true", config="configs/finetune.yaml")
    kept = load_method(frozen.checkpoint).encoder.state_dict()
    for name, value in method.encoder.state_dict().items():
        torch.testing.assert_close(kept[name], value, rtol=0, atol=0)
    # windows of one piece, as the contest's segments are
    one = run(tmp_path / "one", *tune, "dataset.n_pieces=1", config="configs/finetune.yaml")
    tuned = load_method(one.checkpoint)
    assert tuned.facts.n_samples == 300 and not torch.equal(tuned.encoder.gru.weight_ih_l0, kept["gru.weight_ih_l0"])
    scratch = run(tmp_path / "scratch", *tune[:1], *lean, config="configs/finetune.yaml")
    assert load_method(scratch.checkpoint).encoder_settings() == method.encoder_settings()
    value = run(tmp_path / "value", *tune[:1], *lean, "model_params=regression", config="configs/finetune.yaml")
    for result in (frozen, one, scratch, value):
        assert np.isfinite(result.metrics["test/mae"]) and result.metrics["test/constant_mae"] > 0
