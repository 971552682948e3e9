"""Where stations stand: from StationXML (or any inventory ObsPy reads) or a SEISAN ``STATION0.HYP``."""

from __future__ import annotations

import glob
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from obspy import read_inventory

from seisml.errors import UserError

# SEISAN manual, "Station file": a code of 4 or 5 letters, degrees and minutes of latitude and longitude, elevation (m).
# Minutes carry a decimal point or stand in thousandths. A minus in the first column belongs to a 4-digit elevation.
_SEISAN_LINE = re.compile(
    r"^(?P<minus>.)(?P<code>.{5})(?P<lat>[ \d]{2})(?P<lat_min>[ \d.]{5})(?P<ns>[NS])"
    r"(?P<lon>[ \d]{3})(?P<lon_min>[ \d.]{5})(?P<ew>[EW])(?P<elevation>[ \d.-]{4})?"
)


@dataclass(frozen=True)
class StationPlace:
    """Coordinates of a station in degrees, elevation in m (None where unknown)."""

    latitude: float
    longitude: float
    elevation: float | None


class StationTable:
    """Coordinates by network, station and location code.

    Args:
        places: (network, station, location) -> place; codes the file does not give are empty and match any.
    """

    def __init__(self, places: dict[tuple[str, str, str], StationPlace]) -> None:
        self.places = places

    def __len__(self) -> int:
        return len({(network, station) for network, station, _ in self.places})

    def find(self, network: str, station: str, location: str) -> StationPlace | None:
        """Return the place of a station, the most particular entry first."""
        for key in ((network, station, location), (network, station, ""), ("", station, "")):
            if key in self.places:
                return self.places[key]
        return None


def read_stations(path: Path) -> StationTable:
    """Read station coordinates.

    Args:
        path: A StationXML file or another inventory format of ObsPy, or a SEISAN station file.

    Raises:
        UserError: There is no such file, or it is neither.
    """
    if not path.is_file():
        raise UserError(f"--stations {path}: no such file; give a StationXML or a SEISAN STATION0.HYP file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # escaped and absolute, so that a name is not taken for a pattern or an address
            inventory = read_inventory(glob.escape(str(path.absolute())))
    except Exception:  # ObsPy's readers raise whatever they meet; a SEISAN file has no reader there
        places = _seisan_places(path.read_text(encoding="latin-1"))
    else:
        places = {}
        for network in inventory:
            for station in network:
                places.setdefault((network.code, station.code, ""), _place(station))
                for channel in station:
                    places.setdefault((network.code, station.code, channel.location_code or ""), _place(channel))
    if not places:
        raise UserError(f"--stations {path}: no station found in it; give a StationXML or a SEISAN STATION0.HYP file")
    return StationTable(places)


def _place(entry: object) -> StationPlace:
    elevation = entry.elevation
    return StationPlace(float(entry.latitude), float(entry.longitude), None if elevation is None else float(elevation))


def _seisan_places(text: str) -> dict[tuple[str, str, str], StationPlace]:
    places: dict[tuple[str, str, str], StationPlace] = {}
    for line in text.splitlines():
        found = _SEISAN_LINE.match(line)
        code = found["code"].strip() if found else ""
        if not code or code.startswith("."):  # a dot before the code disables the line
            continue
        latitude = _degrees(found["lat"], found["lat_min"]) * (-1 if found["ns"] == "S" else 1)
        longitude = _degrees(found["lon"], found["lon_min"]) * (-1 if found["ew"] == "W" else 1)
        elevation = (found["elevation"] or "").strip()
        sign = -1.0 if found["minus"] == "-" else 1.0
        height = sign * float(elevation) if re.fullmatch(r"-?\d+\.?\d*", elevation) else None
        places.setdefault(("", code, ""), StationPlace(latitude, longitude, height))  # the first entry counts
    return places


def _degrees(degrees: str, minutes: str) -> float:
    value = float(minutes) if "." in minutes else float(minutes.replace(" ", "0")) / 1000.0
    return float(degrees) + value / 60.0
