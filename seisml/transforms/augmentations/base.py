"""The two kinds of augmentation, and what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.views import View


class Augmentation(nn.Module):
    """One random change of the samples of a batch. All random numbers come from the samples' keys."""

    def check_share(self, share: float) -> float:
        """Return a share of the samples; refuse what is none.

        Raises:
            UserError: Unless it lies between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise UserError(f"{type(self).__name__}: share={share} must lie between 0 and 1")
        return float(share)

    def check_range(self, low: float, high: float, least: float) -> tuple[float, float]:
        """Return the ends of a range; refuse it where it is upside down or begins below ``least``."""
        if not least <= low <= high:
            raise UserError(f"{type(self).__name__}: low={low}, high={high} must satisfy {least:g} <= low <= high")
        return float(low), float(high)


class WaveformAugmentation(Augmentation):
    """A change of waveforms, before the front end. Each view of pretraining is changed by itself."""

    @abstractmethod
    def forward(self, waveform: Tensor, random: SampleRandom, noise: Tensor | None = None) -> Tensor:
        """Change waveforms.

        Args:
            waveform: (B, C, T), as recorded.
            random: Random numbers of the samples.
            noise: (B, C, T) recorded noise of the same data set (``dataset.recorded_noise``), None where there is none.

        Returns:
            (B, C, T), another tensor.
        """


class ViewAugmentation(Augmentation):
    """A change of the views behind the front end, all of them together.

    Attributes:
        fitted: Whether all of its settings are numbers; ``auto`` is none before :meth:`fit`.
    """

    fitted: bool = True

    def fit(self, batches: Iterable[tuple[tuple[View, ...], SampleRandom]]) -> dict[str, float]:
        """Settle by views of training data what a setting leaves to them (``auto``).

        Args:
            batches: The views that the step will change, and the random numbers of their samples.

        Returns:
            What was found, by name.
        """
        return {}

    @abstractmethod
    def forward(self, views: tuple[View, ...], random: SampleRandom) -> tuple[View, ...]:
        """Return the changed views of the batch; there may be more or fewer of them."""


def chosen(random: SampleRandom, share: float) -> Tensor:
    """Choose a share of the samples: (B, 1, 1) bool."""
    return random.uniform("whether", 1)[..., None] < share
