"""A run stops where its dev part, made of training events, gets no better."""

from __future__ import annotations

import pytest

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from tests.run.resuming.runs import STOPPING, configured
from tests.stores import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("stopping") / "store", n_events=40)


def go(store, folder, *overrides):
    config, settings = configured(store, STOPPING, folder, *overrides)
    return train(compose(config, settings), folder)


def test_it_stops_says_where_and_tests_the_best(store, tmp_path, capsys):
    result = go(store, tmp_path / "run", "exp_params.model_save_ep_period=50")
    said = capsys.readouterr().out
    assert said.count("Stopped after epoch 3 (step 9): dev/loss has got no better than ") == 1
    best = read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert result.checkpoint.name == "best.ckpt" and best["global_step"] == 3
    assert result.metrics["events"] == {"train": 24, "dev": 8, "test": 8}
    assert [path.name.rsplit("-", 1)[1] for path in (tmp_path / "encoders").iterdir()] == ["ep3.ckpt"]


def test_looks_count_where_they_are_seldom(store, tmp_path, capsys):
    go(store, tmp_path / "run", "+trainer_params.check_val_every_n_epoch=2")
    assert "Stopped after epoch 6 (step 18): " in capsys.readouterr().out


def test_one_event_of_a_class_is_trained_on_to_the_end(store, tmp_path, capsys):
    result = go(store, tmp_path / "run", "dataset.train_data_ratio=0.01")
    said = capsys.readouterr().out
    assert "Note: no dev part ('a' has too few training records to choose by one of them): the run takes all" in said
    assert "Stopped after" not in said and "done after" not in said
    assert result.checkpoint.name == "last.ckpt" and result.metrics["events"] == {"train": 2, "dev": 0, "test": 8}
    assert read_checkpoint(result.checkpoint)["global_step"] == 9


def test_without_a_dev_part_asked_for_there_is_nothing_to_stop_by(store, tmp_path):
    with pytest.raises(UserError, match="stop_patience: stopping needs a dev part; .*dataset.dev_from=train"):
        go(store, tmp_path / "run", "dataset.dev_data_ratio=0")
