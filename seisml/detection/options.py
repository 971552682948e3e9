"""What ``seisml predict`` can be asked for; light, so that a wrong option is told before PyTorch is imported."""

from __future__ import annotations

from dataclasses import dataclass

from seisml.errors import UserError, nearest
from seisml.waveforms.traces import Bounds
from seisml.workers.cluster import STARTED

WITHIN = 10.0  # seconds
THRESHOLD = 0.5  # where neither the user nor the checkpoint names one
MISSING = ("skip", "zeros")


@dataclass(frozen=True)
class PredictOptions:
    """Options of :func:`seisml.detection.predict.predict`; see ``seisml predict --help``.

    Raises:
        UserError: A value that nothing can be done with.
    """

    step: float = 1.0
    threshold: float | None = None  # the checkpoint's, else THRESHOLD
    min_length: float = 0.0
    join: float = 0.0
    stations_at_least: int | None = None
    within: float = WITHIN
    classes: tuple[str, ...] | None = None
    noise_class: str | None = None
    components: str | None = None
    missing: str = MISSING[0]
    bandpass: tuple[float, float] | None = None
    detrend: str | None = None
    precision: str = "float32"
    device: str = "cpu"
    quakeml: bool = False
    plots: bool = True
    scheduler: str | None = None
    workers: int | None = None
    trust: tuple[str, ...] = ()
    progress: bool = False
    largest_record: float = Bounds.largest_record

    def __post_init__(self) -> None:
        """Refuse what nothing can be done with."""
        if self.stations_at_least is not None and self.stations_at_least < 2:
            raise UserError(
                f"--stations-at-least: {self.stations_at_least} is not a number of stations; give 2 or more"
            )
        if not 0 < self.within < float("inf"):
            raise UserError(f"--within: {self.within:g} s is not a length of time; give more than 0")
        if self.missing not in MISSING:
            raise UserError(f"--missing: {self.missing!r} is unknown; {nearest(self.missing, MISSING)}")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers: {self.workers} is not a number of processes; give 1 or more")
        if self.workers is not None and self.scheduler not in STARTED:
            raise UserError("--workers: sets the size of a cluster that is started here; add --scheduler local")
        if not self.largest_record > 0:
            raise UserError(f"--largest-record {self.largest_record:g}: must be greater than 0")
