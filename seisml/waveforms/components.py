"""Components of a record: which channels stand for them, and their letters."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping

# How one sensor names its three directions. With 1, 2, 3 the first is the vertical (borehole and SEISAN practice).
SENSORS = ("ZNE", "Z12", "123")


def choose_sensor(components: Iterable[str], order: str, picked: Mapping[str, int]) -> dict[str, str]:
    """Decide which channels stand for the components asked for.

    An instrument may carry two sensors (``ZNE`` and ``123``), one of them perhaps not even connected: of those with
    most components the one on which the catalogue's picks were read is taken, else the first of ZNE, Z12, 123.

    Args:
        components: Component letters at hand.
        order: Components asked for, such as ``ZNE``; letters other than Z, N, E must be there literally.
        picked: Number of the catalogue's picks on each letter at this station.

    Returns:
        Asked component -> letter at hand, in the order asked; only those at hand.
    """
    present = set(components)

    def chosen(sensor: str) -> dict[str, str]:
        names = dict(zip("ZNE", sensor, strict=True))
        return {asked: letter for asked in order if (letter := names.get(asked, asked)) in present}

    def rank(sensor: str) -> tuple[int, int]:
        letters = chosen(sensor).values()
        return len(letters), sum(picked.get(letter, 0) for letter in letters)

    return chosen(max(SENSORS, key=rank))  # the first of equals


def component_letters(n: int) -> str:
    """One character per trace where the channel codes do not give distinct ones (SeisBench maps single characters)."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits
    return letters[:n] + "".join(chr(0x100 + i) for i in range(n - len(letters)))
