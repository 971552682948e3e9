"""From which probability on is it an event? A threshold chosen on the dev part, which neither trains nor tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from seisml.evaluation.metrics import classification_metrics
from seisml.values.class_names import NOISE
from seisml.values.stored import read_stored

MEASURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Decision:
    """A threshold on the probability of an event: the sum over all classes but the one that means noise.

    With two classes it decides between them. With more it decides whether there is an event at all; which one is still
    the most likely class.

    Attributes:
        noise_class: Class that means "no event".
        threshold: Least probability of an event; the one with the largest F1 on the dev part.
        f1: That F1.
        n_events: Samples of events in the dev part.
        n_noise: Samples of noise in the dev part.
    """

    noise_class: Annotated[str, Field(max_length=1000)]
    threshold: Annotated[float, Field(gt=0, le=1)]
    f1: Annotated[float, Field(ge=0, le=1)]
    n_events: Annotated[int, Field(ge=1)]
    n_noise: Annotated[int, Field(ge=1)]

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # for what a checkpoint says

    def __str__(self) -> str:
        counts = f"{self.n_events} events, {self.n_noise} without"
        return f"{self.threshold:.3g} on the probability of an event, the best of the dev part ({counts})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Decision | None:
        """Read what a checkpoint's record says; None where it has none.

        Raises:
            UserError: What it says is not a decision.
        """
        said = record.get("decision")
        return None if said is None else read_stored(cls, said, "decision")


def find_noise(classes: Sequence[str], named: str | None = None) -> str | None:
    """The class that means "no event": the one that is named, else the one called noise, in whatever case."""
    return named or next((name for name in classes if name.lower() == NOISE), None)


def choose(log_probability: Tensor, label: Tensor, classes: Sequence[str], noise_class: str) -> Decision | None:
    """Choose the threshold with the largest F1 of events, half way to the next lower probability of a sample.

    Args:
        log_probability: (N, K), of samples that neither train nor test.
        label: (N,) class numbers; -1 means unlabelled and is left out.
        classes: Class names.
        noise_class: The one that means "no event".

    Returns:
        The decision; None without a sample of noise or of an event.
    """
    probability, is_event = event_probability(log_probability, label, classes, noise_class)
    if not is_event.any() or is_event.all():
        return None
    from sklearn.metrics import precision_recall_curve  # here: a first step need not wait for it

    precision, recall, thresholds = precision_recall_curve(is_event, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(np.argmax(f1[:-1]))  # the last point has no threshold: nothing is called an event there
    lower = probability[probability < thresholds[best]].max(initial=0.0)
    threshold = float(np.clip((thresholds[best] + lower) / 2, np.finfo(np.float32).tiny, 1.0))
    return Decision(noise_class, threshold, float(f1[best]), int(is_event.sum()), int((~is_event).sum()))


def scores_at(
    decision: Decision, log_probability: Tensor, label: Tensor, classes: Sequence[str], event: np.ndarray
) -> dict[str, Any]:
    """Precision, recall and F1 of events at a threshold, with intervals; of samples that did not choose it.

    Args:
        decision: The threshold.
        log_probability: (N, K).
        label: (N,) class numbers; -1 means unlabelled and is left out.
        classes: Class names.
        event: (N,) names of the events that the samples belong to.
    """
    probability, is_event = event_probability(log_probability, label, classes, decision.noise_class)
    called = torch.from_numpy((probability >= decision.threshold).astype(np.int64))
    answers = torch.eye(2)[called].log()
    found = classification_metrics(answers, torch.from_numpy(is_event.astype(np.int64)), (NOISE, "event"),
                                   np.asarray(event)[label.numpy() >= 0])["per_class"]["event"]  # fmt: skip
    return {"threshold": decision.threshold} | {
        name: found[name] for measure in MEASURES for name in (measure, f"{measure}_interval")
    }


def average_precisions(probability: Tensor, label: Tensor, classes: Sequence[str]) -> dict[str, float | None]:
    """Area below the precision-recall curve of each class against the others; None without samples of both.

    Args:
        probability: (N, K).
        label: (N,) class numbers; -1 means unlabelled and is left out.
        classes: Class names.
    """
    from sklearn.metrics import average_precision_score  # here: a first step need not wait for it

    known = label >= 0
    probability, true = probability[known].numpy(), label[known].numpy()
    members = {str(name): true == k for k, name in enumerate(classes)}
    return {
        name: float(average_precision_score(member, probability[:, k])) if member.any() and not member.all() else None
        for k, (name, member) in enumerate(members.items())
    }


def event_probability(
    log_probability: Tensor, label: Tensor, classes: Sequence[str], noise_class: str
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of an event, the sum over all classes but noise, and whether there is one: (n labelled samples,)."""
    noise, known = list(classes).index(noise_class), label >= 0
    probability = log_probability[known].double().exp()
    others = [k for k in range(len(classes)) if k != noise]
    return probability[:, others].sum(1).numpy(), (label[known] != noise).numpy()
