"""Event files and stores in, classes out."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from seisml.cli import main
from seisml.errors import UserError
from seisml.inference.classify import ClassifyOptions, classify
from seisml.store.store import Store
from tests.continuous_records import START, make_record, make_stream, write_checkpoint

QUIET = ClassifyOptions(plots=False)
LENGTH = 60  # s of each file, more than the network looks at


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two events of each class, at two sampling rates, in class folders; and a file that is none."""
    folder = tmp_path_factory.mktemp("events")
    for number, (name, rate) in enumerate([("rockfall", 20.0), ("earthquake", 20.0), ("rockfall", 50.0)]):
        x = make_record(LENGTH, {2.0: name}, rate=rate, seed=number)
        (folder / name).mkdir(exist_ok=True)
        make_stream(x, rate, START + 3600 * number).write(str(folder / name / f"e{number}.mseed"), format="MSEED")
    (folder / "rockfall" / "broken.mseed").write_bytes(b"\x00" * 700)
    return folder


def test_class_folders_are_labels_and_a_bad_file_costs_itself(checkpoint, recordings, tmp_path, capsys):
    assert main(["classify", str(checkpoint), str(recordings), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["file"].tolist() == ["earthquake/e1.mseed", "rockfall/e0.mseed", "rockfall/e2.mseed"]
    assert (table["true"] == table["predicted"]).all()  # resampled and cut as the checkpoint's data were
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["test/acc"] == 1 and metrics["test/n_events"] == 3
    assert "3 records classified" in said and "1 files skipped" in said and "no record of class noise" in said
    assert "\n3 records read (" in said and ".records-" not in said  # no folder that is gone again
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert skipped["file"].tolist() == ["rockfall/broken.mseed"]
    drawn = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert drawn == {"confusion_matrix", "embedding_map", "gallery", "calibration", "precision_recall"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "predictions.csv", "skipped.csv", "metrics.json", "figures"
    }  # fmt: skip


def test_files_without_labels_have_answers_alone(checkpoint, recordings, tmp_path):
    options = ClassifyOptions(embedding=True)
    result = classify(checkpoint, sorted((recordings / "rockfall").glob("e*.mseed")), tmp_path / "out", options)
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["true"].isna().all() and set(table["predicted"]) == {"rockfall"} and not result["metrics"]
    assert len([name for name in table if name.startswith("embedding_")]) == result["predictions"].embedding.shape[1]
    assert {path.stem for path in (tmp_path / "out" / "figures").iterdir()} == {"gallery"}


def test_a_table_says_the_labels_and_a_store_is_classified_like_its_files(checkpoint, recordings, tmp_path):
    pd.DataFrame({"file": ["e0.mseed", "e2.mseed"], "class": ["rockfall", "earthquake"]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    options = ClassifyOptions(plots=False, labels=tmp_path / "labels.csv", keep_records=True)
    first = classify(checkpoint, [recordings / "rockfall"], tmp_path / "a", options)
    assert first["metrics"]["test/acc"] == 0.5 and len(Store(tmp_path / "a" / "records")) == 2
    second = classify(checkpoint, [tmp_path / "a" / "records"], tmp_path / "b", QUIET)
    assert second["metrics"]["test/acc"] == 0.5 and not second["skipped"]
    one, other = (pd.read_csv(tmp_path / name / "predictions.csv") for name in "ab")
    pd.testing.assert_frame_equal(one.drop(columns="record"), other.drop(columns="record"))


def test_bad_input_is_one_line(checkpoint, recordings, tmp_path):
    (tmp_path / "bad.csv").write_text("name,class\ne0.mseed,rockfall\n")
    (tmp_path / "twice.csv").write_text("file,class\ne0.mseed,rockfall\ne0.mseed,noise\n")
    (tmp_path / "empty").mkdir()
    for sources, options, words in [
        ([tmp_path / "nowhere"], QUIET, "nowhere: no such file or folder"),
        ([tmp_path / "empty"], QUIET, "no waveform files"),
        ([recordings], ClassifyOptions(labels=tmp_path / "bad.csv"), "has no column 'file'"),
        ([recordings], ClassifyOptions(labels=tmp_path / "twice.csv"), "row 3: e0.mseed is 'noise' here"),
        ([recordings], ClassifyOptions(labels=tmp_path / "none.csv"), "none.csv: cannot be read"),
        ([recordings], ClassifyOptions(event="x"), "no group named event"),
        ([recordings], ClassifyOptions(components="Z"), "--components: Z are 1"),
        ([recordings], ClassifyOptions(device="abacus"), "--device"),
    ]:
        with pytest.raises(UserError, match=words) as error:
            classify(checkpoint, sources, tmp_path / "out", options)
        assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").iterdir())  # nothing half is left
