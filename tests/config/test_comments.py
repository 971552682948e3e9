"""Each key of a YAML that a user starts from is explained by a comment where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path
    for path in (*sorted((ROOT / "configs").rglob("*.yaml")), ROOT / "original_implementation" / "config.yaml")
    if path.parent.name != "experiment"  # differences only: their keys are explained in the files they change
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_key_with_a_value_is_explained(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = [line for line in lines if re.match(r"\s*(- )?[\w.]+:\s+\S", line) and "#" not in line]
    assert not bare
    assert any(line.startswith("#") and not line.startswith("# @") for line in lines)  # what the file is
