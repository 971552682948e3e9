"""What a run leaves behind in numbers: metrics.json and the versions they depend on."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import seisml
from seisml.files import write_text
from seisml.values.file_names import METRICS_FILE


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
    return write_text(path, text)


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
