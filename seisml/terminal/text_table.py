"""Tables of text, for the terminal and for log files alike."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# a line under the heads and nothing else: letters that every log file and terminal shows
_HEAD_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_WIDE = 10_000  # columns: a table is never cut to the width that a pipe pretends to have


def text_table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> str:
    """Lay out a table, numbers to the right and text to the left.

    Args:
        rows: A mapping per row; the keys are the column heads, in order of first appearance.
        title: A line above.

    Returns:
        Lines without a final newline; missing values, None and NaN are shown as ``-``, floats with three decimals.
        An empty table gives its title alone.
    """
    named = [{str(key): value for key, value in row.items()} for row in rows]
    heads = list(dict.fromkeys(key for row in named for key in row))
    lines = [title] if title else []
    if heads:
        table = Table(box=_HEAD_RULE, show_edge=False, padding=(0, 1, 0, 0))
        for head in heads:
            number = all(isinstance(row.get(head), int | float | np.number | None) for row in named)
            table.add_column(Text(head), justify="right" if number else "left", no_wrap=True)
        for row in named:
            table.add_row(*(Text(_cell(row.get(head))) for head in heads))  # Text: brackets stay as they are
        console = Console(file=io.StringIO(), width=_WIDE, color_system=None)
        with console.capture() as captured:
            console.print(table)
        lines += [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join(lines)


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A number and its interval as a cell: ``0.83 [0.71, 0.92]``."""
    if value is None:
        return "-"
    return f"{value:.3g}" + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return "-"
    if isinstance(value, float | np.floating):
        return f"{value:.3f}" if abs(value) < 1e5 and (abs(value) >= 1e-3 or value == 0) else f"{value:.3g}"
    return " ".join(str(value).split())  # a line break would tear the table
