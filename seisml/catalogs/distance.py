"""Distances on the surface of the earth."""

from __future__ import annotations

from typing import Protocol

from obspy.geodetics import gps2dist_azimuth


class Place(Protocol):
    """What lies at known or unknown coordinates: an event, a station."""

    @property
    def latitude(self) -> float | None:
        """Degrees north; None where unknown."""

    @property
    def longitude(self) -> float | None:
        """Degrees east; None where unknown."""


def epicentral_distance(event: Place, other: Place | None) -> float | None:
    """Distance of a station, or of another epicentre, from an epicentre in km; None where one of the two is unknown."""
    if other is None or None in (event.latitude, event.longitude, other.latitude, other.longitude):
        return None
    return gps2dist_azimuth(event.latitude, event.longitude, other.latitude, other.longitude)[0] / 1000.0
