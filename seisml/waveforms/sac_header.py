"""What SAC headers say beside the samples: places, depth, magnitude, and picked arrivals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

DepthUnit = Literal["km", "m"]
UNDEFINED = -12345.0
SINGLE = 2.0**-22  # what a single-precision number is off by, relative to it; some programs do not round to the nearest
DEPTH = (-10.0, 1000.0)  # km that are believed; the deepest earthquakes lie at 750
# SAC's name -> SeisBench's column, and what is believed; longitudes may count from 0 to 360
_COLUMNS = {
    "stla": ("station_latitude_deg", -90.0, 90.0),
    "stlo": ("station_longitude_deg", -180.0, 360.0),
    "stel": ("station_elevation_m", -12_000.0, 9_000.0),
    "evla": ("source_latitude_deg", -90.0, 90.0),
    "evlo": ("source_longitude_deg", -180.0, 360.0),
    "mag": ("source_magnitude", -10.0, 10.0),
}
_MARKERS = ("a", *(f"t{number}" for number in range(10)))
# onset, phase, polarity and weight, such as P, Pn, Sg, eS, IPU0
_KIND = re.compile(r"[IE]?([PS])[NGB]?[ CDU+.?-]?[0-4]?", re.IGNORECASE)


@dataclass(frozen=True)
class SacHeader:
    """What one trace's header says and can be believed.

    Attributes:
        columns: SeisBench's columns of the station and the source, but for the depth.
        depth: ``evdp`` as it stands there; None where undefined.
        arrivals: "p" or "s" -> time in ns since 1970 and what the header calls it.
    """

    columns: Mapping[str, float] = field(default_factory=dict)
    depth: float | None = None
    arrivals: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def sac_rate(interval: float) -> float:
    """The sampling rate of a SAC file, in Hz; 0 where its header holds none.

    ObsPy rounds intervals to microseconds, which makes 59.9988 Hz of 60, 3003 of 3000, and nothing of 10 MHz.

    Args:
        interval: ``delta`` as it stands there, in seconds: a single-precision number, of seven digits.
    """
    if not (isfinite(interval) and interval > 0):
        return 0.0
    exact = 1.0 / interval
    for rate in (1.0 / float(f"{interval:.6g}"), float(f"{exact:.6g}")):  # a plain interval, or a plain rate
        if abs(rate * interval - 1.0) < SINGLE:
            return rate
    return exact


def sac_header(values: Mapping[str, Any], start: int, end: int) -> SacHeader:
    """Check a SAC header. What is undefined (-12345), not finite or out of range is left out.

    The first arrival ``a`` is one of P unless ``ka`` says otherwise; ``t0`` to ``t9`` count where ``kt0`` to ``kt9``
    name P or S. The first marker of a phase is taken.

    Args:
        values: The header by SAC's names.
        start: Time of the trace's first sample, in ns since 1970.
        end: Time of the last one; arrivals beyond them are left out.
    """
    columns = {}
    for name, (column, low, high) in _COLUMNS.items():
        value = _number(values, name)
        if value is not None and low <= value <= high:
            turns = name in ("stlo", "evlo") and value > 180.0
            columns[column] = round(value - 360.0, 6) if turns else value
    arrivals: dict[str, tuple[int, str]] = {}
    begin = _number(values, "b") or 0.0
    for name in _MARKERS:
        seconds, kind = _number(values, name), str(values.get(f"k{name}", "")).strip()
        match = _KIND.fullmatch(kind)
        phase = match[1].lower() if match else "p" if name == "a" and kind in ("", "-12345") else None
        if seconds is None or phase is None or phase in arrivals:
            continue
        time = start + round((seconds - begin) * 1e9)
        if start <= time <= end:
            arrivals[phase] = (time, kind if match else "")
    return SacHeader(columns, _number(values, "evdp"), arrivals)


@dataclass
class RecordFacts:
    """What the headers of a record's traces share.

    Attributes:
        columns: SeisBench's columns.
        arrivals: "p" or "s" -> time in ns since 1970 and what the header calls it.
        remarks: What was not believed.
    """

    columns: dict[str, float]
    arrivals: dict[str, tuple[int, str]]
    remarks: list[str] = field(default_factory=list)


def shared_facts(traces: Sequence[tuple[str, Sequence[SacHeader]]], unit: DepthUnit) -> RecordFacts:
    """Take what holds for a whole record.

    A value that some traces of a station tell, and none contradicts, is the station's; what all stations agree on is
    the record's. The source is one for all: of it counts what some station tells and none contradicts. Half a place
    is left out.

    Args:
        traces: "NET.STA" and headers of each; none where a trace was not read from SAC.
        unit: Unit of ``evdp``: SAC's manual says kilometres, and that it was metres before; no header tells which.
    """
    told: dict[str, dict[str, set[Any]]] = {station: {} for station, _ in traces}
    unbelieved = False
    for station, headers in traces:
        for header in headers:
            values: dict[str, Any] = {**header.columns, **header.arrivals}
            if header.depth is not None:
                depth = header.depth if unit == "km" else round(header.depth / 1000.0, 6)
                if DEPTH[0] <= depth <= DEPTH[1]:
                    values["source_depth_km"] = depth
                unbelieved |= depth > DEPTH[1]
            for name, value in values.items():
                told[station].setdefault(name, set()).add(value)
    shared = {}
    for name in {name: None for here in told.values() for name in here}:
        found = set().union(*(here.get(name, set()) for here in told.values()))
        is_everywhere = all(name in here for here in told.values())
        if len(found) == 1 and (is_everywhere or name.startswith("source_")):
            shared[name] = found.pop()
    if unbelieved:  # what is left may be in the wrong unit as well
        shared.pop("source_depth_km", None)
    for which in ("station", "source"):
        pair = (f"{which}_latitude_deg", f"{which}_longitude_deg")
        if not shared.keys() >= set(pair):
            shared = {name: value for name, value in shared.items() if name not in pair}
    arrivals = {phase: shared.pop(phase) for phase in ("p", "s") if phase in shared}
    cure = "; where the files give metres, --sac-depth m is right for all of them" if unit == "km" else ""
    remark = f"evdp beyond {DEPTH[1]:g} km left out{cure}"
    return RecordFacts(shared, arrivals, [remark] if unbelieved else [])


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """A header's float32 as the shortest decimal that means it: 12.6177, not 12.617699623."""
    try:
        value = float(str(values.get(name, UNDEFINED)))
    except ValueError:
        return None
    return value if isfinite(value) and value != UNDEFINED else None
