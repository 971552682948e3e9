"""What a run leaves behind in words and numbers: metrics.json, versions, closing tables."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import seisml

METRICS_FILE = "metrics.json"


def write_metrics(folder: str | Path, metrics: Mapping[str, Any]) -> Path:
    """Write ``metrics.json`` atomically: keys sorted, a list of numbers on one line, NaN and infinity as null.

    Args:
        folder: The run's folder; made where missing.
        metrics: Numbers, text, lists and mappings of them; NumPy and torch values and paths are converted.

    Returns:
        The path written.

    Raises:
        TypeError: A value has no place in JSON; the message names its key.
    """
    path = Path(folder) / METRICS_FILE
    text = _layout(_plain(metrics, "metrics")) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def versions() -> dict[str, str | None]:
    """Return the versions that a result depends on.

    Returns:
        ``python``, ``torch``, ``lightning``, ``seisml`` and ``git`` (the commit, with ``-dirty`` where tracked files
        differ from it; None where seisml does not run from a git checkout).
    """
    return {
        "python": platform.python_version(),
        "torch": _version("torch"),
        "lightning": _version("pytorch-lightning"),
        "seisml": seisml.__version__,
        "git": _git_commit(Path(seisml.__file__).resolve().parents[1]),
    }


def closing_table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> str:
    """Lay out a small table for the terminal, numbers to the right and text to the left.

    Args:
        rows: A mapping per row; the keys are the column heads, in order of first appearance.
        title: A line above.

    Returns:
        Lines without a final newline; missing values, None and NaN are shown as ``-``, floats with three decimals.
        An empty table gives its title alone.
    """
    heads = list(dict.fromkeys(str(key) for row in rows for key in row))
    cells = [[_cell({str(key): value for key, value in row.items()}.get(head)) for head in heads] for row in rows]
    right = [all(isinstance(row.get(head), int | float | np.number | None) for row in rows) for head in heads]
    widths = [max(len(head), *(len(row[i]) for row in cells)) for i, head in enumerate(heads)]
    lines = [title] if title else []
    rule = ["-" * width for width in widths]
    for row in [heads, rule, *cells] if heads else []:
        padded = [text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return "-"
    if isinstance(value, float | np.floating):
        return f"{value:.3f}" if abs(value) < 1e5 and (abs(value) >= 1e-3 or value == 0) else f"{value:.3g}"
    return " ".join(str(value).split())  # a line break would tear the table


def _plain(value: Any, key: str) -> Any:
    """Return plain Python values; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item, f"{key}.{name}") for name, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy and torch, scalars and arrays
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item, f"{key}[{i}]") for i, item in enumerate(ordered)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{key} is a {type(value).__name__}, which has no place in {METRICS_FILE}")


def _layout(value: Any, indent: str = "") -> str:
    """Return JSON text, one line per key and per row of a matrix."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_layout(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(inner + _layout(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit(root: Path) -> str | None:
    """Return the commit of a checkout; None elsewhere, also inside another project's checkout."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
