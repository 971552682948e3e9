"""What a run says of the terms of its loss: at chance, stopped, and beside chance in the figure."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from seisml.config.compose import compose
from seisml.run.train import train
from seisml.run.watching.progress_watch import ProgressWatch, has_stopped, is_at_chance
from tests.run.test_train import PRETRAIN
from tests.stores import write_store


def test_what_counts_as_chance():
    assert is_at_chance(1.37, 2 * math.log(2)) and not is_at_chance(1.2, 2 * math.log(2))
    assert is_at_chance(0.51, 0.5) and not is_at_chance(0.6, 0.5)
    assert is_at_chance(0.005, 1 / 255) and not is_at_chance(0.05, 1 / 255)


def test_what_counts_as_stopped():
    falling = [5 * 0.9**look + 1 for look in range(20)]
    assert not has_stopped(falling)
    assert has_stopped([*falling, *[falling[-1]] * 20])
    assert has_stopped([2.0] * 20) and not has_stopped([2.0] * 19)
    noisy = 3 + 0.05 * np.random.default_rng(0).standard_normal(40)
    assert has_stopped([5.0, 4.0, *noisy]) and not has_stopped(noisy - 0.02 * np.arange(40))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("watch") / "store", n_events=24)


@pytest.mark.parametrize(
    ("settings", "n_epochs", "n_steps", "terms", "said"),
    [
        (
            ["exp_params.LR=1e-9"], 16, 32, {"tnc_cross_entropy": 1.386, "tnc_accuracy": 0.5, "tnc_cosine": 0.5},
            ["train/tnc_accuracy is 0.", "train/loss has stopped falling"],
        ),
        (  # as many steps in few epochs: steps count
            ["exp_params.LR=1e-9", "dataset.batch_size=2"], 3, 27,
            {"tnc_cross_entropy": 1.386, "tnc_accuracy": 0.5, "tnc_cosine": 0.5}, ["train/loss has stopped falling"],
        ),
        (
            ["model_params=simclr", "augmentations=[{RandomCrop:{width:0.5}}]"], 1, 2,
            {"loss": math.log(15), "partner_accuracy": 1 / 15}, [],
        ),
    ],
)  # fmt: skip
def test_a_run_tells_its_terms_beside_chance(store, tmp_path, capsys, settings, n_epochs, n_steps, terms, said):
    overrides = [*PRETRAIN, f"dataset.root={store}", "exp_params.knn_acc_record_ep_period=-1", *settings]
    overrides += [f"trainer_params.max_epochs={n_epochs}", f"encoder_folder={tmp_path}"]
    overrides += ["exp_params.model_save_ep_period=-1"]
    result = train(compose("configs/ssl.yaml", overrides), tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["chance"] == pytest.approx({f"train/{name}": level for name, level in terms.items()}, rel=1e-3)
    assert all(math.isfinite(metrics[name]) for name in metrics["chance"])
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note: train/")]
    for words in said:
        (note,) = [note for note in notes if words in note]  # each is said once, while it helps
        assert int(re.search(r"after (\d+) steps", note)[1]) <= 0.75 * n_steps
    assert said or not any("chance" in note for note in notes)
    assert result.figures["loss_curves"].is_file()


def test_a_run_begun_before_looks_were_counted_in_steps_is_watched_anew() -> None:
    watch = ProgressWatch()
    watch.load_state_dict({"losses": [3.0, 2.5], "said": ["stopped"]})
    assert watch.state_dict() == ProgressWatch().state_dict()
