"""Augmentations by name, in order."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms import augmentations
from seisml.transforms.augmentations.base import Augmentation, ViewAugmentation, WaveformAugmentation
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import View
from seisml.values.classes import find_class


def _known() -> dict[str, type[Augmentation]]:
    """The classes that the files of the package ``augmentations`` define, by name."""
    found = {}
    for entry in pkgutil.iter_modules(augmentations.__path__):
        module = importlib.import_module(f"{augmentations.__name__}.{entry.name}")
        for name, value in vars(module).items():
            is_kind = isinstance(value, type) and issubclass(value, WaveformAugmentation | ViewAugmentation)
            if is_kind and value.__module__ == module.__name__ and entry.name != "base":
                found[name] = value
    return found


AUGMENTATIONS = _known()


class Augmentations(nn.Module):
    """A list of augmentations applied one after another: first those of waveforms, then those of views.

    Args:
        names: Class names in order; ``{name: {argument: value}}`` in place of a name sets arguments. Your own class
            goes by its dotted path; derive it from :class:`WaveformAugmentation` or :class:`ViewAugmentation`.

    Raises:
        UserError: Unknown names or arguments, or one of waveforms behind one of views.

    Example:
        >>> Augmentations(["NeighboringCrop", {"RandomAmplitudeJitter": {"low": 0.9, "high": 1.1}}])
        Augmentations(NeighboringCrop(width=0.1, shift=0.25) -> RandomAmplitudeJitter(low=0.9, high=1.1))
    """

    def __init__(self, names: Sequence[str | Mapping[str, Any] | Augmentation]):
        super().__init__()
        if isinstance(names, str | Mapping):
            raise UserError(
                f"augmentations: {names!r} must be a list, such as [NeighboringCrop, RandomAmplitudeJitter]"
            )
        self.steps = nn.ModuleList(_build(entry) for entry in names)
        seen: Counter[str] = Counter()
        self._on_waveforms: list[tuple[WaveformAugmentation, str]] = []
        self._on_views: list[tuple[ViewAugmentation, str]] = []
        for step in self.steps:  # a step keeps its random numbers when others are added before it
            name = type(step).__name__
            stream = f"{name}#{seen[name]}"
            seen[name] += 1
            if isinstance(step, ViewAugmentation):
                self._on_views.append((step, stream))
            elif self._on_views:
                first = type(self._on_views[0][0]).__name__
                raise UserError(
                    f"augmentations: {name} changes waveforms, before the front end; name it before {first}"
                )
            else:
                self._on_waveforms.append((step, stream))

    def __repr__(self) -> str:
        return f"Augmentations({' -> '.join(map(repr, self.steps))})"

    def on_waveforms(
        self, draws: Sequence[Tensor], random: SampleRandom, noise: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """Change waveforms before the front end, each draw by itself.

        Args:
            draws: (B, C, T) each: one, or one for each view.
            random: Random numbers of the samples.
            noise: Recorded noise for each draw, (B, C, T) each.
        """
        changed = list(draws)
        for step, stream in self._on_waveforms:
            for k, draw in enumerate(changed):
                changed[k] = step(draw, random.fork(stream).fork(str(k)), noise[k] if noise is not None else None)
        return tuple(changed)

    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[Tensor, ...]:
        """Change views and return them as the network takes them; those that no step has cropped come out whole."""
        return tuple(view.full() for view in self._changed(views, random, len(self._on_views)))

    def fit(self, batches: Callable[[], Iterable[tuple[tuple[View, ...], SampleRandom]]]) -> dict[str, float]:
        """Settle by training data what the settings of steps leave to them (``auto``), one step after another.

        Args:
            batches: Gives views and the random numbers of their samples; called once for each such step.

        Returns:
            What was found: ``NeighboringCrop.width`` and how near and far crops were told apart with it.
        """
        found = {}
        for number, (step, stream) in enumerate(self._on_views):
            if not step.fitted:
                before = ((self._changed(views, random, number), random.fork(stream)) for views, random in batches())
                found |= {f"{type(step).__name__}.{name}": value for name, value in step.fit(before).items()}
        return found

    def _changed(self, views: tuple[View, ...], random: SampleRandom, n_steps: int) -> tuple[View, ...]:
        """Views behind the first steps."""
        for step, stream in self._on_views[:n_steps]:
            views = step(views, random.fork(stream))
        return views


def _build(entry: str | Mapping[str, Any] | Augmentation) -> Augmentation:
    if isinstance(entry, Augmentation):
        return entry
    if isinstance(entry, Mapping):
        if len(entry) != 1:
            raise UserError(f"augmentations: write one name per entry, not {sorted(map(str, entry))}")
        ((name, arguments),) = entry.items()
    else:
        name, arguments = entry, None
    kind = find_class(name, Augmentation, "augmentations", AUGMENTATIONS)
    try:
        return kind(**dict(arguments or {}))
    except (TypeError, ValueError) as error:
        raise UserError(f"augmentations: {name}: {error}") from None
