"""Times as whole nanoseconds since 1970 (UTC): days, and how they are written."""

from __future__ import annotations

from datetime import UTC, datetime

DAY_NS = 86_400 * 10**9


def format_day(day_ns: int) -> str:
    """Midnight in ns -> ``"2020.088"``."""
    return datetime.fromtimestamp(day_ns // 10**9, UTC).strftime("%Y.%j")


def format_time(ns: int) -> str:
    """Nanoseconds since 1970 -> ``"2020-03-28T13:00:00.000Z"``."""
    ms = (int(ns) + 500_000) // 1_000_000
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"
