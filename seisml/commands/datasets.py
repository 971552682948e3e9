"""``seisml datasets``: the data sets that training knows by name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from seisml.config.sources import config_dir
from seisml.terminal.text_table import text_table

EXAMPLE = "seisml datasets"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments: none."""


def run(_: Namespace) -> int:
    """List the files of ``configs/dataset`` with their first comment; returns the exit code."""
    files = sorted((Path(config_dir()) / "dataset").glob("*.yaml"))
    print(text_table([{"dataset": path.stem, "what it is": _first_comment(path)} for path in files]))
    print("use one with dataset=NAME; any store of your own with dataset=store dataset.root=STORE")
    return 0


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ").strip()
    return ""
