"""Trained classifiers, and what has to be done to recordings before they see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seisml.errors import UserError
from seisml.methods.base import Method
from seisml.methods.classifier import Classifier
from seisml.run.build import load_method
from seisml.waveforms.preprocessing import Preprocessing


def load_classifier(path: str | Path, trust: Sequence[str] = ()) -> Classifier:
    """Load a checkpoint or a bundle that gives class probabilities; see :func:`seisml.run.build.load_method`.

    Raises:
        UserError: It cannot be loaded, or gives something else.
    """
    return classifier(load_method(path, trust), path)


def classifier(method: Method, path: str | Path) -> Classifier:
    """The method, where it gives class probabilities.

    Raises:
        UserError: It gives something else.
    """
    if not isinstance(method, Classifier):
        raise UserError(
            f"checkpoint {path} gives {method.task.gives}, and recordings want class probabilities; "
            "give one that finetune.py trained on classes"
        )
    return method


def network_preprocessing(
    method: Classifier,
    path: str | Path,
    components: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Preprocessing:
    """The preprocessing that a model was trained with, at the network's rate and length.

    Args:
        method: What :func:`load_classifier` gave.
        path: Where it came from, for messages.
        components: In place of the model's; ZNE where a network of three says nothing.
        changes: Other steps in place of the model's.

    Raises:
        WrongStep: A change makes no sense.
        UserError: The components are not the network's.
    """
    steps, facts = Preprocessing.from_record(method.run_record, f"checkpoint {path}"), method.facts
    components = components or steps.components
    if components is None and method.in_channels == 3:
        components = "ZNE"
    if components is None and method.in_channels > 1:
        raise UserError(f"the checkpoint's network takes {method.in_channels} components; name them with --components")
    if components is not None and method.in_channels not in (1, len(components)):
        raise UserError(
            f"--components: {components} are {len(components)}, the checkpoint's network takes {method.in_channels}; "
            "name that many"
        )
    length = facts.n_samples / facts.sampling_rate
    given = {"components": components, "length": length, **(changes or {})}
    return replace(steps, sampling_rate=facts.sampling_rate, **given)
