"""An encoder for everybody: written under a name, found by it, checked like a checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from seisml.comparison.leaks import seen_of
from seisml.comparison.plan import Options, Source
from seisml.comparison.planning import encoder_of
from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.build import read_pretrained
from seisml.run.checkpoints import read_checkpoint
from seisml.run.named import names
from seisml.run.named.encoder_file import FORMAT, read_encoder
from seisml.run.train import train
from seisml.store.content import UNKNOWN
from tests.run.test_train import SMALL
from tests.stores import write_network, write_store

REPO = Path(__file__).resolve().parents[3]
TINY = [
    "trainer_params.max_steps=2", "trainer_params.gpus=[]", "+trainer_params.enable_progress_bar=false",
    "figures=false", "dataset.batch_size=4", "front_end.size=[32,64]", "exp_params.model_save_ep_period=1",
    "encoder_name=tiny",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """A folder with a named encoder, made as the experiment says, and the run that made it."""
    folder = tmp_path_factory.mktemp("named")
    stores = [write_network(folder / name, n_events=8) for name in ("one", "two")]
    kept_out = write_store(folder / "kept_out", n_events=4)
    cfg = compose("configs/ssl.yaml", [
        "+experiment=small_encoder", *TINY, f"dataset.stores=[{stores[0]},{stores[1]}]", f"encoder_folder={folder}",
        f"dataset.hold_out=[{kept_out}]",
    ])  # fmt: skip
    result = train(cfg, folder / "run")
    assert result.encoder == folder / "tiny.safetensors"
    return folder, folder / "run"


def test_the_file_holds_what_the_checkpoint_holds_but_no_place(made):
    folder, _ = made
    path = folder / "tiny.safetensors"
    (beside,) = folder.glob("SimCLR-*.ckpt")
    values, checkpoint = read_encoder(path), read_checkpoint(beside)
    for name, state in (("model_state_dict", checkpoint["model_state_dict"]),
                        ("front_end_state", checkpoint["seisml"]["front_end_state"])):  # fmt: skip
        found = values[name] if name in values else values["seisml"][name]
        assert set(found) == set(state) and all(torch.equal(found[key], value) for key, value in state.items())
    record, other = values["seisml"], checkpoint["seisml"]
    assert torch.equal(record["seen_events"], other["seen_events"])
    for key in ("front_end", "backbone_type", "facts", "split_hash"):
        assert json.loads(json.dumps(other[key])) == record[key]
    with safe_open(path, framework="pt") as file:
        assert str(folder) not in json.dumps(file.metadata())
    assert record["config"]["dataset"]["stores"] == ["one", "two"] and path.stat().st_size < 5e6


def test_a_comparison_finds_it_by_name_and_knows_what_it_has_seen(made, monkeypatch):
    monkeypatch.setattr(names, "FOLDERS", (made[0],))
    encoder = encoder_of(Source.of("tiny"), None, Options(), made[0])
    assert encoder.path == made[0] / "tiny.safetensors" and encoder.brings_front_end
    split = pd.read_csv(made[1] / "split.csv").query("part == 'train'")
    seen = split["source_id"].iloc[0]
    held_out = made[0] / "held_out.csv"
    pd.DataFrame({"source_id": [seen, "elsewhere"], "content": [UNKNOWN, UNKNOWN]}).to_csv(held_out, index=False)
    trial = SimpleNamespace(test_events=(seen, "elsewhere"), held_out=held_out)
    assert seen_of(encoder, trial).events == [seen]


def test_the_card_says_what_it_is(made, capsys):
    card = (made[0] / "tiny.md").read_text()
    assert card.startswith("# tiny\n") and "SmallResNetEncoder with" in card and "load_encoder.ckpt_fname=tiny" in card
    split = pd.read_csv(made[1] / "split.csv").query("part == 'train'")
    rows = [line for line in card.splitlines() if line.startswith(("| one |", "| two |"))]
    assert len(rows) == 2 and sum(int(row.split("|")[2]) for row in rows) == len(split)
    assert all(row.endswith("| 0.2 |") or row.endswith("| 0.3 |") for row in rows)  # hours
    assert "Kept out by name and time: kept_out." in card and "| train/partner_accuracy |" in card
    assert "- SimCLR, 2 steps of 4 windows, seed 0, precision 32-true, " in card
    assert str(made[0]) not in card


def test_a_name_is_found_and_fine_tuned_from(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(names, "FOLDERS", (made[0],))
    root = write_store(tmp_path / "store", n_events=20, n_samples=2000)
    overrides = [*SMALL, f"dataset.root={root}", "trainer_params.max_epochs=1", "figures=false"]
    cfg = compose("configs/finetune.yaml", [*overrides, "load_encoder.ckpt_fname=tiny"])
    pretrained = read_pretrained(cfg)
    assert pretrained["path"] == str(made[0] / "tiny.safetensors")
    metrics = train(cfg, tmp_path / "run").metrics
    events = [
        set(pd.read_csv(folder / "split.csv").query(f"part == '{part}'")["source_id"])
        for folder, part in ((made[1], "train"), (tmp_path / "run", "test"))
    ]
    assert metrics["pretrained"]["test_events_seen"]["seen"] == len(events[0] & events[1]) > 0
    assert "tiny.safetensors overrules the configuration" in capsys.readouterr().out


def test_a_wrong_name_is_answered_with_the_nearest(made, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "small_100hz.safetensors").write_bytes((made[0] / "tiny.safetensors").read_bytes())
    root = write_store(tmp_path / "store", n_events=20)
    words = [sys.executable, str(REPO / "finetune.py"), *SMALL, f"dataset.root={root}", "trainer_params.max_epochs=1"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    wrong = subprocess.run(
        [*words, "load_encoder.ckpt_fname=small_10hz"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert wrong.returncode == 2 and "did you mean 'small_100hz'?" in wrong.stderr


def test_a_card_that_people_wrote_on_stays(made, tmp_path, capsys):
    (tmp_path / "tiny.md").write_text("# tiny\nresults\n")
    root = write_network(tmp_path / "store", n_events=8)
    settings = [f"dataset.stores=[{root}]", f"encoder_folder={tmp_path}"]
    train(compose("configs/ssl.yaml", ["+experiment=small_encoder", *TINY, *settings]), tmp_path / "run")
    assert (tmp_path / "tiny.md").read_text() == "# tiny\nresults\n" and (tmp_path / "tiny.safetensors").is_file()
    assert "tiny.md stays as it is" in capsys.readouterr().out


def damaged(made: tuple[Path, Path], path: Path, **changes: object) -> Path:
    """A file like the encoder's with another record, header or tensor."""
    source = made[0] / "tiny.safetensors"
    with safe_open(source, framework="pt") as file:
        about = file.metadata()
    tensors = {**safetensors.torch.load_file(source), **changes.pop("tensors", {})}
    record = {**json.loads(about["seisml"]), **changes.pop("record", {})}
    header = {"format": FORMAT, "seisml": json.dumps(record), **changes}
    safetensors.torch.save_file(tensors, path, header)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "seisml encoder 9"}, "not in the format"),
        ({"seisml": "{"}, "record is no JSON"),
        ({"seisml": "[" * 100_000}, "record is no JSON"),
        ({"seisml": "3"}, "a int, not a mapping"),
        ({"tensors": {"elsewhere.x": torch.zeros(1)}}, "belongs to none of encoder, front_end, record"),
        ({"record": {"backbone_type": "os.system"}}, "backbone|trust|os"),
        ({"record": {"backbone_params": {"widths": [10**6] * 4}}}, "widths"),
        ({"record": {"front_end": {"_target_": "os.system"}}}, "front_end"),
        ({"record": {"in_channels": "1"}}, "in_channels"),
        ({"tensors": {"record.seen_events": torch.zeros(3)}}, "seen_events are no(t)? hashes"),
        ({"tensors": {"encoder.model.conv1.weight": torch.zeros(2)}}, "has shape"),
    ],
)
def test_hostile_files_get_one_line(made, tmp_path, changes, message):
    path = damaged(made, tmp_path / "bad.safetensors", **dict(changes))
    cfg = compose("configs/finetune.yaml", [*SMALL, "dataset.root=x", f"load_encoder.ckpt_fname={path}"])
    with pytest.raises(UserError, match=message) as error:
        read_pretrained(cfg)
    assert "bad.safetensors" in str(error.value) and "\n" not in str(error.value)


def test_a_cut_file_and_none_at_all(made, tmp_path):
    whole = (made[0] / "tiny.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    for name, message in (("cut", "damaged or truncated"), ("absent", "does not exist; make it with")):
        with pytest.raises(UserError, match=message):
            read_encoder(tmp_path / f"{name}.safetensors")
