"""The closing table of a prepare step: what went in, what was left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from seisml.terminal.text_table import text_table
from seisml.waveforms.record import Record

MAX_LINES = 200


@dataclass
class _ClassCount:
    records: int = 0
    skipped: int = 0
    dead: int = 0
    traces: set[int] = field(default_factory=set)
    rates: set[float] = field(default_factory=set)
    lengths: set[float] = field(default_factory=set)


class PrepareReport:
    """Counts per class and reasons per skipped file.

    Args:
        classes: Class names that the table must list, even where nothing of them could be read.

    Attributes:
        notes: Lines to add below the table.
    """

    def __init__(self, classes: list[str]) -> None:
        self._counts = {name: _ClassCount() for name in classes}
        self._skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self._remarks: Counter[str] = Counter()
        self._padded: list[float] = []

    @property
    def rates(self) -> list[float]:
        """Sampling rates in Hz that occur, ascending."""
        return sorted(set().union(*(count.rates for count in self._counts.values())))

    def add(self, label: str, record: Record) -> None:
        """Count a record of a class."""
        count = self._counts.setdefault(label, _ClassCount())
        rate = record.metadata["trace_sampling_rate_hz"]
        count.records += 1
        count.dead += record.n_dead
        count.traces.add(len(record.waveform))
        count.rates.add(rate)
        count.lengths.add(round(record.waveform.shape[1] / rate, 9))
        self._remarks.update(record.notes)
        if record.padded:
            self._padded.append(record.padded)

    def skip(self, label: str, name: str, reason: str) -> None:
        """Count a file that was left out; an empty label is none of the classes."""
        if label:
            self._counts.setdefault(label, _ClassCount()).skipped += 1
        self._skipped.append((name, reason))

    def text(self, detrended: bool) -> str:
        """Lay out the table.

        Args:
            detrended: Whether traces were detrended, so that zeros appended to them make no step.
        """
        rows = [_row(name, self._counts[name], self._counts[name].skipped) for name in sorted(self._counts)]
        counts = self._counts.values()
        every = _ClassCount(records=sum(c.records for c in counts), dead=sum(c.dead for c in counts))
        rows.append(_row("all", every, len(self._skipped)))
        lines = [text_table(rows)]
        lines += [f"no records of class {name!r}" for name in sorted(self._counts) if not self._counts[name].records]
        if self._padded:
            cure = "" if detrended else " (--detrend constant keeps the zeros from making a step)"
            longest = f"{max(self._padded):.6g}"
            lines.append(f"{len(self._padded)} records padded with zeros at the end, by up to {longest} s{cure}")
        lines += [f"{count} records: {note}" for note, count in self._remarks.most_common()]
        lines += self.notes
        if len(self.rates) > 1:
            rates = ", ".join(f"{rate:.10g}" for rate in self.rates)
            lines.append(
                f"sampling rates differ ({rates} Hz), and training wants one: --sampling-rate {self.rates[0]:.10g}"
            )
        if self._skipped:
            lines.append(f"skipped {len(self._skipped)}:")
            lines += [f"  {name}: {reason}" for name, reason in self._skipped[:MAX_LINES]]
            if len(self._skipped) > MAX_LINES:
                lines.append(f"  ... and {len(self._skipped) - MAX_LINES} more, all listed in the store's prepare.json")
        return "\n".join(lines)


def _span(values: set[float] | set[int]) -> str:
    """One value, both of two, or the range."""
    if not values:
        return "-"
    low, high = min(values), max(values)
    return f"{low:.10g}" if low == high else f"{low:.10g} {'and' if len(values) == 2 else 'to'} {high:.10g}"


def _row(label: str, count: _ClassCount, skipped: int) -> dict[str, str | int]:
    return {
        "class": label,
        "records": count.records,
        "traces": _span(count.traces),
        "sampling rate (Hz)": _span(count.rates),
        "length (s)": _span(count.lengths),
        "dead traces": count.dead,
        "skipped files": skipped,
    }
