"""Encoders with a linear layer behind them, as recipes put them together."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from seisml.networks import Encoder


def with_classifier(encoder: Encoder, n_classes: int) -> nn.Sequential:
    """Scores of the classes; parameters have the names that they have in a recipe."""
    return nn.Sequential(OrderedDict(encoder=encoder, classifier=nn.Linear(encoder.out_size, n_classes)))
