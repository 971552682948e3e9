"""Other data for a model that is trained: what must fit, what is cut or filled, and what is left out."""

from __future__ import annotations

import numpy as np

from seisml.data.splits import Split
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.tasks.base import Labels
from seisml.tasks.facts import DataFacts
from seisml.waveforms.preprocessing import Preprocessing

NOTHING = np.empty(0, dtype=np.int64)


def check_rate(store: Store, sampling_rate: float, facts: DataFacts) -> None:
    """Refuse records of another sampling rate than the model's.

    Raises:
        UserError: Names both rates and the cure.
    """
    if not np.isclose(sampling_rate, facts.sampling_rate, rtol=1e-6):
        raise UserError(
            f"{store.root} has {sampling_rate:.10g} Hz, and the model was trained at {facts.sampling_rate:.10g} Hz; "
            f"prepare it again with --sampling-rate {facts.sampling_rate:.10g}"
        )


def all_to_test(labels: Labels, unlabelled_too: bool) -> Split:
    """A split that tests everything with a label, or simply everything."""
    rows = np.arange(len(labels.known)) if unlabelled_too else np.flatnonzero(labels.known)
    return Split(NOTHING, NOTHING, rows.astype(np.int64))


def remarks(
    store: Store, labels: Labels, facts: DataFacts, unlabeled: str, cut: bool, trained: Preprocessing | None = None
) -> list[str]:
    """What a model meets in other data that it did not in training, a line each.

    Args:
        store: The other data.
        labels: As the model's classes name them.
        facts: What the model was trained on.
        unlabeled: Class name that means "no label".
        cut: Whether records are cut into windows.
        trained: What was done to the recordings that it was trained on.
    """
    said = []
    lengths = store.n_samples
    if not cut and (short := int((lengths < facts.n_samples).sum())):
        said.append(f"{short} of {len(store)} records are shorter than the model's {facts.n_samples} samples: filled "
                    "with zeros at the end")  # fmt: skip
    if not cut and (long := int((lengths > facts.n_samples).sum())):
        said.append(f"{long} of {len(store)} records are longer than the model's {facts.n_samples} samples: their "
                    "beginnings are taken")  # fmt: skip
    if facts.classes:
        names = store.metadata["trace_category"].to_numpy(str)
        foreign = np.unique(names[~labels.known & (names != unlabeled)])
        if len(foreign):
            n = int(np.isin(names, foreign).sum())
            said.append(f"{n} records of classes that the model does not know are not scored: {', '.join(foreign[:9])}")
        here = set(names[labels.known])
        missing = [name for name in facts.classes if name not in here]
        if here and missing:
            said.append(f"no record of class {', '.join(missing[:9])}")
    steps = store.preprocessing
    if trained is not None and trained.known and steps.known:
        other = [
            f"{step} {getattr(steps, step)} (not {getattr(trained, step)})"
            for step in ("components", "bandpass", "detrend", "unit")
            if getattr(steps, step) != getattr(trained, step)
        ]
        if other:
            said.append(f"prepared otherwise than the training data: {', '.join(other)}")
    return said
