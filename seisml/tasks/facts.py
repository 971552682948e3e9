"""What a data set tells the model about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from seisml.errors import UserError
from seisml.values.stored import read_stored


@dataclass(frozen=True)
class Quantity:
    """A number that is predicted, and its statistics over the training part.

    Attributes:
        name: Column of the metadata that holds it.
        unit: Its unit; empty where none is known.
        mean: Mean.
        std: Standard deviation, above 0.
        median: Median, the best constant answer by absolute error.
        low: Least value, or the lower end of the range that the data set states.
        high: Largest value, or the upper end of that range.
    """

    name: Annotated[str, Field(max_length=1000)]
    unit: Annotated[str, Field(max_length=100)]
    mean: float
    std: Annotated[float, Field(gt=0)]
    median: float
    low: float
    high: float

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class DataFacts:
    """Facts that flow from the data to the model, and travel in its checkpoints.

    Attributes:
        classes: Class names in the order of the integer labels.
        sampling_rate: Sampling rate of the waveforms, in Hz.
        n_samples: Length of one waveform, in samples.
        class_weights: Balanced weight of each class, n / (k * n_c); 0 for classes that are not to be learnt.
        quantity: What is predicted where labels are numbers.
        n_pieces: Equal pieces that a waveform is a sequence of.
        in_channels: Traces in one view.
    """

    classes: Annotated[tuple[str, ...], Field(max_length=100_000)]
    sampling_rate: Annotated[float, Field(ge=1e-6, le=1e9)]
    n_samples: Annotated[int, Field(ge=1, le=10**9)]
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    quantity: Quantity | None = None
    n_pieces: Annotated[int, Field(ge=1, le=10**6)] = 1
    in_channels: Annotated[int, Field(ge=1, le=4096)] = 1

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # for what a checkpoint says; see from_dict

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, so that a checkpoint that holds them loads with ``weights_only=True``."""
        return {**asdict(self), "classes": list(self.classes), "class_weights": list(self.class_weights)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataFacts:
        """Read what :meth:`to_dict` wrote.

        Raises:
            UserError: A fact is missing, unknown, of another type or out of the bounds that stand at the attributes.
        """
        facts = read_stored(cls, values, "facts")
        if facts.class_weights and len(facts.class_weights) != len(facts.classes):
            raise UserError(f"facts: {len(facts.class_weights)} class_weights for {len(facts.classes)} classes")
        return facts
