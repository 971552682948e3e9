"""Metrics against scikit-learn and hand values."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from seisml.errors import UserError
from seisml.evaluation.bootstrap import event_bootstrap, proportion_interval
from seisml.evaluation.metrics import classification_metrics


def random_case(n: int = 200, k: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, k, (n,), generator=generator)
    logits = torch.randn(n, k, generator=generator)
    logits[torch.arange(n), label] += 1
    return logits.log_softmax(dim=1), label


def plain(values: dict[str, object]) -> dict[str, object]:
    """The measures of a class without their intervals."""
    return {name: value for name, value in values.items() if not name.endswith("_interval")}


def test_equals_scikit_learn() -> None:
    log_probability, label = random_case()
    predicted = log_probability.argmax(dim=1)
    result = classification_metrics(log_probability, label, list("abcde"))
    precision, recall, f1, support = sk.precision_recall_fscore_support(label, predicted)
    assert result["acc"] == pytest.approx(sk.accuracy_score(label, predicted))
    assert result["f1_macro"] == pytest.approx(sk.f1_score(label, predicted, average="macro"), abs=1e-6)
    assert result["confusion_matrix"] == sk.confusion_matrix(label, predicted).tolist()
    for k, values in enumerate(result["per_class"].values()):
        expected = {"precision": precision[k], "recall": recall[k], "f1": f1[k], "support": support[k]}
        assert plain(values) == pytest.approx(expected, abs=1e-6)
    assert result["balanced_acc"] == pytest.approx(sk.balanced_accuracy_score(label, predicted))


def test_hand_values() -> None:
    predicted, label = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    result = classification_metrics(torch.eye(2)[predicted].log(), label, ("noise", "event"))
    assert result["n"] == 4 and result["acc"] == pytest.approx(0.75)
    assert result["confusion_matrix"] == [[1, 0], [1, 2]]
    noise, event = (plain(result["per_class"][name]) for name in ("noise", "event"))
    assert noise == pytest.approx({"precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 1})
    assert event == pytest.approx({"precision": 1, "recall": 2 / 3, "f1": 0.8, "support": 3})


def test_absent_class_has_no_value_and_leaves_the_macro_mean_alone() -> None:
    log_probability, label = random_case(k=4)
    label = torch.where(label == 2, torch.tensor(0), label)  # class 2 is predicted, never true
    result = classification_metrics(log_probability, label, list("abcd"))
    predicted = log_probability.argmax(dim=1)
    assert plain(result["per_class"]["c"]) == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert result["per_class"]["c"]["recall_interval"] is None
    expected = sk.f1_score(label, predicted, labels=[0, 1, 3], average="macro")
    assert result["f1_macro"] == pytest.approx(expected, abs=1e-6)
    json.dumps(result, allow_nan=False)


def test_class_never_predicted_has_precision_zero() -> None:
    result = classification_metrics(torch.tensor([[0.0, -9], [0, -9]]), torch.tensor([0, 1]), ("a", "b"))
    found = result["per_class"]["b"]
    assert plain(found) == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert found["precision_interval"] is None  # nothing was called b: its precision is a convention


def test_single_class() -> None:
    result = classification_metrics(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64), ("only",))
    assert result["acc"] == 1 and result["confusion_matrix"] == [[3]] and result["f1_macro"] == 1


def test_unlabelled_left_out() -> None:
    log_probability, label = random_case()
    mixed = torch.cat([label, torch.full((7,), -1)])
    padded = torch.cat([log_probability, torch.full((7, 5), torch.nan)])
    names = list("abcde")
    assert classification_metrics(padded, mixed, names) == classification_metrics(log_probability, label, names)


def test_bfloat16_scores_and_minus_infinity() -> None:
    score = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0]]).bfloat16()
    assert classification_metrics(score, torch.tensor([0, 1]), ("a", "b"))["acc"] == 1


@pytest.mark.parametrize(
    ("score", "label", "words"),
    [
        (torch.full((2, 2), torch.nan), [0, 1], "NaN for 2 of 2"),
        (torch.zeros(2, 2), [-1, -1], "no test sample has a label"),
        (torch.zeros(2, 2), [0, 2], "there are 2 classes"),
    ],
)
def test_bad_input_is_named(score: torch.Tensor, label: list[int], words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        classification_metrics(score, torch.tensor(label), ("a", "b"))
    assert "\n" not in str(error.value)


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        classification_metrics(torch.zeros(3, 2), torch.zeros(3), ("a", "b", "c"))


def test_the_interval_of_a_share_is_wilsons() -> None:
    # roots of (p - x)^2 = z^2 x (1 - x) / n, the definition of the score interval
    n, correct, z = 20, 17, 1.959964
    p = correct / n
    roots = np.sort(np.roots([1 + z**2 / n, -(2 * p + z**2 / n), p**2]))
    assert proportion_interval(correct, n) == pytest.approx(tuple(roots))
    assert proportion_interval(0, 3)[0] == 0 and proportion_interval(3, 3)[1] == 1


def test_intervals_resample_events() -> None:
    """Twenty records of each event say no more than one; intervals of the mean are those of any other mean."""
    log_probability, label = random_case(n=60, k=3)
    events = np.arange(60).astype(str)
    once = classification_metrics(log_probability, label, list("abc"), events)
    often = classification_metrics(
        log_probability.repeat(20, 1), label.repeat(20), list("abc"), np.tile(events, 20)
    )  # fmt: skip
    for name in ("acc", "balanced_acc", "f1_macro"):
        assert often[f"{name}_interval"] == pytest.approx(once[f"{name}_interval"])
        assert once[f"{name}_interval"][0] < once[name] < once[f"{name}_interval"][1]
    for of in ("precision", "recall", "f1"):
        low, high = once["per_class"]["b"][f"{of}_interval"]
        assert often["per_class"]["b"][f"{of}_interval"] == pytest.approx([low, high])
        assert low < once["per_class"]["b"][of] < high
    right = (log_probability.argmax(1) == label).double().numpy()
    assert tuple(once["acc_interval"]) == pytest.approx(event_bootstrap(right, events))
    alone = classification_metrics(log_probability.repeat(20, 1), label.repeat(20), list("abc"))
    assert np.diff(alone["acc_interval"]) < 0.4 * np.diff(once["acc_interval"])  # what counting records would claim


def test_resampled_measures_are_those_of_the_drawn_samples() -> None:
    """The same statistic, drawn and computed one resample after the other."""
    log_probability, label = random_case(n=40, k=3)
    events, predicted = np.arange(40) // 4, log_probability.argmax(1)
    generator, found = np.random.default_rng(0), []
    for counts in generator.multinomial(10, np.full(10, 0.1), 2000):
        confusion = np.bincount(3 * label + predicted, counts[events], 9).reshape(3, 3)
        there = confusion.sum(1) > 0
        found.append((2 * confusion.diagonal() / np.maximum(confusion.sum(0) + confusion.sum(1), 1))[there].mean())
    rows = np.repeat(np.arange(40), counts[events])  # of the last one
    by_library = sk.f1_score(label[rows], predicted[rows], average="macro", labels=np.unique(label[rows]))
    assert found[-1] == pytest.approx(by_library)
    result = classification_metrics(log_probability, label, list("abc"), events)
    assert result["f1_macro_interval"] == pytest.approx(np.quantile(found, [0.025, 0.975]))


def test_all_right_is_not_certain() -> None:
    label = torch.arange(12) % 2
    result = classification_metrics(torch.eye(2)[label].log(), label, ("a", "b"), np.arange(12) // 3)
    assert result["n_events"] == 4 and result["acc_interval"] == list(proportion_interval(4, 4))
    for name in ("balanced_acc_interval", "f1_macro_interval"):
        assert 0.3 < result[name][0] < 0.7 and result[name][1] == 1
    json.dumps(result, allow_nan=False)


def test_many_events_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn in pieces, the intervals are the same."""
    values = np.random.default_rng(1).random(50)
    once = event_bootstrap(values, np.arange(50))
    monkeypatch.setattr("seisml.evaluation.bootstrap.NUMBERS_AT_ONCE", 999)
    assert event_bootstrap(values, np.arange(50)) == pytest.approx(once, abs=1e-12)
