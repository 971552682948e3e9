"""What a page is made of: tables, charts, pictures and notes, without a word of HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from seisml.report.reading import Picture

SHADES = 10  # of cells that are coloured by their value
LONGEST = 400  # characters of a cell


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says.
        note: Smaller words behind it: an interval.
        number: Whether it is set as a number, to the right.
        shade: From -SHADES to SHADES: how much it is coloured, one way or the other; None for not at all.
        strong: Whether it stands out.
        link: Name of the part of the page that it leads to.
    """

    text: str
    note: str = ""
    number: bool = False
    shade: int | None = None
    strong: bool = False
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        head: Names of the columns.
        rows: Cells; the first of each row names it.
        note: Remarks below it.
        kind: ``"plain"``, or ``"matrix"`` for a square of counts.
    """

    caption: str
    head: list[str]
    rows: list[list[Cell]]
    note: str = ""
    kind: str = "plain"


@dataclass(frozen=True)
class Chart:
    """A chart that can be read with the pointer, and its numbers for those who cannot.

    Attributes:
        title: What it shows.
        spec: Of Vega-Lite.
        alt: What there is to see, in a sentence.
        numbers: The same as a table; None where they are too many.
        wide: Whether it takes the page's whole width.
    """

    title: str
    spec: dict[str, Any]
    alt: str
    numbers: Table | None = None
    wide: bool = False


@dataclass(frozen=True)
class Tile:
    """A result at a glance.

    Attributes:
        name: What it is.
        text: Its value.
        note: Its interval in words.
        value: Where it lies between 0 and 1; None where it is no share.
        low: Lower end of its interval.
        high: Upper end.
        blind: The same of an answer that ignores its input.
    """

    name: str
    text: str
    note: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    blind: float | None = None


@dataclass(frozen=True)
class Item:
    """A detection.

    Attributes:
        key: Name in links.
        day: Day of its onset.
        station: Its instrument.
        label: Its class.
        verdict: What a list of events says of it; empty without a list.
        time: Onset, as it is written.
        probability: In [0, 1].
        facts: Short statements: (name, value).
        picture: Waveform, spectrogram and probability; None where it is in the table alone.
    """

    key: str
    day: str
    station: str
    label: str
    verdict: str
    time: str
    probability: float
    facts: list[tuple[str, str]]
    picture: Picture | None = None


@dataclass(frozen=True)
class Browser:
    """Detections to choose from by day, station and class.

    Attributes:
        items: Those that are shown, by time.
        choices: What to choose by: name of an attribute of the items, what it is called, and its values.
        total: How many there are, shown or not.
        note: What is not shown, and where it is.
    """

    items: list[Item]
    choices: list[tuple[str, str, list[str]]]
    total: int
    note: str


@dataclass
class Part:
    """A part of the page under a heading.

    Attributes:
        title: The heading.
        key: Its name in links.
        lead: What to know first, a paragraph each.
        tiles: Results at a glance.
        tables: Tables.
        charts: Charts.
        pictures: Pictures.
        inner: Parts below smaller headings.
        folded: Whether it is shown on demand only.
        drawn_first: Whether charts stand above tables.
        code: Text as it is typed: commands, a configuration; (title, text).
        facts: Short statements: (name, value).
        browser: Detections to choose from.
    """

    title: str
    key: str
    lead: list[str] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    code: list[tuple[str, str]] = field(default_factory=list)
    inner: list[Part] = field(default_factory=list)
    folded: bool = False
    drawn_first: bool = False
    browser: Browser | None = None


def text_cell(value: object, **options: Any) -> Cell:
    """A cell of text, cut where it is endless."""
    text = str(value)
    return Cell(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…", **options)


def number_cell(value: float | None, note: str = "", digits: int = 3, **options: Any) -> Cell:
    """A cell of a number; a dash where there is none."""
    return Cell(number_text(value, digits), note, True, **options)


def number_text(value: float | None, digits: int = 3) -> str:
    """Write a number: with so many digits behind the point, fewer where it is large."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1e9 or 0 < size < 10**-digits:
        return f"{value:.3g}".replace("-", "−")
    whole = float(value).is_integer() or size >= 1000
    text = f"{value:,.0f}" if whole else f"{value:.{digits if size < 100 else 1}f}"
    return text.replace(",", "\u202f").replace("-", "−")


def interval_text(ends: Sequence[float]) -> str:
    """Write an interval."""
    return f"[{number_text(ends[0])}, {number_text(ends[1])}]" if len(ends) == 2 else ""


def signed(value: float, digits: int = 3) -> str:
    """Write a difference, with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")
