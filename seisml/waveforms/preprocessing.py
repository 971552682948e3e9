"""What is done to every recording before a network sees it: one object for stores, checkpoints and continuous records.

The order is fixed. Gaps are filled in the samples as recorded and components chosen; then the longest stretch at hand
is resampled and band-passed; then the window is cut, and its trend removed last, from exactly the samples that the
network gets. So a window is the same however long a stretch was read around it, once filters have settled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from seisml.errors import UserError, nearest
from seisml.waveforms.process import (
    bandpass,
    bandpass_margin,
    detrend,
    rate_ratio,
    resample,
    resampling_margin,
)

GAPS, TRENDS = ("zero", "interpolate"), ("constant", "linear")
LONGEST_MARGIN = 86_400.0  # s: a filter that takes longer to settle is refused, a rate that needs more is no rate
LARGEST_RATE = 1e9  # Hz


@dataclass(frozen=True)
class Preprocessing:
    """The steps, in their order.

    Attributes:
        gaps: Put zeros or a straight line (``"interpolate"``) into gaps; None refuses them.
        components: Component codes, in this order, like ``"ZNE"``; None for every trace there is.
        sampling_rate: Resample to this rate in Hz; None keeps the recording's.
        bandpass: Corners in Hz of a zero-phase Butterworth filter, after resampling; None for none.
        length: Cut to this many seconds, or pad with zeros; None keeps what there is.
        detrend: Remove each window's mean (``"constant"``) or straight line (``"linear"``), last; None for neither.
        unit: Unit of the samples, which no step changes; None where nobody said it.
        known: False where the data were prepared elsewhere, and there may have been steps that are not named here.

    Raises:
        UserError: A value makes no sense.
    """

    gaps: Literal["zero", "interpolate"] | None = None
    components: str | None = None
    sampling_rate: float | None = None
    bandpass: tuple[float, float] | None = None
    length: float | None = None
    detrend: Literal["constant", "linear"] | None = None
    unit: str | None = None
    known: bool = True

    def __post_init__(self) -> None:
        if self.bandpass is not None and isinstance(self.bandpass, list):  # as JSON has it
            object.__setattr__(self, "bandpass", tuple(self.bandpass))
        for name, wrong in _CHECKS.items():
            value = getattr(self, name)
            if value is not None and (problem := wrong(value)):
                raise WrongStep(name, problem)
        if self.length is not None and self.sampling_rate is not None and self.length * self.sampling_rate < 1:
            raise WrongStep("length", f"{self.length:g}: is shorter than a sample")
        if self.bandpass is not None and self.sampling_rate is not None:
            (low, high), rate = self.bandpass, self.sampling_rate
            if high >= rate / 2:
                limit = f"HIGH must be below {rate / 2:g} Hz, half of the sampling rate"
                raise WrongStep("bandpass", f"{low:g} {high:g}: {limit}")
            if bandpass_margin(rate, low, high) > LONGEST_MARGIN:
                raise WrongStep("bandpass", f"{low:g} {high:g}: takes more than a day to settle; take a wider band")

    @property
    def longest_gap(self) -> float:
        """Seconds up to which a gap is filled in a continuous record: those of a window."""
        return self.length or 0.0 if self.gaps else 0.0

    # -- the steps -------------------------------------------------------------------------------------------------
    def target_rate(self, sampling_rate: float) -> float:
        """Rate in Hz of a recording of ``sampling_rate`` afterwards."""
        return sampling_rate if self.sampling_rate is None else self.sampling_rate

    def margin(self, sampling_rate: float) -> float:
        """Seconds to read beyond a window's ends, in a recording of this rate, so that filters have settled in it."""
        rate = self.target_rate(sampling_rate)
        margin = resampling_margin(sampling_rate, rate)
        if self.bandpass is not None and self.bandpass[1] < rate / 2:
            margin += bandpass_margin(rate, *self.bandpass)
        return min(margin, LONGEST_MARGIN)

    def filtered(self, x: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Band-pass a stretch, (..., T), that has been resampled."""
        return x if self.bandpass is None else bandpass(x, sampling_rate, *self.bandpass)

    def on_stretch(self, x: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Resample and band-pass an unbroken stretch.

        Args:
            x: (..., T) samples.
            sampling_rate: Their rate in Hz.

        Returns:
            (..., T') samples at :meth:`target_rate`, the first at the same time.

        Raises:
            Unusable: The recording cannot be brought to the rate, or has too low a rate for the band-pass.
        """
        rate = self.target_rate(sampling_rate)
        return self.filtered(resample(x, sampling_rate, rate), rate)

    def on_window(self, x: np.ndarray) -> np.ndarray:
        """Remove the trend from windows, (..., T): the last step."""
        return x if self.detrend is None else detrend(x, self.detrend)

    def part(self, x: np.ndarray, sampling_rate: float, first: int, n_samples: int) -> np.ndarray:
        """Preprocess a stretch, but for the trend, and take a part of it.

        Args:
            x: (T,) samples of the stretch as recorded.
            sampling_rate: Their rate in Hz.
            first: Sample as recorded with which the part begins, so that resampling keeps its time.
            n_samples: Wanted at :meth:`target_rate`; fewer where the stretch ends.

        Returns:
            (n_samples,).
        """
        ratio = rate_ratio(sampling_rate, self.target_rate(sampling_rate))
        before = first // ratio.denominator  # whole periods: the filter's phase is that of the part's first sample
        offset = before * ratio.numerator
        return self.on_stretch(x[first - before * ratio.denominator :], sampling_rate)[offset : offset + n_samples]

    # -- on disk ---------------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for checkpoints that load with ``weights_only=True``."""
        return {**asdict(self), "bandpass": None if self.bandpass is None else list(self.bandpass)}

    @classmethod
    def from_dict(cls, values: Any, where: str) -> Preprocessing:
        """Read what :meth:`to_dict` wrote, from a file that may say anything.

        Args:
            values: The mapping.
            where: Names the file in messages.

        Raises:
            UserError: It is not a mapping, or a key or value makes no sense.
        """
        if not isinstance(values, Mapping):
            raise UserError(f"{where}: its preprocessing is a {type(values).__name__}, not a mapping; make it again")
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                cure = nearest(_shown(key), names)
                raise UserError(f"{where}: preprocessing has no step {_shown(key)!r}; {cure}")
        try:
            return cls(**values)
        except WrongStep as error:
            raise UserError(f"{where}: preprocessing.{error.step} {error.problem}") from error

    @classmethod
    def from_earlier(cls, values: Any, where: str) -> Preprocessing:
        """Read what stores and checkpoints said before there was this object: some of the steps, among other keys."""
        values = values if isinstance(values, Mapping) else {}
        nested = values.get("reading")
        values = nested if isinstance(nested, Mapping) else values
        names = {"fill_gaps": "gaps"} | {field.name: field.name for field in fields(cls) if field.name != "known"}
        said = {name: values[key] for key, name in names.items() if key in values}
        return cls.from_dict({**said, "known": bool(said)}, where)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: str) -> Preprocessing:
        """The preprocessing that a checkpoint's record carries, as of any version."""
        if "preprocessing" in record:
            return cls.from_dict(record["preprocessing"], where)
        return cls.from_earlier(record.get("data"), where)


class WrongStep(UserError):
    """A step whose value makes no sense: which, and why."""

    def __init__(self, step: str, problem: str) -> None:
        super().__init__(f"preprocessing.{step} {problem}")
        self.step, self.problem = step, problem


# -- what a value may be: None where it is right, else what is wrong ---------------------------------------------------
def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _one_of(names: tuple[str, ...]) -> Callable[[Any], str | None]:
    def wrong(value: Any) -> str | None:
        return None if value in names else f"{_shown(value)}: {nearest(_shown(value), names)}"

    return wrong


def _wrong_components(value: Any) -> str | None:
    fits = isinstance(value, str) and value.isalnum() and len(set(value)) == len(value)
    return None if fits else f"{_shown(value)}: want one letter per component without repeats, like ZNE"


def _wrong_rate(value: Any) -> str | None:
    if not _is_number(value) or not 0 < value <= LARGEST_RATE:
        return f"{_shown(value)}: must be greater than 0, and at most {LARGEST_RATE:g} Hz"
    return None


def _wrong_length(value: Any) -> str | None:
    return None if _is_number(value) and value > 0 else f"{_shown(value)}: must be greater than 0"


def _wrong_band(value: Any) -> str | None:
    if not isinstance(value, tuple) or len(value) != 2 or not all(map(_is_number, value)):
        return f"{_shown(value)}: want two corners in Hz"
    return None if 0 < value[0] < value[1] else f"{value[0]:g} {value[1]:g}: want 0 < LOW < HIGH, in Hz"


def _wrong_unit(value: Any) -> str | None:
    fits = isinstance(value, str) and len(value) <= 40 and value.isprintable()
    return None if fits else f"{_shown(value)}: want up to 40 printable letters"


def _wrong_known(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{_shown(value)}: want true or false"


def _shown(value: Any) -> str:
    text = f"{value:g}" if _is_number(value) else " ".join(str(value).split())
    return text if len(text) <= 40 else text[:37] + "..."


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "gaps": _one_of(GAPS),
    "components": _wrong_components,
    "sampling_rate": _wrong_rate,
    "bandpass": _wrong_band,
    "length": _wrong_length,
    "detrend": _one_of(TRENDS),
    "unit": _wrong_unit,
    "known": _wrong_known,
}
