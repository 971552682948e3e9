"""What a data set tells the model about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DataFacts:
    """Facts that flow from the data to the model, and travel in its checkpoints.

    Attributes:
        classes: Class names in the order of the integer labels.
        sampling_rate: Sampling rate of the waveforms, in Hz.
        n_samples: Length of one waveform, in samples.
        class_weights: Balanced weight of each class, n / (k * n_c); 0 for classes that are not to be learnt.
    """

    classes: tuple[str, ...]
    sampling_rate: float
    n_samples: int
    class_weights: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, so that a checkpoint that holds them loads with ``weights_only=True``."""
        return {**asdict(self), "classes": list(self.classes), "class_weights": list(self.class_weights)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataFacts:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            tuple(values["classes"]),
            float(values["sampling_rate"]),
            int(values["n_samples"]),
            tuple(values.get("class_weights", ())),
        )
