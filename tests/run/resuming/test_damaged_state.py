"""A last.ckpt that is whole as a file, and whose parts training cannot take up: one line with the part and the cure."""

from __future__ import annotations

import math
import shutil

import pytest
import torch

from seisml.config.compose import compose
from seisml.config.launch import run
from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint
from seisml.run.resuming.resume import check_state
from seisml.run.train import open_data, prepare_method
from tests.run.resuming.runs import AVERAGED, Killed, configured, go, kill_at
from tests.stores import write_store

WEIGHT = "encoder.model.conv1.weight"
COUNTER = "encoder.model.bn1.num_batches_tracked"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("damaged") / "store", n_events=40)


@pytest.fixture(scope="module")
def killed(store, tmp_path_factory):
    """A run that averages its weights, killed after four steps."""
    folder = tmp_path_factory.mktemp("averaged") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 5)
        go(store, AVERAGED, folder)
    return folder


@pytest.fixture(scope="module")
def method(store, killed, tmp_path_factory):
    """The network of that run, with fresh weights."""
    cfg = compose(*configured(store, AVERAGED, killed))
    return prepare_method(cfg, open_data(cfg, tmp_path_factory.mktemp("split"), None), None)


def drop(name):
    return lambda part: part.pop(name)


def put(name, value):
    return lambda part: part.__setitem__(name, value)


def nan(part):
    part[WEIGHT].fill_(torch.nan)


OF_WEIGHTS = {
    "shape": (put(WEIGHT, torch.zeros(16, 1, 1, 7)), f"{WEIGHT} has shape (16, 1, 1, 7), not (16, 1, 7, 7)"),
    "missing key": (drop(WEIGHT), f"it lacks {WEIGHT} (1 missing, 0 unknown keys)"),
    "foreign key": (put("other.weight", torch.zeros(2)), "it has other.weight, which the network lacks"),
    "a number for a key": (put(7, torch.zeros(2)), "it has 7, which the network lacks"),
    "nan": (nan, f"{WEIGHT} is not finite"),
    "text": (put(WEIGHT, "text"), f"{WEIGHT} is not an array of numbers"),
    "complex": (put(WEIGHT, torch.zeros(16, 1, 7, 7, dtype=torch.complex64)), f"{WEIGHT} is not an array of numbers"),
    "half": (put(WEIGHT, torch.zeros(16, 1, 7, 7).half()), f"{WEIGHT} is of type float16, not float32"),
    "double": (put(WEIGHT, torch.zeros(16, 1, 7, 7).double()), f"{WEIGHT} is of type float64, not float32"),
    "a count of half": (put(COUNTER, torch.tensor(4.0).half()), f"{COUNTER} is of type float16, not int64"),
    "sparse": (put(WEIGHT, torch.zeros(16, 1, 7, 7).to_sparse()), f"{WEIGHT} is not an array of numbers"),
}
COUNT = "averaging_state does not count the steps of an average"
OF_PARTS = {
    "no weights of the last step": ("current_model_state", None, "it lacks current_model_state"),
    "weights that are a list": ("current_model_state", [1], "current_model_state is of type list, not dict"),
    "no weights": ("state_dict", None, "it lacks state_dict"),
    "no count": ("averaging_state", None, "it lacks averaging_state"),
    "a count of text": ("averaging_state", {"n_averaged": "4"}, COUNT),
    "a negative count": ("averaging_state", {"n_averaged": torch.tensor(-3)}, COUNT),
    "more steps than there were": ("averaging_state", {"n_averaged": torch.tensor(9)}, COUNT),
    "several counts": ("averaging_state", {"n_averaged": torch.zeros(4).long()}, COUNT),
    "another average": ("averaging_state", {"other": torch.tensor(4)}, COUNT),
    "an average of callbacks that are not there": ("callbacks", {}, "callbacks do not say with which step"),
    "callbacks of numbers": ("callbacks", {"Snapshots": 1}, "callbacks hold what is not of type dict"),
    "no callbacks": ("callbacks", None, "it lacks callbacks"),
    "no optimiser": ("optimizer_states", None, "it lacks optimizer_states"),
    "an optimiser of numbers": ("optimizer_states", [1, 2], "optimizer_states hold what is not of type dict"),
    "a schedule of text": ("lr_schedulers", "cosine", "lr_schedulers is of type str, not list"),
    "a list of counters": ("loops", [], "loops is of type list, not dict"),
    "a version of numbers": ("pytorch-lightning_version", 2, "pytorch-lightning_version is of type int, not str"),
    "steps in words": ("global_step", "four", "global_step is of type str, not int"),
}


def of_weight(name, value):
    """Change what the first group's optimiser remembers of a parameter: the classifier's weight."""
    return lambda state: state["state"][0].__setitem__(name, value)


def setting(name, value):
    return lambda state: state["param_groups"][0].__setitem__(name, value)


def of_moment(name, value):
    """Change where training stands."""
    return lambda values: values["callbacks"]["Snapshots"]["moment"].__setitem__(name, value)


def first_moment(change):
    return lambda state: state["state"][0].__setitem__("exp_avg", change(state["state"][0]["exp_avg"]))


OF_OPTIMISERS = {
    "a moment of another shape": (
        first_moment(lambda x: x[:, :-1].clone()),
        "exp_avg of classifier.weight has shape (2, 127), not (2, 128)",
    ),
    "a moment of one number": (
        of_weight("exp_avg", torch.tensor(0.0)),
        "exp_avg of classifier.weight has shape (), not (2, 128)",
    ),
    "a moment of half": (
        first_moment(lambda x: x.half()),
        "exp_avg of classifier.weight is of type float16, not float32",
    ),
    "a moment of text": (
        of_weight("exp_avg", "text"),
        "exp_avg of classifier.weight is not an array of numbers that stand in the file",
    ),
    "an expanded moment": (
        first_moment(lambda x: x[:1].clone().expand_as(x)),
        "exp_avg of classifier.weight is not an array of numbers",
    ),
    "a moment that is not finite": (
        first_moment(lambda x: x * torch.nan),
        "exp_avg of classifier.weight is not finite",
    ),
    "a count of many": (of_weight("step", torch.ones(7)), "step of classifier.weight has shape (7,), not ()"),
    "no second moment": (
        lambda s: s["state"][0].pop("exp_avg_sq"),
        "what it remembers of classifier.weight is not step and exp_avg and exp_avg_sq",
    ),
    "another optimiser's": (
        of_weight("momentum_buffer", torch.ones(3)),
        "of classifier.weight is not step and exp_avg and",
    ),
    "what is no mapping": (lambda s: s["state"].__setitem__(0, 7), "of classifier.weight is not step and exp_avg and"),
    "a parameter too many": (lambda s: s["state"].__setitem__(999, {}), "it remembers a parameter '999', which the"),
    "a parameter of text": (lambda s: s["state"].__setitem__("0", {}), "it remembers a parameter '0', which the"),
    "no state": (drop("state"), "it lacks state or param_groups"),
    "groups of numbers": (put("param_groups", [1, 2]), "a group of parameters has not the settings lr, betas"),
    "a group too few": (lambda s: s["param_groups"].pop(), "it has 1 groups of parameters, not 2"),
    "a group without a setting": (lambda s: s["param_groups"][0].pop("eps"), "has not the settings lr, betas, eps"),
    "no rate": (lambda s: s["param_groups"][0].pop("lr"), "lr is not a learning rate"),
    "a rate below zero": (setting("lr", -1.0), "lr is not a learning rate"),
    "a rate beyond numbers": (setting("lr", 10**400), "lr is not a learning rate"),
    "a rate of text": (setting("lr", "fast"), "lr is not a learning rate"),
    "a rate without end": (setting("initial_lr", float("inf")), "initial_lr is not a learning rate"),
    "betas of arrays": (setting("betas", (torch.ones(2), 0.9)), "betas is not that of this run"),
    "other parameters": (setting("params", [0, 1, 2]), "params is not that of this run"),
}


def refused(method, killed, tmp_path, damage):
    """What is said of a run whose checkpoint was damaged."""
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    values = read_checkpoint(killed / "checkpoints" / "last.ckpt")
    damage(values)
    torch.save(values, last)
    with pytest.raises(UserError) as caught:
        check_state(method, tmp_path)
    said = str(caught.value)
    assert said.startswith(f"checkpoint {last}") and "\n" not in said
    assert "; remove it, and the run begins anew" in said
    return said


@pytest.mark.parametrize("part", ["current_model_state", "state_dict"])
@pytest.mark.parametrize(("damage", "words"), OF_WEIGHTS.values(), ids=OF_WEIGHTS)
def test_weights_that_are_not_those_of_the_network(method, killed, tmp_path, part, damage, words):
    said = refused(method, killed, tmp_path, lambda values: damage(values[part]))
    assert f"last.ckpt ({part})" in said and words in said


@pytest.mark.parametrize(("part", "value", "words"), OF_PARTS.values(), ids=OF_PARTS)
def test_parts_that_training_cannot_take_up(method, killed, tmp_path, part, value, words):
    said = refused(method, killed, tmp_path, drop(part) if value is None else put(part, value))
    assert words in said


@pytest.mark.parametrize(("damage", "words"), OF_OPTIMISERS.values(), ids=OF_OPTIMISERS)
def test_optimisers_that_remember_something_else(method, killed, tmp_path, damage, words):
    said = refused(method, killed, tmp_path, lambda values: damage(values["optimizer_states"][0]))
    assert "last.ckpt (optimizer_states): " in said and words in said


@pytest.mark.parametrize(("part", "kind"), [("optimizer_states", "optimisers"), ("lr_schedulers", "schedules")])
def test_another_number_of_them(method, killed, tmp_path, part, kind):
    said = refused(method, killed, tmp_path, put(part, []))
    assert f"last.ckpt ({part}): it has 0 {kind}, not 1" in said


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda schedule: schedule.update(optimizer=1), "a schedule holds other things than base_lrs, last_epoch"),
        (lambda schedule: schedule.pop("base_lrs"), "a schedule holds other things than base_lrs, last_epoch"),
        (lambda schedule: schedule.update(last_epoch="four"), "last_epoch of a schedule is not like 0"),
        (lambda schedule: schedule.update(base_lrs=[]), "base_lrs of a schedule is not like ["),
        (lambda schedule: schedule["base_lrs"].__setitem__(0, math.nan), "base_lrs of a schedule is not like ["),
        (lambda schedule: schedule.update(last_epoch=10**400), "last_epoch of a schedule is not like 0"),
        (lambda schedule: schedule.update(last_epoch=2), "last_epoch of a schedule is not the number of steps"),
        (lambda schedule: schedule["base_lrs"].__setitem__(0, 10.0), "base_lrs of a schedule are [10.0, 0.001], not ["),
        (lambda schedule: schedule.update(lr_lambdas=[{"a": 1}]), "lr_lambdas of a schedule is not like [None"),
    ],
)
def test_schedules_that_remember_something_else(method, killed, tmp_path, damage, words):
    said = refused(method, killed, tmp_path, lambda values: damage(values["lr_schedulers"][0]))
    assert "last.ckpt (lr_schedulers): " in said and words in said


def test_what_was_not_damaged_is_taken_up(method, killed):
    check_state(method, killed)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (drop("current_model_state"), "it lacks current_model_state; remove it, and the run begins anew"),
        (
            lambda values: first_moment(lambda x: x[:1].clone())(values["optimizer_states"][0]),
            "exp_avg of classifier.weight has shape (1, 128)",
        ),
        (lambda values: values["callbacks"].pop("Snapshots"), "the state of training is missing; remove it to start"),
        (of_moment("random", []), "moment.random: list should have at least 1 item"),
        (of_moment("random", [torch.zeros(3).byte()]), "is no state of a generator of cpu"),
        (of_moment("method", {"places": torch.zeros(1).expand(9)}), "holds arrays whose numbers do not stand in the"),
        (of_moment("method", {"places": torch.zeros(1, 3)}), "it has features of a frozen encoder, and that of this"),
    ],
)
def test_a_run_says_so_and_leaves_the_file(store, killed, tmp_path, capsys, damage, words):
    folder = shutil.copytree(killed, tmp_path / "run")
    last = folder / "checkpoints" / "last.ckpt"
    values = read_checkpoint(last)
    damage(values)
    torch.save(values, last)
    damaged = last.read_bytes()
    config, overrides = configured(store, AVERAGED, folder)
    assert run(config, None, [*overrides, f"hydra.run.dir={folder}"]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line)
    assert f"checkpoint {last}" in line and words in line
    assert last.read_bytes() == damaged
