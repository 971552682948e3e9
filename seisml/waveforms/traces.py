"""What a waveform file holds, as plain values, and how much of it is believed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from seisml.waveforms.process import Unusable
from seisml.waveforms.sac_header import SacHeader


@dataclass(frozen=True)
class Bounds:
    """What is too much to be meant; checked before it is allocated.

    Attributes:
        longest_gap: Longest gap that is filled, in s.
        largest_record: Most that one recording may take up, in GiB of float32.
    """

    longest_gap: float = 3600.0
    largest_record: float = 1.0

    @property
    def n_samples(self) -> int:
        """Most samples of one recording, over all its traces."""
        return int(self.largest_record * 2**30 / 4)

    def check(self, n_samples: float, what: str = "it") -> None:
        """Refuse more samples than a recording may have.

        Raises:
            Unusable: With the size and the option that allows it.
        """
        if not n_samples <= self.n_samples:
            size = n_samples * 4 / 2**30
            raise Unusable(f"{what} would take {size:.4g} GiB; --largest-record would allow more than "
                           f"{self.largest_record:g} GiB")  # fmt: skip


@dataclass(frozen=True)
class TraceHeader:
    """Header of one trace: its codes, the times of its first and last sample in ns since 1970, its rate in Hz."""

    network: str
    station: str
    location: str
    channel: str
    start: int
    end: int
    sampling_rate: float
    n_samples: int

    @property
    def id(self) -> str:
        """NET.STA.LOC.CHA, ``"..."`` where unknown."""
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"


@dataclass(frozen=True)
class RawTrace(TraceHeader):
    """A trace as recorded; ``samples`` (T,) in the file's type of number, ``sac`` where the file is one of SAC."""

    samples: np.ndarray = field(repr=False, compare=False)
    sac: SacHeader | None = None


@dataclass
class WaveformFile:
    """What a file holds.

    Attributes:
        traces: In the file's order; those of samples that are not numbers (log channels) are left out.
        remarks: What ObsPy warned about, each once.
        lost: What the file lost without a trace of it in the samples; empty where all is there.
    """

    traces: list[RawTrace]
    remarks: list[str] = field(default_factory=list)
    lost: str = ""
