"""Earthquake catalogues as plain records: events with their picks and the waveform files they name, read by ObsPy."""

from __future__ import annotations

import glob
import hashlib
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from obspy import UTCDateTime, read_events
from obspy.core.event import Event, Origin
from obspy.io.nordic.core import read_nordic

from seisml.catalogs.distance import epicentral_distance
from seisml.errors import UserError

# Hints that mean the first P or the first S; pP, PP, PcP, IAML, AMB... are other things.
_FIRST_ARRIVAL = re.compile(r"(P|S)(g|n|b|\*|\d|diff|KP.*|KIKP.*|KS.*|KIKS.*)?", re.IGNORECASE)
_RANDOM_ID = re.compile(r"smi:local/(event/)?[0-9a-f]{8}-[0-9a-f-]{27}")  # what ObsPy makes up, another on each reading
_WAVEFORM_NAME = re.compile(r"^waveform[- ]?(?:file)?name\s*:\s*(\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Pick:
    """One arrival time.

    Attributes:
        phase: ``P`` or ``S``.
        hint: The phase as the catalogue has it (Pg, Sn...).
        time: Arrival time.
        network: Network code, empty where the catalogue has none (Nordic); so are ``location`` and ``channel``.
        station: Station code.
        location: Location code.
        channel: Channel code, which Nordic shortens to instrument and component (``SZ``).
        status: ``manual``, ``automatic`` or empty.
    """

    phase: str
    hint: str
    time: UTCDateTime
    network: str
    station: str
    location: str = ""
    channel: str = ""
    status: str = ""

    def is_of(self, network: str, station: str, location: str) -> bool:
        """Whether the pick was read at this station; codes that the catalogue leaves out match any."""
        return self.station == station and self.network in ("", network) and self.location in ("", "--", location)


@dataclass(frozen=True)
class CatalogEvent:
    """One event of a catalogue.

    Attributes:
        source_id: Identity of the event; :func:`unite_events` gives the same to entries that describe one event.
        time: Origin time, or the first pick where there is no origin.
        has_origin: Whether ``time`` is an origin time.
        picks: First P and S arrivals.
        waveform_names: Waveform files the entry names (Nordic lines of type 6).
        file: Catalogue file, relative to the catalogue folder.
    """

    source_id: str
    time: UTCDateTime
    has_origin: bool = True
    latitude: float | None = None
    longitude: float | None = None
    depth_km: float | None = None
    magnitude: float | None = None
    magnitude_type: str = ""
    event_type: str = ""
    picks: tuple[Pick, ...] = ()
    waveform_names: tuple[str, ...] = ()
    file: str = ""

    def metadata(self) -> dict[str, object]:
        """Return the event's columns under SeisBench's names; only what is known."""
        columns = {
            "source_id": self.source_id,
            "source_origin_time": str(self.time) if self.has_origin else None,
            "source_latitude_deg": self.latitude,
            "source_longitude_deg": self.longitude,
            "source_depth_km": self.depth_km,
            "source_magnitude": self.magnitude,
            "source_magnitude_type": self.magnitude_type or None,
            "source_event_category": self.event_type or None,
        }
        return {name: value for name, value in columns.items() if value is not None}


@dataclass
class CatalogReading:
    """What was found in the catalogue files.

    Attributes:
        events: The entries.
        files: Files that are catalogues.
        unreadable: Files that are not, with the reason.
        skipped: Entries left out, with the reason.
        repeated_files: Number of files left out because another holds the same bytes.
    """

    events: list[CatalogEvent] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    repeated_files: int = 0


def read_catalog(root: Path, files: Sequence[Path]) -> CatalogReading:
    """Read every event of the catalogue files; a file met twice with the same bytes counts once.

    Args:
        root: The catalogue as the user gave it, a folder or a file; names in messages are relative to it.
        files: The files in it.

    Raises:
        UserError: No file holds an event, or none is a catalogue that ObsPy reads.
    """
    reading, seen = CatalogReading(), {}
    for path in files:
        name = path.relative_to(root).as_posix() if root.is_dir() else path.name
        content = path.read_bytes()
        digest = hashlib.sha256(content).digest()
        if digest in seen:
            if seen[digest]:
                reading.files.append(path)
                reading.repeated_files += 1
            continue
        seen[digest] = False
        try:
            events = _read_file(path, content)
        except Exception as error:  # ObsPy's readers raise whatever they meet
            reading.unreadable.append((path, f"not a catalogue that ObsPy reads ({_first_line(error)})"))
            continue
        seen[digest] = True
        reading.files.append(path)
        if not events:
            reading.skipped.append((name, "holds no event"))
        for number, (event, waveform_names) in enumerate(events):
            entry = catalog_event(event, waveform_names, name)
            if event.event_type == "not existing":  # QuakeML's word for a false alarm
                reading.skipped.append((f"{name}, event {number + 1}", "marked as not existing"))
            elif entry is None:
                reading.skipped.append((f"{name}, event {number + 1}", "has neither an origin time nor a pick"))
            else:
                reading.events.append(entry)
    if not reading.events:
        reasons = [*((path.name, reason) for path, reason in reading.unreadable), *reading.skipped]
        first = f"; {reasons[0][0]}: {reasons[0][1]}" if reasons else ""
        cure = "give QuakeML, Nordic or another catalogue that ObsPy reads"
        raise UserError(f"{root}: no event found in {len(files)} files{first}; {cure}")
    reading.events.sort(key=lambda event: (event.time.ns, event.file))
    return reading


def catalog_event(event: Event, waveform_names: Sequence[str] = (), file: str = "") -> CatalogEvent | None:
    """Take from an ObsPy event what a record needs, from its preferred (else first) origin and magnitude.

    Args:
        event: The event.
        waveform_names: Waveform files that the catalogue names for it; comments ``Waveform-filename: ...`` name more.
        file: Where it stands.

    Returns:
        The event, or None where it has neither an origin time nor a P or S pick.
    """
    origin = event.preferred_origin() or next(iter(event.origins), None)
    magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
    picks = tuple(_picks(event, origin))
    has_origin = origin is not None and origin.time is not None
    time = origin.time if has_origin else min((pick.time for pick in picks), key=lambda t: t.ns, default=None)
    if time is None:
        return None
    identity = event.resource_id.id if event.resource_id is not None else ""
    if not identity or _RANDOM_ID.fullmatch(identity):
        identity = f"{time.strftime('%Y%m%dT%H%M%S')}.{time.microsecond // 10000:02d}"
    comments = (_WAVEFORM_NAME.match(comment.text or "") for comment in event.comments)
    names = [*waveform_names, *(match[1] for match in comments if match)]
    return CatalogEvent(
        source_id=identity,
        time=time,
        has_origin=has_origin,
        latitude=_number(origin and origin.latitude),
        longitude=_number(origin and origin.longitude),
        depth_km=None if origin is None or origin.depth is None else origin.depth / 1000.0,
        magnitude=_number(magnitude and magnitude.mag),
        magnitude_type=(magnitude and magnitude.magnitude_type) or "",
        event_type=event.event_type or "",
        picks=picks,
        waveform_names=tuple(dict.fromkeys(PurePosixPath(name).name for name in names)),
        file=file,
    )


def unite_events(events: Sequence[CatalogEvent], seconds: float, kilometres: float) -> list[CatalogEvent]:
    """Give one ``source_id`` to entries that describe the same event: origins close in time and, where known, in space.

    Entries are linked in a chain, so three located 0.7 s apart are one event. The id is that of the earliest.

    Args:
        events: Entries in order of time.
        seconds: Largest difference of origin times.
        kilometres: Largest distance of epicentres.
    """
    united: list[CatalogEvent] = []
    for event in events:
        identity = event.source_id
        for earlier in reversed(united):
            if event.time - earlier.time > seconds:
                break
            distance = epicentral_distance(event, earlier)
            if distance is None or distance <= kilometres:
                identity = earlier.source_id
                break
        united.append(_replace_id(event, identity))
    return united


def merge_entries(entries: Sequence[CatalogEvent]) -> CatalogEvent:
    """Merge the entries of one event: location from the one with most picks, picks of all, that one's first."""
    best = max(entries, key=lambda entry: len(entry.picks))  # the first of equals
    others = [pick for entry in entries if entry is not best for pick in entry.picks]
    known = {(pick.phase, pick.network, pick.station, pick.location) for pick in best.picks}
    picks = best.picks + tuple(p for p in others if (p.phase, p.network, p.station, p.location) not in known)
    names = tuple(dict.fromkeys(name for entry in entries for name in entry.waveform_names))
    return CatalogEvent(**{**vars(best), "picks": picks, "waveform_names": names})


def first_pick(picks: Iterable[Pick], phase: str, network: str, station: str, location: str) -> Pick | None:
    """Return the station's arrival of a phase: manual before automatic, then the earliest; None where there is none."""
    found = [pick for pick in picks if pick.phase == phase and pick.is_of(network, station, location)]
    return min(found, key=lambda pick: (pick.status == "automatic", pick.time.ns), default=None)


def _picks(event: Event, origin: Origin | None) -> Iterable[Pick]:
    phases = {arrival.pick_id: arrival.phase for arrival in (origin.arrivals if origin is not None else ())}
    for pick in event.picks:
        hint = (pick.phase_hint or phases.get(pick.resource_id) or "").strip()
        phase = _FIRST_ARRIVAL.fullmatch(hint)
        stream = pick.waveform_id
        if phase and pick.time is not None and stream is not None and stream.station_code:
            yield Pick(
                phase=phase[1].upper(),
                hint=hint,
                time=pick.time,
                network=stream.network_code or "",
                station=stream.station_code,
                location=stream.location_code or "",
                channel=stream.channel_code or "",
                status=pick.evaluation_mode or "",
            )


def _read_file(path: Path, content: bytes) -> list[tuple[Event, list[str]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # escaped and absolute, because ObsPy takes a name for a pattern or an address where it looks like one
            events = list(read_events(glob.escape(str(path.absolute()))))
        except TypeError:  # no format recognised: a Nordic file with an unusual head is still worth a try
            if b"\0" in content or not content.strip():
                raise
            return _read_nordic(path)
        if events and getattr(events[0], "_format", "") == "NORDIC":
            return _read_nordic(path)
    return [(event, []) for event in events]


def _read_nordic(path: Path) -> list[tuple[Event, list[str]]]:
    events, names = read_nordic(str(path), return_wavnames=True)  # read_events drops the lines of type 6
    return [(event, " ".join(lines or ()).split()) for event, lines in zip_longest(events, names)]


def _replace_id(event: CatalogEvent, identity: str) -> CatalogEvent:
    return event if identity == event.source_id else CatalogEvent(**{**vars(event), "source_id": identity})


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
