from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seisml.comparison.tables import Table, classify


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
