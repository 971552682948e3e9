from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from seisml.cli import main
from seisml.comparison.compare import compare
from seisml.comparison.engine import perform, work_off
from seisml.comparison.plan import Options, Probe, Source, read_fraction
from seisml.comparison.planning import plan_cells
from seisml.comparison.results import rival_of, summarise
from seisml.comparison.tables import Table, classify
from seisml.comparison.tasks import Task
from seisml.comparison.trials import inner_splits, make_trials
from seisml.config.sweeps import alternatives
from seisml.data.grouping import GroupDraw
from seisml.data.splits import make_split
from seisml.datasets.demo.data_module import prepare_demo
from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint
from seisml.run.record import versions
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from seisml.terminal.progress import Progress
from tests.stores import write_network, write_store

NETWORK = "load_encoder.backbone_type=SmallResNetEncoder"
SMALL = ("dataset.batch_size=16", "front_end.size=[32,32]", "trainer_params.gpus=[]")
PRETRAIN = (*SMALL, "model_params.proj_hid=64", "model_params.proj_out=64", "trainer_params.max_steps=2",
            "trainer_params.max_epochs=-1")  # fmt: skip
OPTIONS = Options(seeds=2, fractions=(0.0, 1.0), steps=2, budgets=(1.0,), overrides=SMALL, pretrain_overrides=PRETRAIN)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_demo(tmp_path_factory.mktemp("compare") / "demo", 5, 8)


@pytest.fixture(scope="module")
def compared(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return compare([Probe.of(f"demo={store}")], [Source.of("self")], OPTIONS, folder / "out")


def test_every_row_of_a_trial_has_the_same_events(compared):
    frame = pd.read_csv(compared.folder / "results.csv")
    rows = ["most common class", "attributes + forest", "random + linear", "self + linear", "scratch"]
    rows += ["self + fine-tuned"]
    assert not compared.failed and Counter(frame["row"]) == dict.fromkeys(rows, 4)
    assert set(frame["test_events"]) == {8} and frame["acc"].between(0, 1).all()
    per_part = frame.groupby("labels")["train_events"].unique().map(list).to_dict()
    assert per_part == {"1event": [8], "100%": [32]}
    for _, cell in frame[frame["row"].isin(["scratch", "self + fine-tuned"])].iterrows():
        here = pd.read_csv(f"{cell['folder']}/run/split.csv")
        there = pd.read_csv(compared.folder / "demo" / f"seed{cell['seed']}" / "splits" / f"{cell['labels']}.csv")
        assert set(zip(here["part"], here["row"], strict=True)) == set(zip(there["part"], there["row"], strict=True))
        assert not list(Path(cell["folder"]).rglob("*.ckpt")) and cell["steps"] == 2
    splits = [pd.read_csv(compared.folder / f"demo/seed0/splits/{name}.csv") for name in ("1event", "100%")]
    less, all_of_them = (set(split[split["part"] == "train"]["row"]) for split in splits)
    assert less < all_of_them


def test_labels_of_records_are_spread_over_events(tmp_path):
    store = write_network(tmp_path / "store", n_samples=400)
    options = replace(OPTIONS, fractions=(0.5,), overrides=("dataset.split_by=event",))
    by_event, by_record = (
        make_trials(Probe.of(str(store)), replace(options, label_by=unit), tmp_path / unit)[0]
        for unit in ("event", "record")
    )
    assert by_event.whole_hash == by_record.whole_hash and by_event.test_events == by_record.test_events
    assert by_event.parts[0].records == by_record.parts[0].records
    assert by_event.parts[0].events < by_record.parts[0].events


def test_rows_that_train_stop_by_a_part_of_their_labelled_events(store, tmp_path):
    dev = ("dataset.dev_data_ratio=0.25", "exp_params.stop_patience=1", "exp_params.LR.clf=1e-12")
    options = replace(OPTIONS, seeds=1, steps=6, overrides=(*SMALL, *dev, "exp_params.freeze_encoders=true"))
    with pytest.raises(UserError, match="--set dataset.dev_data_ratio: .* add dataset.dev_from=train"):
        compare([Probe.of(f"demo={store}")], [], options, tmp_path / "out")
    options = replace(options, overrides=(*options.overrides, "dataset.dev_from=train"))
    found = compare([Probe.of(f"demo={store}")], [], options, tmp_path / "out")
    assert not found.failed
    for _, cell in found.cells[found.cells["row"] == "scratch"].iterrows():
        here = pd.read_csv(f"{cell['folder']}/run/split.csv").groupby("part")["row"].agg(set)
        splits = pd.read_csv(tmp_path / f"out/demo/seed0/splits/{cell['labels']}.csv").groupby("part")["row"].agg(set)
        assert here["test"] == splits["test"] and here["train"] | here.get("dev", set()) == splits["train"]
        said = (Path(cell["folder"]) / "log.txt").read_text()
        assert ("Stopped after epoch 2" in said) == ("dev" in here) == (cell["labels"] == "100%")
        assert ("Note: no dev part" in said) == (cell["labels"] == "1event")


def test_pretraining_on_the_probes_store_leaves_its_test_events_out(compared):
    frame = compared.cells
    assert set(frame[frame["encoder"] == "self"]["test_events_seen"]) == {0} and not compared.warnings
    encoders = sorted((compared.folder / "pretrain" / "self").iterdir())
    assert len(encoders) == 2  # one for each seed
    for folder in encoders:
        seen = read_checkpoint(folder / "encoder.ckpt")["seisml"]["seen_events"]
        assert len(seen) == 32 + 8  # all but the test events, unlabelled ones included


def test_the_summary_pairs_rows_with_scratch_and_with_random(compared):
    summary = compared.summary.set_index(["labels", "row"])
    frame = compared.cells.query("labels == '100%'").pivot_table(index="seed", columns="row", values="acc")
    wanted = (frame["self + linear"] - frame["random + linear"]).mean()
    assert summary.loc[("100%", "self + linear"), "to_random"] == pytest.approx(wanted)
    assert np.isnan(summary.loc[("100%", "scratch"), "to_scratch"])
    assert {path.name for path in compared.folder.glob("*.png")} == {"differences.png", "curves.png"}
    assert rival_of("self + linear") == "random + linear" and rival_of("random + linear") == "scratch"
    assert rival_of("random_init + linear") == "random + linear"


def test_it_resumes_and_notices_other_settings(compared, store):
    def again(**changes):
        return compare([Probe.of(f"demo={store}")], [Source.of("self")], replace(OPTIONS, **changes), compared.folder)

    places = sorted(compared.folder.rglob("cell.json"))
    before = {path: path.stat().st_mtime_ns for path in places}
    lost = compared.folder / "demo" / "seed1" / "100%" / "random_linear"
    (lost / "cell.json").unlink()
    (lost / "log.txt").unlink()
    assert again().cells.equals(compared.cells)
    changed = [path for path in places if path.stat().st_mtime_ns != before[path]]
    assert [path.parent for path in changed] == [lost]
    (_, pretraining) = (json.loads(path.read_text())["asked"] for path in places if "pretrain" in path.parts)
    method = pretraining["config"]["model_params"]["_target_"]  # by its first path: folders outlive a module's move
    assert method == "seisml.methods.simclr.SimCLR"
    with pytest.raises(UserError, match=r"made with other settings: steps 3 \(not 2\)"):
        again(steps=3)
    with pytest.raises(UserError, match=r"other settings: .*probe\.dataset\.batch_size 8 \(not 16\)"):
        again(overrides=("dataset.batch_size=8", *SMALL[1:]))


def test_the_command_is_written_down(compared, store):
    words = [
        "compare", "--probe", f"demo={store}", "--seeds", "2", "--fractions", "1event", "1", "--steps", "2",
        "--budgets", "1", "--set", *SMALL, "--pretrain-set", *PRETRAIN, "--out", str(compared.folder),
    ]  # fmt: skip
    assert main(words) == 0  # all is done already
    said = json.loads((compared.folder / "comparison.json").read_text())
    assert said["command"] == ["seisml", *words] and said["versions"] == versions()


def test_an_encoder_that_saw_test_events_is_told_and_a_broken_cell_costs_itself(compared, store, tmp_path, capsys):
    encoder = sorted((compared.folder / "pretrain" / "self").iterdir())[0] / "encoder.ckpt"
    options = replace(OPTIONS, fractions=(1.0,), seeds=2, overrides=(*SMALL, "exp_params.LR={encoder: 1e9, clf: 1e30}"))
    found = compare([Probe.of(f"demo={store}")], [Source.of(f"mine:{encoder}")], options, tmp_path / "out")
    said = capsys.readouterr().out
    assert "Warning: mine has seen test events of demo in 1 of 2 trials" in said
    assert sorted(found.cells.query("row == 'mine + linear'")["test_events_seen"] > 0) == [False, True]
    assert set(found.cells["row"]) == {"most common class", "attributes + forest", "random + linear", "mine + linear"}
    assert len(found.failed) == 4 and said.count("failed: the loss is") == 4


def test_an_encoder_of_nan_costs_its_rows(compared, store, tmp_path):
    encoder = sorted((compared.folder / "pretrain" / "self").iterdir())[0] / "encoder.ckpt"
    checkpoint = torch.load(encoder, weights_only=True)
    for name, weight in checkpoint["model_state_dict"].items():
        if name.endswith("conv1.weight"):
            weight.fill_(torch.nan)
    torch.save(checkpoint, tmp_path / "nan.ckpt")
    options = replace(OPTIONS, fractions=(1.0,), seeds=1)
    found = compare([Probe.of(f"demo={store}")], [Source.of(f"nan:{tmp_path / 'nan.ckpt'}")], options, tmp_path / "out")
    assert set(found.cells["row"]) == {"most common class", "attributes + forest", "random + linear", "scratch"}
    assert any("not finite; pretrain" in reason for reason in found.failed.values())


def test_the_same_recordings_under_other_names_are_a_leak_and_can_be_held_out(compared, store, tmp_path):
    """An encoder pretrained on a copy of the probe's store in another unit."""
    renamed = tmp_path / "renamed"
    source = Store(store)
    with StoreWriter(renamed, {"test": True}, None) as writer:
        for row in range(len(source)):
            waveform, _ = source.read_records(np.array([row]))
            names = {"source_id": f"copy{row}", "trace_category": source.metadata["trace_category"][row]}
            writer.add(1e-3 * waveform[0], {**names, "trace_sampling_rate_hz": source.sampling_rate[row]})
    options = replace(OPTIONS, seeds=1, fractions=(1.0,), pretrain_overrides=PRETRAIN)
    probe, source_of_it = Probe.of(f"demo={store}"), Source.of(f"copy:demo_pretrain={renamed}")
    found = compare([probe], [source_of_it], options, tmp_path / "leaky")
    (line,) = found.warnings
    assert "copy has seen test events of demo in 1 of 1 trials" in line and "by the content of" in line
    held = compare([probe], [source_of_it], replace(options, hold_out=True), tmp_path / "clean")
    assert not held.warnings and set(held.cells.query("encoder == 'copy'")["test_events_seen"]) == {0}


def test_tables_of_frozen_encoders_serve_all_trials(compared):
    names = sorted(path.name.split("_")[0] for path in (compared.folder / "tables" / "demo").iterdir())
    assert names == ["attributes", "random", "random", "self", "self"]  # weights and floors of two seeds


def table_of(n_windows: int, n_traces: int = 2, n_classes: int = 2, noise: float = 0.1) -> Table:
    generator = np.random.default_rng(0)
    label = np.arange(n_windows) % n_classes
    sample = np.repeat(np.arange(n_windows), n_traces)
    features = np.eye(n_classes)[label][sample] + noise * generator.standard_normal((len(sample), n_classes))
    return Table(features.astype(np.float32), sample, 10 + np.arange(n_windows), label, np.ones(n_classes))


def test_the_constant_answer_is_the_most_common_class_of_training():
    table = replace(table_of(40), label=np.repeat([0, 1], [12, 28]))
    assert classify(table, np.arange(10, 30), np.arange(30, 50), "constant", 0).tolist() == [[0, 0], [20, 0]]
    assert classify(table, np.arange(20, 30), np.arange(10, 50), "constant", 0).tolist() == [[0, 12], [0, 28]]


@pytest.mark.parametrize("by", ["linear", "forest", "knn"])
def test_classifiers_on_tables_tell_classes_apart_and_see_no_test_row(by):
    table = table_of(40)
    train, test = np.arange(10, 30), np.arange(30, 50)
    assert classify(table, train, test, by, 0).tolist() == [[10, 0], [0, 10]]
    spoilt = table.features.copy()
    spoilt[np.isin(table.row[table.sample], test)] = 0.3  # what tests tells nothing: the answer is one class
    blind = replace(table, features=spoilt)
    assert sorted(classify(blind, train, test, by, 0).sum(0)) == [0, 20]


def test_a_class_of_weight_zero_is_tested_and_not_learnt():
    table = replace(table_of(30, n_classes=3), class_weight=np.array([1.0, 1.0, 0.0]))
    counts = classify(table, np.arange(10, 25), np.arange(25, 40), "linear", 0)
    assert counts[:, 2].sum() == 0 and counts[2].sum() == 5


def split_of(n_events: int, n_classes: int) -> tuple:
    names = [f"e{k}" for k in range(n_events)]
    metadata = pd.DataFrame(
        {"trace_name": names, "source_id": names, "trace_category": [f"c{k % n_classes}" for k in range(n_events)]}
    )
    draw = GroupDraw(metadata, metadata["trace_category"].to_numpy(object), 0, "event")
    return make_split(metadata, procedure="fixed_test", by="event"), draw


@pytest.mark.parametrize(("n_events", "n_parts"), [(60, 1), (20, 3), (6, 2)])
def test_dev_parts_are_made_of_training_events(n_events, n_parts):
    split, draw = split_of(n_events, 2)
    found = inner_splits(split, draw)
    assert len(found) == n_parts
    for inner in found:
        assert set(inner.train) | set(inner.test) == set(split.train) and not set(inner.train) & set(inner.test)
        assert set(draw.labels[inner.train]) == {"c0", "c1"} and len(inner.test)


def test_one_event_per_class_leaves_nothing_to_choose_by():
    names = ["e0", "e1", "e2", "e3"]
    metadata = pd.DataFrame({"trace_name": names, "source_id": names, "trace_category": list("abab")})
    draw = GroupDraw(metadata, metadata["trace_category"].to_numpy(object), 0, "event")
    split = make_split(metadata, procedure="fixed_test", by="event", test_data_ratio=0.5, train_data_ratio=0.5)
    assert inner_splits(split, draw) == []


def test_training_from_scratch_takes_its_best_budget(store, tmp_path):
    options = replace(OPTIONS, seeds=1, fractions=(0.99, 1.0), budgets=(0.5, 1.0))
    found = compare([Probe.of(f"demo={store}")], [], options, tmp_path / "out")
    assert set(found.cells["labels"]) == {"99%", "100%"} and found.cells["folder"].nunique() == 4  # the same 32 events
    folder = found.cells.query("row == 'scratch'")["folder"].iloc[0]
    result = json.loads((Path(folder) / "cell.json").read_text())["result"]
    assert set(result["dev_acc"]) == {"0.5", "1"} and result["steps"] in (1, 2)
    best = max(result["dev_acc"].values())
    assert result["dev_acc"][f"{result['steps'] / 2:g}"] == best
    dev = pd.read_csv(next(Path(folder).glob("inner0_*")) / "split.csv")
    test = pd.read_csv(tmp_path / "out/demo/seed0/splits/100%.csv").query("part == 'test'")
    assert not set(dev["row"]) & set(test["row"])


def test_rows_that_train_choose_their_settings_by_their_labelled_events(compared, store, tmp_path):
    rates = ("exp_params.LR={encoder: 1e-12, clf: 1e-12}", "exp_params.LR={encoder: 1e-3, clf: 1e-2}")
    encoder = sorted((compared.folder / "pretrain" / "self").iterdir())[0] / "encoder.ckpt"
    options = replace(OPTIONS, seeds=1, steps=30, fractions=(0.0, 1.0), choose=tuple((rate,) for rate in rates))
    found = compare([Probe.of(f"demo={store}")], [Source.of(f"mine:{encoder}")], options, tmp_path / "out")
    trained = found.cells[found.cells["row"].isin(["scratch", "mine + fine-tuned"])].set_index(["row", "labels"])
    for (_, labels), cell in trained.iterrows():
        dev_acc = json.loads((Path(cell["folder"]) / "cell.json").read_text())["result"]["dev_acc"]
        assert set(dev_acc) == ({f"{rate} 1" for rate in rates} if labels == "100%" else set())
        assert dev_acc.get(f"{cell['settings']} 1") == max(dev_acc.values(), default=None)
        taken = OmegaConf.load(f"{cell['folder']}/run/config.yaml").exp_params.LR.clf
        assert taken == (1e-12, 1e-2)[rates.index(cell["settings"])]
    assert trained.loc["scratch", "settings"].to_dict() == {"1event": rates[0], "100%": rates[1]}
    with pytest.raises(UserError, match="made with other settings: choose"):
        compare([Probe.of(f"demo={store}")], [], replace(options, choose=((),)), tmp_path / "out")


def test_differences_are_paired_by_trial():
    frame = pd.DataFrame(
        [{"probe": "p", "labels": "5%", "fraction": 0.05, "row": row, "seed": seed, "fold": -1,
          "acc": acc + sign * seed, "balanced_acc": acc, "f1_macro": acc, "train_events": 2}
         for row, acc, sign in (("scratch", 0.5, 0.01), ("a + fine-tuned", 0.9, -0.01)) for seed in range(3)]
    )  # fmt: skip
    line = summarise(frame, {"p": 0.2}).set_index("row").loc["a + fine-tuned"]
    assert line["to_scratch"] == pytest.approx(0.38) and line["to_scratch_real"] and line["to_scratch_low"] > 0.2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--probe", "nz_2014"], "neither an experiment nor a store"),
     (["--probe", "demo", "--pretrain", "none", "--fractions", "2"], "--fractions: 2 is not a share"),
     (["--probe", "demo", "--pretrain", "nothing.ckpt"], "neither a checkpoint nor an experiment"),
     (["--probe", "demo", "--seeds", "0"], "--seeds: 0 is too few"),
     (["--probe", "demo", "--choose", "seed=1"], "--choose seed=1: nothing to choose from; give values: KEY=A,B"),
     (["--probe", "demo", "--choose", "seed=range(99)"], "--choose: 64 combinations or more"),
     (["--probe", "demo", "--budgets", "nan"], "--budgets: give multiples of --steps above 0"),
     (["--probe", "demo", "--budgets", "inf"], "--budgets: give multiples of --steps above 0"),
     (["--probe", "demo", "--pretrain", "random:small_100hz"], "--pretrain: random is a row of every comparison"),
     (["--probe", "tables:demo"], "--probe: tables is another part of the comparison"),
     (["--probe", "demo", "--pretrain", "pairs=nowhere"], "--pretrain pairs=nowhere: there is no store at nowhere"),
     (["--probe", "demo", "--stores", "nowhere"], "--stores: there is no store at nowhere"),
     (["--probe", "demo", "--set", "trainer_params.max_steps=9"],
      "--set trainer_params.max_steps: the comparison sets it; every row takes the same number of steps; give --steps"),
     (["--probe", "demo", "--choose", "=1,2"], "=1: this is not an override; write key=value"),
     (["--probe", "demo", "--set", "+seed=3"], "--set seed: the comparison sets it; --seeds says"),
     (["--probe", "demo", "--set", "load_encoder.ckpt_fname=small_100hz"], "name encoders by --pretrain"),
     (["--probe", "demo", "--choose", "dataset.dev_data_ratio=0.1,0.2"], "--choose dataset.dev_data_ratio: the compar"),
     (["--probe", "demo", "--pretrain-set", "seed=3"], "--pretrain-set seed: the comparison sets it"),
     (["--probe", "demo", "demo"], "two of the same name")],
)  # fmt: skip
def test_wrong_words_end_in_one_line(arguments, words, tmp_path, capsys):
    assert main(["compare", *arguments, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_a_store_alone_is_split_by_events(tmp_path):
    store = write_network(tmp_path / "2020-01-01T00:00 (é), it's", n_samples=400)
    (trial,) = make_trials(Probe.of(str(store)), replace(OPTIONS, seeds=1, fractions=(0.5,)), tmp_path / "out")
    assert trial.folder == tmp_path / "out" / store.name / "seed0" and len(trial.test_events) == 4
    assert Probe.of(f"mine:{store}").name == "mine"


def test_a_probe_of_one_class_is_refused(tmp_path):
    store = write_store(tmp_path / "store", n_events=12, classes="a")
    with pytest.raises(UserError, match="--probe store: all its labels are a; two classes are needed"):
        make_trials(Probe.of(str(store)), OPTIONS, tmp_path / "out")


@pytest.mark.parametrize(
    "setting", ["dataset.label_column=path_ps_time_s", "dataset.test_data_ratio=0.1", "dataset.window_length=2"]
)
def test_alternatives_are_tested_on_the_same(setting, tmp_path):
    store = write_store(tmp_path / "store", n_events=20)
    options = replace(OPTIONS, seeds=1, choose=(("dataset.batch_size=8",), (setting,)))
    with pytest.raises(UserError, match=f"--choose {setting}: it changes which records, windows or classes"):
        make_trials(Probe.of(str(store)), options, tmp_path / "out")
    (trial,) = make_trials(Probe.of(str(store)), replace(options, choose=options.choose[:1]), tmp_path / "out")
    assert [way.settings for way in trial.candidates] == ["dataset.batch_size=8"]


def test_a_choice_of_one_is_written_down_and_equal_ones_are_one(store, tmp_path):
    def made(*words: str) -> dict[str, Any]:
        options = replace(OPTIONS, seeds=1, fractions=(1.0,), choose=tuple(alternatives(words, "--choose")))
        (trial,) = make_trials(Probe.of(f"demo={store}"), options, tmp_path / "out")
        _, cells = plan_cells(trial, [], options, tmp_path / "out")
        return next(cell for cell in cells if cell.row == "scratch").asked

    one = made("dataset.batch_size=choice(4)")
    assert one["choose"] == ["dataset.batch_size=4"] and made("dataset.batch_size=4,4") == one
    assert made("dataset.batch_size=choice(8)") != one and "choose" not in made()


def test_an_alternative_that_fails_costs_itself(store, tmp_path, capsys):
    rates = ("exp_params.LR={encoder: 1e9, clf: 1e30}", "exp_params.LR={encoder: 1e-3, clf: 1e-2}")
    options = replace(OPTIONS, seeds=1, fractions=(1.0,), choose=tuple((rate,) for rate in rates))
    found = compare([Probe.of(f"demo={store}")], [], options, tmp_path / "out")
    assert not found.failed and found.cells.set_index("row").loc["scratch", "settings"] == rates[1]
    assert f"could not choose {rates[0]} 1: the loss is" in capsys.readouterr().out


def test_only_stores_of_the_probe_leave_nothing_to_pretrain_on(store, tmp_path):
    options = replace(OPTIONS, seeds=1, stores=(str(store),))
    with pytest.raises(UserError, match="--stores: there is none but that of demo, which is left out"):
        compare([Probe.of(f"demo={store}")], [Source.of("pairs_pretrain")], options, tmp_path / "out")


def test_stores_that_no_pretraining_takes_are_refused(store, tmp_path):
    options = replace(OPTIONS, seeds=1, stores=(str(tmp_path),))
    with pytest.raises(UserError, match="--stores: no experiment of --pretrain takes several stores"):
        compare([Probe.of(f"demo={store}")], [Source.of("self")], options, tmp_path / "out")


def test_files_of_others_are_left_alone(store, tmp_path):
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "results.csv"
    mine.write_text("years of work")
    for out, words in ((tmp_path / "out", "is there and not of a comparison"), (mine, "no folder can be made there")):
        with pytest.raises(UserError, match=words):
            compare([Probe.of(f"demo={store}")], [], OPTIONS, out)
    assert [path.name for path in mine.parent.iterdir()] == ["results.csv"] and mine.read_text() == "years of work"


def test_data_that_were_labelled_anew_are_not_mixed_with_the_old(tmp_path):
    store = write_store(tmp_path / "store", n_events=20)
    options = replace(OPTIONS, seeds=1, fractions=(1.0,), steps=1, overrides=(*SMALL, NETWORK))
    compare([Probe.of(str(store))], [], options, tmp_path / "out")
    table = store / "metadata.csv"
    table.write_text(table.read_text().replace("event003", "event3"))
    with pytest.raises(UserError, match="other data, which were prepared or labelled anew since; name another --out"):
        compare([Probe.of(str(store))], [], options, tmp_path / "out")


@pytest.mark.parametrize("matrix", ["x", [[1, 2], [3]], [[1.5, 2], [3, 4]], [[-1, 2], [3, 4]], None])
def test_a_damaged_result_is_named(matrix, compared, store, tmp_path):
    out = shutil.copytree(compared.folder, tmp_path / "out")
    path = out / "demo" / "seed1" / "100%" / "random_linear" / "cell.json"
    said = json.loads(path.read_text())
    said["result"] = {"confusion_matrix": matrix} if matrix else {}
    path.write_text(json.dumps(said))
    with pytest.raises(UserError, match="random_linear/cell.json is damaged; remove its folder"):
        compare([Probe.of(f"demo={store}")], [Source.of("self")], OPTIONS, out)


def test_a_damaged_table_costs_its_cells(compared, store, tmp_path):
    out = shutil.copytree(compared.folder, tmp_path / "out")
    (table,) = (out / "tables" / "demo").glob("attributes_*/table.npz")
    table.write_bytes(table.read_bytes()[:200])
    lost = out / "demo" / "seed1" / "100%" / "attributes_forest"
    shutil.rmtree(lost)
    found = compare([Probe.of(f"demo={store}")], [Source.of("self")], OPTIONS, out)
    assert list(found.failed) == [lost] and "table.npz is damaged; remove its folder" in found.failed[lost]


def test_an_encoder_of_another_sampling_rate_and_network_is_told(compared, tmp_path, capsys):
    encoder = sorted((compared.folder / "pretrain" / "self").iterdir())[0] / "encoder.ckpt"
    store = write_store(tmp_path / "store", n_events=20)
    options = replace(OPTIONS, seeds=1, fractions=(1.0,), steps=1, overrides=(*SMALL, NETWORK))
    compare([Probe.of(str(store))], [Source.of(f"mine:{encoder}")], options, tmp_path / "out")
    said = capsys.readouterr().out
    assert "Warning: mine was trained at 250 Hz, and store has 100 Hz; prepare" in said
    assert "Note: mine brings front_end.n" in said and "(not auto)" not in said


def test_a_store_alone_has_no_pretraining_of_its_own(tmp_path, capsys):
    store = write_store(tmp_path / "store", n_events=12)
    assert main(["compare", "--probe", str(store), "--out", str(tmp_path / "out")]) == 2
    assert "name another experiment: EXPERIMENT=self" in capsys.readouterr().err


@dataclass(frozen=True)
class Doubling(Task):
    """A piece of work that other processes can do; an odd number fails."""

    number: int

    def compute(self, folder: Path) -> dict[str, Any]:
        if self.number % 2:
            raise UserError(f"{self.number} is odd")
        print("doubling")
        return {"twice": 2 * self.number}


def test_what_another_command_has_done_meanwhile_is_taken(tmp_path):
    class Slow(Doubling):
        def compute(self, folder: Path) -> dict[str, Any]:
            perform(Doubling(self.folder, self.asked, self.steps, self.number))  # the other command
            return super().compute(folder)

    task = Slow(tmp_path / "2", {"number": 2}, 1, 2)
    assert perform(task) == ({"twice": 4}, None) and perform(task) == ({"twice": 4}, None)


def test_an_error_that_nobody_foresaw_costs_its_cell(tmp_path, capfd):
    class Broken(Doubling):
        def compute(self, folder: Path) -> dict[str, Any]:
            raise RuntimeError("out of memory")

    progress = Progress("doubling", "step", 2, shown=False)
    tasks = [Broken(tmp_path / "0", {}, 1, 0), Doubling(tmp_path / "2", {}, 1, 2)]
    done, failed = work_off(tasks, 1, progress)
    assert done == {tmp_path / "2": {"twice": 4}} and failed == {tmp_path / "0": "RuntimeError: out of memory"}
    assert "Traceback" in capfd.readouterr().err


@dataclass(frozen=True)
class Dying(Doubling):
    """A piece of work in which the system kills the process."""

    def compute(self, folder: Path) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}


@pytest.mark.long
def test_a_process_that_is_killed_is_told_in_one_line(tmp_path):
    tasks = [Dying(tmp_path / str(number), {}, 1, number) for number in range(2)]
    with pytest.raises(UserError, match="a process of --jobs was killed"):
        work_off(tasks, 2, Progress("doubling", "step", 2, shown=False))


@pytest.mark.long
def test_processes_share_the_work_and_one_that_fails_costs_itself(tmp_path):
    tasks = [Doubling(tmp_path / str(number), {"number": number}, 1, number) for number in range(4)]
    results, failed = work_off(tasks, 2, Progress("doubling", "step", 4, shown=False))
    assert results == {tmp_path / "0": {"twice": 0}, tmp_path / "2": {"twice": 4}}
    assert failed == {tmp_path / "1": "1 is odd", tmp_path / "3": "3 is odd"}
    assert (tmp_path / "2" / "log.txt").read_text() == "doubling\n" and not (tmp_path / "1").exists()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["0", "2"]  # nothing half done is left


def test_shares_are_read():
    assert [read_fraction(text) for text in ("1event", "0.05", "1")] == [0.0, 0.05, 1.0]
