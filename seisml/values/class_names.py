"""Names of classes that mean something here."""

from __future__ import annotations

EVENT = "event"
NOISE = "noise"  # no event, in small letters: published data sets write Noise
