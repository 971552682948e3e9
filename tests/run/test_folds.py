from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from seisml.config.compose import compose
from seisml.config.launch import run as launch
from seisml.data.folds import fold_splits, read_split, thinned
from seisml.data.grouping import GroupDraw
from seisml.errors import UserError
from seisml.run.folds import summary
from seisml.run.train import train
from tests.stores import write_store

SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.batch_size=8",
    "dataset.split_procedure=fixed_test", "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]",
    "trainer_params.gpus=[]", "+trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1",
]  # fmt: skip


@pytest.fixture(scope="module")
def network() -> pd.DataFrame:
    """23 events of three classes (one has two events) at six stations; events are seen at three of them."""
    rows = [
        {"trace_name": f"r{event}_{station}", "source_id": f"e{event}", "station_code": f"S{station}",
         "trace_category": "rare" if event < 2 else "ab"[event % 2]}
        for event in range(23)
        for station in np.random.default_rng(event).permutation(6)[:3]
    ]  # fmt: skip
    return pd.DataFrame(rows).sample(frac=1, random_state=0).reset_index(drop=True)


def draw_of(metadata: pd.DataFrame, seed: int = 0, unit: str = "event") -> GroupDraw:
    return GroupDraw(metadata, metadata["trace_category"].to_numpy(object), seed, unit)


@pytest.mark.parametrize("seed", range(5))
def test_folds_test_every_event_once_and_never_straddle(network, seed):
    splits = fold_splits(draw_of(network, seed), np.arange(len(network)), 5, "event")
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested) == list(range(len(network)))
    sizes = []
    for split in splits:
        split.check_events(network)
        assert set(network["trace_category"][split.train]) == {"rare", "a", "b"}
        sizes.append(network["source_id"][split.test].nunique())
    assert max(sizes) - min(sizes) <= 1
    per_class = [network.iloc[split.test].groupby("trace_category")["source_id"].nunique() for split in splits]
    assert all(counts["a"] in (2, 3) and counts.get("rare", 0) <= 1 for counts in per_class)


def test_other_seeds_deal_other_folds_and_the_same_seed_the_same(network):
    def folds(seed):
        return [split.hash for split in fold_splits(draw_of(network, seed), np.arange(len(network)), 5, "event")]

    assert folds(0) == folds(0) and not set(folds(0)) & set(folds(1))


def test_station_folds_share_neither_station_nor_event(network):
    common = np.flatnonzero(network["trace_category"] != "rare")
    for split in fold_splits(draw_of(network), common, 2, "station"):
        for column in ("station_code", "source_id"):
            assert not set(network[column][split.train]) & set(network[column][split.test])


@pytest.mark.parametrize(
    ("n_folds", "by", "words"),
    [(1, "event", "give 2 or more"), (30, "event", "give 23 or fewer"), (3, "time", "set dataset.split_by"),
     (6, "station", "give fewer folds")],
)  # fmt: skip
def test_folds_that_cannot_be_made_are_refused(network, n_folds, by, words):
    with pytest.raises(UserError, match=words):
        fold_splits(draw_of(network), np.arange(len(network)), n_folds, by)


def test_a_class_of_one_event_is_named(network):
    once = network.assign(trace_category=np.where(network["source_id"] == "e0", "alone", "b"))
    with pytest.raises(UserError, match="leaves class 'alone' nothing to train on"):
        fold_splits(draw_of(once), np.arange(len(once)), 5, "event")


def test_thinned_folds_are_nested_and_keep_the_test_part(network):
    draw = draw_of(network)
    whole = fold_splits(draw, np.arange(len(network)), 5, "event")[0]
    parts = [thinned(whole, draw, fraction) for fraction in (0.0, 0.2, 0.5, 1.0)]
    assert network["source_id"][parts[0].train].nunique() == 3  # one event per class
    for less, more in zip(parts, parts[1:], strict=False):
        assert set(less.train) < set(more.train) and np.array_equal(less.test, whole.test)
    assert parts[-1].hash == whole.hash


def test_a_split_file_gives_the_very_parts_back(network, tmp_path):
    split = fold_splits(draw_of(network), np.arange(len(network)), 5, "event")[1]
    split.write(tmp_path / "split.csv", network)
    assert read_split(tmp_path / "split.csv", network, False, "event").hash == split.hash
    less = thinned(split, draw_of(network), 0.2)
    less.write(tmp_path / "less.csv", network)
    pretraining = read_split(tmp_path / "less.csv", network, True, "record")
    assert np.array_equal(pretraining.train, split.train)  # what is not named trains, but for events that test


@pytest.mark.parametrize(
    ("change", "words"),
    [("rows", "line 2: this store has no such record"), ("part", "line 3: this store has no such record"),
     ("twice", "names a record in two parts"), ("columns", "is not a table of part, row and trace_name")],
)  # fmt: skip
def test_a_split_file_that_does_not_fit_is_refused_in_one_line(network, tmp_path, change, words):
    table = fold_splits(draw_of(network), np.arange(len(network)), 5, "event")[0].to_frame(network)
    if change == "rows":
        table.loc[0, "row"] = 10**6
    elif change == "part":
        table.loc[1, "part"] = "elsewhere"
    elif change == "twice":
        table = pd.concat([table, table.iloc[:1].assign(part="dev")])
    else:
        table = table[["part"]]
    table.to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(UserError, match=words):
        read_split(tmp_path / "split.csv", network, False, "event")


def test_the_summary_has_mean_and_spread_of_what_all_folds_have():
    folds = [
        {"test/acc": acc, "learned": True, "classes": ["a", "b"], "test/confusion_matrix": [[acc * 10, 0], [1, 2]]}
        | ({"dev/loss": 1.0} if acc > 0.5 else {})
        for acc in (0.4, 0.6, 0.8)
    ]
    found = summary(folds)
    assert found["test/acc"] == pytest.approx(0.6) and found["test/acc_std"] == pytest.approx(0.2)
    assert found["test/acc_folds"] == [0.4, 0.6, 0.8] and found["test/confusion_matrix"] == [[18, 0], [3, 6]]
    assert "dev/loss" not in found and "learned" not in found and found["folds"] == 3


@pytest.mark.long
def test_cross_validation_from_the_command_line_resumes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = write_store(tmp_path / "store", n_events=12)
    wanted = [*SMALL, f"dataset.root={store}", "trainer_params.max_epochs=1", "figures=false", "evaluation.folds=3",
              "dataset.split_by=event", "hydra.run.dir=runs/cv"]  # fmt: skip
    assert launch("configs/finetune.yaml", None, wanted) == 0
    said = capsys.readouterr().out
    assert "fold 3 of 3" in said and "standard deviation" in said
    folder = tmp_path / "runs" / "cv"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["folds"] == 3 and np.sum(metrics["test/confusion_matrix"]) == 12
    assert metrics["test/acc"] == pytest.approx(np.mean(metrics["test/acc_folds"]))
    assert metrics["pooled/n_events"] == 12 and "All 12 predictions, 12 events: accuracy" in said
    assert metrics["pooled/confusion_matrix"] == metrics["test/confusion_matrix"]
    low, high = metrics["pooled/acc_interval"]
    assert low <= metrics["pooled/acc"] <= high and set(metrics["pooled/per_class"]) == set(metrics["classes"])
    tested = [set(pd.read_csv(folder / f"fold{k}/split.csv").query("part == 'test'")["source_id"]) for k in range(3)]
    assert len(set.union(*tested)) == sum(map(len, tested)) == 12
    assert launch("configs/finetune.yaml", None, wanted) == 2 and "holds a run already" in capsys.readouterr().err

    (folder / "metrics.json").unlink()  # as if it had been stopped after the second fold
    shutil.rmtree(folder / "fold2")
    before = (folder / "fold1" / "metrics.json").stat().st_mtime_ns
    assert launch("configs/finetune.yaml", None, [*wanted, "exp_params.LR.clf=0.5"]) == 2
    assert "begun with other settings: exp_params.LR.clf 0.5 (not 0.001)" in capsys.readouterr().err
    assert launch("configs/finetune.yaml", None, wanted) == 0
    assert (folder / "fold1" / "metrics.json").stat().st_mtime_ns == before
    assert json.loads((folder / "metrics.json").read_text())["test/acc_folds"] == metrics["test/acc_folds"]


def test_pretraining_has_no_folds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = write_store(tmp_path / "store", n_events=12)
    assert launch("configs/ssl.yaml", None, ["dataset=store", f"dataset.root={store}", "+evaluation.folds=3"]) == 2
    assert "pretraining tests nothing" in capsys.readouterr().err


def test_a_run_takes_the_split_of_another(tmp_path):
    store = write_store(tmp_path / "store", n_events=12)
    common = [*SMALL, f"dataset.root={store}", "trainer_params.max_epochs=1", "figures=false"]
    first = train(compose("configs/finetune.yaml", common), tmp_path / "first")
    again = [*common, "seed=7", f"dataset.split_file={tmp_path / 'first' / 'split.csv'}"]
    second = train(compose("configs/finetune.yaml", again), tmp_path / "second")
    assert first.metrics["split_hash"] == second.metrics["split_hash"]
