"""Augmentations by name, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from seisml.classes import find_class
from seisml.errors import UserError
from seisml.transforms.amplitude import RandomAmplitudeJitter, ToTensor
from seisml.transforms.crops import NeighboringCrop, RandomCrop
from seisml.transforms.noise import GaussianNoise
from seisml.transforms.picture import Picture, WaveformPicture
from seisml.transforms.randomness import SampleRandom

AUGMENTATIONS: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (NeighboringCrop, RandomCrop, RandomAmplitudeJitter, GaussianNoise, ToTensor)
}


class Augmentations(nn.Module):
    """A list of augmentations applied one after another.

    Args:
        names: Class names in order; ``{name: {argument: value}}`` in place of a name sets arguments. Your own class
            goes by its dotted path and is called with (views, :class:`~seisml.transforms.randomness.SampleRandom`).

    Raises:
        UserError: Unknown names or arguments.

    Example:
        >>> Augmentations(["NeighboringCrop", {"RandomAmplitudeJitter": {"low": 0.9, "high": 1.1}}])
        Augmentations(NeighboringCrop(width=0.1, shift=0.25) -> RandomAmplitudeJitter(low=0.9, high=1.1))
    """

    def __init__(self, names: Sequence[str | Mapping[str, Any] | nn.Module]):
        super().__init__()
        if isinstance(names, str | Mapping):
            raise UserError(
                f"augmentations: {names!r} must be a list, such as [NeighboringCrop, RandomAmplitudeJitter]"
            )
        self.steps = nn.ModuleList(_build(entry) for entry in names)
        seen: Counter[str] = Counter()
        self._streams = []
        for step in self.steps:  # a step keeps its random numbers when others are added before it
            name = type(step).__name__
            self._streams.append(f"{name}#{seen[name]}")
            seen[name] += 1

    def __repr__(self) -> str:
        return f"Augmentations({' -> '.join(map(repr, self.steps))})"

    def forward(self, views: tuple[Picture | WaveformPicture, ...], random: SampleRandom) -> tuple[Tensor, ...]:
        """Return the views as tensors; pictures that no step has cropped come out whole."""
        for step, stream in zip(self.steps, self._streams, strict=True):
            views = step(views, random.fork(stream))
        return tuple(view if isinstance(view, Tensor) else view.full() for view in views)


def _build(entry: str | Mapping[str, Any] | nn.Module) -> nn.Module:
    if isinstance(entry, nn.Module):
        return entry
    if isinstance(entry, Mapping):
        if len(entry) != 1:
            raise UserError(f"augmentations: write one name per entry, not {sorted(map(str, entry))}")
        ((name, arguments),) = entry.items()
    else:
        name, arguments = entry, None
    kind = find_class(name, nn.Module, "augmentations", AUGMENTATIONS)
    try:
        return kind(**dict(arguments or {}))
    except (TypeError, ValueError) as error:
        raise UserError(f"augmentations: {name}: {error}") from None
