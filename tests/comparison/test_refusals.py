from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from seisml.cli import main
from seisml.comparison.compare import compare
from seisml.comparison.plan import Probe, Source
from seisml.comparison.trials import make_trials
from seisml.errors import UserError
from tests.comparison.options import NETWORK, OPTIONS, SMALL
from tests.stores import write_store


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
     (["--probe", "demo", "--set", "load_encoder={ckpt_fname:small_100hz}"], "--set load_encoder.ckpt_fname: the comp"),
     (["--probe", "demo", "--choose", "dataset.dev_data_ratio=0.1,0.2"], "--choose dataset.dev_data_ratio: the compar"),
     (["--probe", "demo", "--pretrain-set", "seed=3"], "--pretrain-set seed: the comparison sets it"),
     (["--probe", "demo", "demo"], "two of the same name")],
)  # fmt: skip
def test_wrong_words_end_in_one_line(arguments, words, tmp_path, capsys):
    assert main(["compare", *arguments, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


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


def test_a_store_alone_has_no_pretraining_of_its_own(tmp_path, capsys):
    store = write_store(tmp_path / "store", n_events=12)
    assert main(["compare", "--probe", str(store), "--out", str(tmp_path / "out")]) == 2
    assert "name another experiment: EXPERIMENT=self" in capsys.readouterr().err
