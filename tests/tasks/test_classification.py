from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.tasks.base import LabelSettings, Predictions
from seisml.tasks.classification import Classification
from seisml.tasks.facts import DataFacts
from seisml.tasks.unlabelled import Unlabelled
from tests.stores import write_store

FACTS = DataFacts(("a", "b"), 100.0, 1000)


def predictions(output, label):
    rows = torch.arange(len(label))
    return Predictions(output, torch.tensor(label), rows, rows, rows.numpy().astype(str), torch.zeros(len(label), 2))


def test_classes_come_from_the_data_set():
    metadata = pd.DataFrame({"trace_category": ["b", None, "a", "Unlabeled"]})
    labels = Classification().read(metadata, LabelSettings(), "store")
    assert labels.values.tolist() == [1, -1, 0, -1] and labels.classes == ("a", "b")
    assert Classification().strata(labels, np.arange(4), "none").tolist() == ["b", "none", "a", "none"]
    assert Classification().facts(labels, np.array([0]), LabelSettings())["classes"] == ("a", "b")


def test_pretraining_needs_no_labels():
    metadata = pd.DataFrame({"trace_name": ["x", "y"]})
    with pytest.raises(UserError, match="no column 'trace_category'"):
        Classification().read(metadata.copy(), LabelSettings(), "store")
    assert not Unlabelled().read(metadata, LabelSettings(), "store").known.any()


def test_the_task_says_how_the_data_module_reads(tmp_path):
    data = StoreDataModule(str(write_store(tmp_path / "store", n_events=0, unlabelled=12)))
    with pytest.raises(UserError, match="no record carries a label"):
        data.setup()
    data.task = Unlabelled()
    with pytest.raises(UserError, match="no labelled record to split"):
        data.setup()  # the split asks for dataset.is_ssl=true


def test_the_constant_predictor_stands_beside_the_metrics():
    answers = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.6, 0.4]]).log()
    scores = Classification().compare(predictions(answers, [0, 1, 1, 1]), torch.tensor([0, 0, 0, 1, -1]), FACTS)
    assert scores["acc"] == 0.75 and scores["constant_acc"] == 0.25  # class a is the most common in training
    assert scores["constant_f1_macro"] == pytest.approx((2 * 0.25 / 1.25 + 0) / 2)


def test_a_noise_class_adds_detection_and_location():
    task = Classification(noise_class="a")
    scores = task.metrics(predictions(torch.eye(2).log_softmax(-1), [0, 1]), FACTS)
    assert scores["detection_acc"] == 1.0 and "detection_acc" not in Classification().metrics(
        predictions(torch.eye(2).log_softmax(-1), [0, 1]), FACTS
    )
