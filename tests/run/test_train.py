from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.checkpoints import read_checkpoint
from seisml.run.provenance import run_name
from seisml.run.results import RunResult
from seisml.run.train import train
from seisml.waveforms.preprocessing import Preprocessing
from tests.stores import write_network, write_store

SMALL = [
    "dataset=store",
    "model_params.backbone_type=SmallResNetEncoder",
    "dataset.batch_size=8",
    "dataset.split_procedure=fixed_test",
    "front_end.nperseg=64",
    "front_end.noverlap=32",
    "front_end.size=[32,64]",
    "trainer_params.gpus=[]",
    "+trainer_params.enable_progress_bar=false",
    "exp_params.model_save_ep_period=-1",
]
PRETRAIN = [
    *SMALL,
    "model_params.proj_hid=64",
    "model_params.proj_out=64",
    "augmentations=[{NeighboringCrop:{width:0.18}},RandomAmplitudeJitter,ToTensor]",
    "trainer_params.max_epochs=2",
    "exp_params.model_save_ep_period=1",
]


FIGURES = {"loss_curves", "confusion_matrix", "embedding_map", "gallery", "calibration", "precision_recall"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("training") / "store", n_events=40, unlabelled=8)


@pytest.fixture(scope="module")
def pretrained(store, tmp_path_factory):
    """A pretraining run: its folder, its metrics, and the encoders it saved."""
    folder = tmp_path_factory.mktemp("runs") / "2026-01-01_12-00-00_abcdef"
    encoders = folder.parent / "checkpoints"
    overrides = [*PRETRAIN, f"dataset.root={store}", f"encoder_folder={encoders}"]
    result = train(compose("configs/ssl.yaml", overrides), folder)
    assert result.encoder == max(encoders.iterdir()) and result.checkpoint == folder / "checkpoints" / "last.ckpt"
    return folder, result.metrics, sorted(encoders.iterdir())


def finetune(store, folder, *overrides):
    return train(
        compose("configs/finetune.yaml", [*SMALL, f"dataset.root={store}", "trainer_params.max_epochs=8", *overrides]),
        folder,
    ).metrics


def test_a_pretraining_run_leaves_all_its_parts(pretrained):
    folder, metrics, encoders = pretrained
    assert {file.name for file in folder.iterdir()} >= {"config.yaml", "metrics.json", "split.csv", "checkpoints"}
    assert {file.stem for file in (folder / "figures").iterdir()} - {"false_predictions"} == FIGURES
    written = json.loads((folder / "metrics.json").read_text())
    assert written["split_hash"] == metrics["split_hash"] and len(metrics["split_hash"]) == 64
    assert {"test/acc", "test/f1_macro", "test/per_class", "test/confusion_matrix"} <= set(written)
    assert {"versions", "seconds", "probe/knn_acc", "collapse/effective_rank"} <= set(written)
    assert [path.name for path in encoders] == [
        f"VNIbCReg-2026-01-01_12-00-00_abcdef-ep{epoch}.ckpt" for epoch in (1, 2)
    ]
    split = pd.read_csv(folder / "split.csv")
    assert set(split["part"]) == {"train", "test"} and (split["trace_category"] == "Unlabeled").sum() == 8


def test_encoders_carry_what_they_need(pretrained):
    values = read_checkpoint(pretrained[2][-1])
    assert values["epoch"] == 2 and "model.conv1.weight" in values["model_state_dict"]
    record = values["seisml"]
    assert record["backbone_type"] == "SmallResNetEncoder" and record["facts"]["sampling_rate"] == 100.0
    assert Preprocessing.from_dict(record["preprocessing"], "here") == Preprocessing(unit="counts", known=False)
    assert len(record["seen_events"]) == 32 + 8 and record["seen_events"].dtype == torch.int64
    assert torch.isfinite(record["front_end_state"]["floor"])


@pytest.mark.parametrize("which", ["encoder", "run"])
def test_linear_evaluation_keeps_the_encoder_and_its_front_end(pretrained, store, tmp_path, which, capsys):
    folder, _, encoders = pretrained
    path = encoders[-1] if which == "encoder" else folder / "checkpoints" / "last.ckpt"
    metrics = finetune(
        store, tmp_path / "run", f"load_encoder.ckpt_fname={path}", "exp_params.freeze_encoders=true",
        "front_end.nperseg=32", "model_params.backbone_type=ResNet18Encoder", "model_params.in_channels=3",
        "figures=false",
    )  # fmt: skip
    assert metrics["pretrained"]["test_events_seen"]["seen"] == 0  # the fixed test part stays out of pretraining
    said = capsys.readouterr().out
    assert "seen 0 of the 8 test events" in said
    (line,) = [line for line in said.splitlines() if "overrules the configuration" in line]
    assert str(path) in line and "front_end.nperseg 64 (not 32)" in line
    assert "model_params.in_channels 1 (not 3)" in line
    assert "model_params.backbone_type SmallResNetEncoder (not ResNet18Encoder)" in line
    written = OmegaConf.load(tmp_path / "run" / "config.yaml")
    assert (written.front_end.nperseg, list(written.front_end.size)) == (64, [32, 64])
    assert written.model_params.backbone_type == "SmallResNetEncoder" and written.dataset.in_channels == 1
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["seisml"]["config"] == written
    method = load_method(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert method.front_end.nperseg == 64
    loaded, saved = method.encoder.state_dict(), read_checkpoint(encoders[-1])
    assert all(torch.equal(loaded[name], value) for name, value in saved["model_state_dict"].items())
    assert torch.equal(method.front_end.floor, saved["seisml"]["front_end_state"]["floor"])


def test_one_class_is_neither_probed_nor_tested(tmp_path, capsys):
    """Whatever the encoder, all neighbours would be right."""
    root = write_store(tmp_path / "store", classes=("earthquake",), n_events=24, unlabelled=8)
    overrides = [*PRETRAIN, f"dataset.root={root}", f"encoder_folder={tmp_path}", "trainer_params.max_epochs=1"]
    metrics = train(compose("configs/ssl.yaml", overrides), tmp_path / "run").metrics
    assert not [name for name in metrics if name.startswith(("probe/", "test/"))] and "train/loss" in metrics
    said = capsys.readouterr().out
    assert said.count("1 class (earthquake), so that no probe or test can tell classes apart") == 1
    assert "test/acc" not in said and not (tmp_path / "run" / "predictions.csv").exists()


def test_fine_tuning_learns_and_its_checkpoint_predicts_alone(pretrained, store, tmp_path):
    metrics = finetune(store, tmp_path / "run", f"load_encoder.ckpt_fname={pretrained[2][-1]}", "figures=false")
    assert metrics["test/acc"] >= 0.9  # tones of 5 and 20 Hz: chance is 0.5
    assert metrics["test/constant_acc"] == 0.5 and metrics["train/constant_loss"] == pytest.approx(math.log(2))
    assert metrics["learned"] is True
    method = load_method(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert method.facts.classes == ("a", "b") and method.run_record["config"]["seed"] == 0
    tone = torch.sin(2 * torch.pi * 20 * torch.arange(1000) / 100) * torch.exp(-((torch.arange(1000) / 100 - 3) ** 2))
    waveform = 20 * tone + torch.randn(4, 3, 1000, generator=torch.Generator().manual_seed(5))
    number = torch.zeros(4, dtype=torch.int64)
    with torch.no_grad():
        log_probability, _ = method.predict_log_probability({"waveform": waveform, "index": number, "epoch": number})
    assert log_probability.argmax(-1).tolist() == [1] * 4


def test_predictions_are_written_as_they_were_scored(store, tmp_path):
    """Cells that a spreadsheet would compute are text; the file gives the metrics again."""
    formula = write_store(tmp_path / "store", classes=("=1+1", "b"))
    metrics = finetune(formula, tmp_path / "run", "figures=false", "trainer_params.max_epochs=2")
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert list(table) == [
        "record", "file", "event", "start_s", "true", "predicted", "probability_=1+1", "probability_b"
    ]  # fmt: skip
    assert len(table) == 8 and set(table["true"]) == {"'=1+1", "b"} and set(table["start_s"]) == {0.0}
    assert (table["true"] == table["predicted"]).mean() == metrics["test/acc"]
    assert table.filter(like="probability_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    split = pd.read_csv(tmp_path / "run" / "split.csv").query("part == 'test'")
    assert table["record"].tolist() == split["trace_name"].tolist() and set(table["event"]) == set(split["source_id"])


def test_the_report_has_intervals_and_training_beside_test(store, tmp_path, capsys):
    metrics = finetune(store, tmp_path / "run", "figures=false")
    said = capsys.readouterr().out
    assert "Test: 8 predictions for 8 events; in brackets 95 % intervals" in said
    (line,) = [line for line in said.splitlines() if line.startswith("accuracy")]
    low, high = metrics["test/acc_interval"]
    assert f"{metrics['test/acc']:.3g} [{low:.3g}, {high:.3g}]" in line and f"{metrics['trained/acc']:.3f}" in line
    assert metrics["trained/n"] == 8 and metrics["trained/acc"] >= 0.9  # as many as are tested
    assert metrics["test/n_events"] == 8 and low <= metrics["test/acc"] <= high
    assert "expected calibration error" in said and [line for line in said.splitlines() if line.startswith("class ")]
    # 32 training events: 4 batches of 8 in each of 8 epochs; from scratch the encoder takes the classifier's rate
    assert said.count("Training: 32 steps of 8 samples; learning rates as set: 0.001\n") == 1
    assert "\nfigures " not in said and "\nencoder " in said  # none were drawn


def test_the_same_seed_gives_the_same_run(store, tmp_path):
    runs = [finetune(store, tmp_path / name, "figures=false", "trainer_params.max_epochs=2") for name in ("a", "b")]
    first, second = (
        read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"] for name in ("a", "b")
    )
    assert runs[0]["split_hash"] == runs[1]["split_hash"]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_dev_part_chooses_the_model(store, tmp_path, capsys):
    metrics = finetune(store, tmp_path / "run", "dataset.dev_data_ratio=0.25", "figures=false")
    assert {"dev/loss", "dev/acc"} <= set(metrics) and metrics["records"]["dev"] == 8
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file() and "best.ckpt" in capsys.readouterr().out


def test_the_threshold_of_the_dev_part_travels_in_the_checkpoint(tmp_path, capsys):
    """Chosen on the dev part and scored on the test part; the last state's weights have none."""
    root = write_store(tmp_path / "store", classes=("noise", "tone"), n_events=60)
    metrics = finetune(root, tmp_path / "run", "dataset.dev_data_ratio=0.25", "figures=false")
    saved = read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")["seisml"]["decision"]
    assert saved == metrics["decision"] and 0 < saved["threshold"] <= 1 and saved["noise_class"] == "noise"
    assert saved["n_events"] + saved["n_noise"] == metrics["records"]["dev"]
    assert "decision" not in read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["seisml"]
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    called = table["probability_tone"] >= saved["threshold"]
    assert metrics["test/decision"]["recall"] == pytest.approx(called[table["true"] == "tone"].mean())
    assert "Threshold" in capsys.readouterr().out
    assert load_method(tmp_path / "run" / "checkpoints" / "best.ckpt").run_record["decision"] == saved


def test_a_training_that_does_not_learn_says_so(store, tmp_path, capsys):
    metrics = finetune(store, tmp_path / "run", "exp_params.LR.clf=1e-12", "trainer_params.max_epochs=1")
    assert metrics["learned"] is False and metrics["train/loss"] == pytest.approx(math.log(2), abs=0.05)
    said = capsys.readouterr().out
    assert said.count("Warning: the training did not learn: train/loss ended at") == 1


def test_a_falling_penalty_does_not_hide_a_stuck_cross_entropy(store, tmp_path):
    cfg = compose(
        "configs/finetune.yaml",
        ["dataset=store", f"dataset.root={store}", "front_end=waveform", "model_params=convnetquake",
         "load_encoder.backbone_type=ConvNetQuakeEncoder", "model_params.in_channels=3", "exp_params.noise_class=a",
         "exp_params.l2=100", "exp_params.LR=1e-2", "exp_params.use_class_weight=false", "dataset.batch_size=8",
         "trainer_params.max_epochs=6", "trainer_params.gpus=[]", "figures=false", "logger=csv",
         "exp_params.model_save_ep_period=-1",
         "+trainer_params.enable_progress_bar=false", "dataset.split_procedure=fixed_test"],
    )  # fmt: skip
    metrics = train(cfg, tmp_path / "run").metrics
    penalty = pd.read_csv(tmp_path / "run" / "metrics.csv")["train/l2"].dropna()
    assert penalty.iloc[-1] < 0.5 * penalty.iloc[0]  # nothing but the weights is learnt to be small
    assert metrics["train/loss"] == pytest.approx(math.log(2), abs=0.02) and metrics["learned"] is False


def test_the_result_of_a_run_can_be_read_again(store, tmp_path):
    cfg = compose("configs/finetune.yaml", [*SMALL, f"dataset.root={store}", "trainer_params.max_epochs=1"])
    made = train(cfg, tmp_path / "run")
    assert set(made.figures) - {"false_predictions"} == FIGURES
    assert ("false_predictions" in made.figures) == (made.metrics["test/acc"] < 1)
    (tmp_path / "run").rename(tmp_path / "moved")
    read = RunResult.read(tmp_path / "moved")
    assert read.metrics == json.loads(json.dumps(made.metrics)) and set(read.figures) == set(made.figures)
    assert read.checkpoint == read.encoder == tmp_path / "moved" / "checkpoints" / "last.ckpt"


def test_the_floor_names_a_cure_that_works(store, pretrained, tmp_path, capsys):
    quiet = write_store(tmp_path / "quiet", scale=1e-6)
    finetune(quiet, tmp_path / "a", "front_end.floor=1.0", "figures=false", "trainer_params.max_epochs=1")
    assert "set front_end.floor=auto" in capsys.readouterr().out
    load = f"load_encoder.ckpt_fname={pretrained[2][-1]}"
    finetune(quiet, tmp_path / "b", load, "figures=false", "trainer_params.max_epochs=1")
    said = capsys.readouterr().out
    assert "pretrain an encoder on records like these" in said and "normalize=std" not in said


def test_original_implementation_stacks_the_traces(store, tmp_path):
    cfg = compose(
        "original_implementation/config.yaml",
        ["dataset=store", f"dataset.root={store}", "dataset.batch_size=8", "backbone_with_clf_type=ResNet18",
         "front_end.size=[32,64]", "trainer_params.max_epochs=1", "trainer_params.gpus=[]", "figures=false",
         f"encoder_folder={tmp_path / 'encoders'}"],
    )  # fmt: skip
    metrics = train(cfg, tmp_path / "run").metrics
    assert metrics["test/n"] == 8
    load_method(tmp_path / "run" / "checkpoints" / "last.ckpt")


def test_overlap_with_pretraining_is_reported(pretrained, store, tmp_path, capsys):
    """The published split with another ratio tests on events that pretraining saw; it is said and written."""
    metrics = finetune(
        store, tmp_path / "run", "dataset.split_procedure=published", "dataset.train_data_ratio=0.4", "figures=false",
        "trainer_params.max_epochs=1", f"load_encoder.ckpt_fname={pretrained[2][-1]}",
    )  # fmt: skip
    seen = metrics["pretrained"]["test_events_seen"]
    assert 0 < seen["seen"] <= seen["events"] == 8
    assert f"seen {seen['seen']} of the 8 test events" in capsys.readouterr().out


def test_an_encoder_of_unknown_history_stays_so(pretrained, store, tmp_path, capsys):
    """Fine-tuning a published encoder must not make a later run report that nothing was seen."""
    state = read_checkpoint(pretrained[2][-1])["model_state_dict"]
    torch.save({"epoch": 9, "model_state_dict": state}, tmp_path / "published.ckpt")
    overrides = ["figures=false", "trainer_params.max_epochs=1"]
    finetune(store, tmp_path / "a", f"load_encoder.ckpt_fname={tmp_path / 'published.ckpt'}", *overrides)
    first = tmp_path / "a" / "checkpoints" / "last.ckpt"
    metrics = finetune(store, tmp_path / "b", f"load_encoder.ckpt_fname={first}", *overrides)
    assert metrics["pretrained"]["test_events_seen"] is None
    assert capsys.readouterr().out.count("does not say which events it has seen") == 2


def test_pretraining_with_a_supervised_batch_is_refused(store, tmp_path):
    cfg = compose("configs/ssl.yaml", [*PRETRAIN, f"dataset.root={store}", "dataset.is_ssl=false"])
    with pytest.raises(UserError, match="dataset.is_ssl=true"):
        train(cfg, tmp_path / "run")


def test_a_checkpoint_may_build_networks_only(pretrained, tmp_path):
    values = read_checkpoint(pretrained[0] / "checkpoints" / "last.ckpt")
    values["seisml"]["front_end"] = {"_target_": "seisml.tasks.facts.DataFacts"}
    torch.save(values, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="is not of class Module; derive it from torch"):
        load_method(tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="not that of a whole run"):
        load_method(pretrained[2][-1])


@pytest.mark.parametrize(
    ("folder", "name"),
    [("runs/mine", "mine"), ("sweeps/first/3", "first-3"), ("runs/cv/fold0", "cv-fold0"),
     ("sweeps/first/3/fold0", "first-3-fold0"), ("runs/folded", "folded")],
)  # fmt: skip
def test_jobs_and_folds_are_called_by_what_they_are_part_of(folder, name):
    assert run_name(Path(folder)) == name


def test_that_an_encoder_of_another_run_of_the_same_name_is_replaced_is_said_before_it_is(store, tmp_path, capsys):
    said = []
    for parent in ("a", "b"):
        finetune(
            store, tmp_path / parent / "run[1]", "trainer_params.max_epochs=1", "figures=false",
            "exp_params.model_save_ep_period=1", f"encoder_folder={tmp_path / 'encoders'}",
        )  # fmt: skip
        said.append(capsys.readouterr().out)
    (encoder,) = (tmp_path / "encoders").iterdir()
    note = f"Note: {encoder} is there already"
    assert note not in said[0] and said[1].index(note) < said[1].index("Training: ")


def test_a_mixture_is_pretrained_in_steps_and_the_events_it_saw_are_counted(tmp_path):
    network, others = write_network(tmp_path / "network", n_events=8), write_store(tmp_path / "others", n_events=10)
    passed_over = ("dataset=", "trainer_params.max_epochs", "exp_params")
    overrides = [text for text in PRETRAIN if not text.startswith(passed_over)]
    folder = tmp_path / "encoders"
    cfg = compose(
        "configs/ssl.yaml",
        [*overrides, "dataset=mixture", f"dataset.stores=[{network},{others}]", "dataset.split_by=event",
         "dataset.window_length=5", "dataset.views_from=event", "trainer_params.max_epochs=-1",
         "trainer_params.max_steps=2", "figures=false", f"encoder_folder={folder}"],
    )  # fmt: skip
    result = train(cfg, tmp_path / "run")
    assert [result.encoder] == list(folder.iterdir())  # saved as the steps end, far from the 50th epoch
    metrics = finetune(
        network, tmp_path / "tuned", f"load_encoder.ckpt_fname={result.encoder}", "dataset.split_by=event",
        "dataset.n_samples=1000", "trainer_params.max_epochs=1", "dataset.train_test_split_rand_seed=1",
        "figures=false",
    )  # fmt: skip
    tested = set(pd.read_csv(tmp_path / "tuned" / "split.csv").query("part == 'test'")["source_id"])
    trained = set(pd.read_csv(tmp_path / "run" / "split.csv").query("part == 'train'")["source_id"])
    assert metrics["pretrained"]["test_events_seen"]["seen"] == len(tested & trained) > 0
