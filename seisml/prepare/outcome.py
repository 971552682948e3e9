"""What became of one thing that a prepare step wanted to store."""

from __future__ import annotations

from dataclasses import dataclass, field

from seisml.waveforms.record import Record


@dataclass
class Outcome:
    """What came of one planned record.

    Attributes:
        name: How messages call it.
        records: The record, or its windows; empty where there is a reason.
        reasons: Why nothing, or not every window, could be made.
        flat: Channels without any signal, which are kept.
    """

    name: str
    records: list[Record] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)
