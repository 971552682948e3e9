from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from seisml.cli import main
from seisml.comparison.compare import compare
from seisml.comparison.plan import Probe, Source
from seisml.comparison.planning import plan_cells
from seisml.comparison.results import rival_of, summarise
from seisml.comparison.trials import make_trials
from seisml.config.sweeps import alternatives
from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint
from seisml.run.record import versions
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from tests.comparison.options import NETWORK, OPTIONS, PRETRAIN, SMALL
from tests.stores import write_store


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


def test_an_encoder_of_another_sampling_rate_and_network_is_told(compared, tmp_path, capsys):
    encoder = sorted((compared.folder / "pretrain" / "self").iterdir())[0] / "encoder.ckpt"
    store = write_store(tmp_path / "store", n_events=20)
    options = replace(OPTIONS, seeds=1, fractions=(1.0,), steps=1, overrides=(*SMALL, NETWORK))
    compare([Probe.of(str(store))], [Source.of(f"mine:{encoder}")], options, tmp_path / "out")
    said = capsys.readouterr().out
    assert "Warning: mine was trained at 250 Hz, and store has 100 Hz; prepare" in said
    assert "Note: mine brings front_end.n" in said and "(not auto)" not in said
