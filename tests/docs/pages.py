"""Reading the documentation's pages, and running their blocks as a reader would, in this process.

A fenced block of ``bash`` is run line by line, one of ``python`` whole; one with ``title="FILE"`` is written to that
file instead. Other blocks (``text``, ``yaml`` without a title) are shown only. A comment right before a block may say
``not run: REASON``, or ``tested with: OVERRIDES``, which the tests add to its runs beside :data:`SHORT`.

Everything that imports PyTorch is called in this process: ``seisml`` by its main function, ``sslearn.py``,
``finetune.py`` and ``original_implementation/train.py`` by the function that they call, scripts of ``benchmarks/`` and
``examples/`` by runpy.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seisml.cli import main
from seisml.commands.demo import demonstrate
from seisml.config.launch import run

REPO = Path(__file__).resolve().parents[2]
ENTRIES = {
    "sslearn.py": "configs/ssl.yaml",
    "finetune.py": "configs/finetune.yaml",
    "original_implementation/train.py": "original_implementation/config.yaml",
}
SHORT = (  # added to every training: one step of eight records, no pictures
    "trainer_params.max_steps=1",
    "trainer_params.limit_train_batches=1",
    "trainer_params.limit_val_batches=1",
    "trainer_params.limit_test_batches=1",
    "trainer_params.gpus=[]",
    "trainer_params.enable_progress_bar=false",
    "dataset.batch_size=8",
    "figures=false",
)
SHORT_COMPARE = ("--fractions", "1", "--seeds", "1", "--steps", "1", "--budgets", "1")  # added to `seisml compare`
SHELL = ("cp", "export", "ls", "mkdir")  # commands that a shell runs; all others are called in this process
FENCE = re.compile(
    r"^(?:<!-- (?P<kind>not run|tested with): (?P<remark>[^\n]*?) -->\n)?"
    r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
Call = Callable[[], int | None]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: As the fence says.
        text: Its lines.
        line: Where in the page it begins.
        title: The file that it is, if one.
        reason: Why it is not run; None where it is.
        overrides: What its runs are given beside :data:`SHORT`.
    """

    language: str
    text: str
    line: int
    title: str | None = None
    reason: str | None = None
    overrides: tuple[str, ...] = ()

    @property
    def is_run(self) -> bool:
        """Whether its commands or its code run, or its file is written."""
        return self.reason is None and (self.title is not None or self.language in ("bash", "python"))


def all_pages() -> list[str]:
    """The README and the pages of docs/, from the top of the project."""
    return ["README.md", *sorted(str(path.relative_to(REPO)) for path in (REPO / "docs").glob("*.md"))]


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in their order."""
    text = (REPO / page).read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        remark = {found["kind"]: found["remark"]}
        yield Block(
            found["language"],
            found["text"],
            text.count("\n", 0, found.start("language")) + 1,
            found["title"],
            remark.get("not run"),
            tuple(shlex.split(remark.get("tested with", ""))),
        )


def commands(block: Block) -> list[str]:
    """The command lines of a block, continued ones as one."""
    joined = block.text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


class Reader:
    """Runs the blocks of a page, in the folder in which the process stands."""

    def __init__(self, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page, self.monkeypatch = page, monkeypatch
        self.names: dict[str, Any] = {"__name__": "page"}  # what python blocks define; later ones see it

    def follow(self, block: Block) -> None:
        """Do what a block says; whatever goes wrong fails the test and names the page and the line."""
        where = f"{self.page}:{block.line}"
        if block.title is not None:
            path = Path(block.title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), self.names)
        else:
            for line in commands(block):
                call = self.call_of(line, block.overrides)
                try:
                    code = call()
                except SystemExit as stop:
                    code = stop.code
                assert not code, f"{where}: {line.strip()}: exit code {code}"

    def call_of(self, line: str, overrides: tuple[str, ...] = ()) -> Call:
        """The call that does a command line.

        Raises:
            AssertionError: A line that this module cannot run as a shell would.
        """
        words = shlex.split(line, comments=True)
        short = [*SHORT, *overrides]
        if words[0] in SHELL:
            return lambda: self.shell(line, words)
        bare = [word for word in shlex.split(line, comments=True, posix=False) if word[0] not in "'\""]
        special = re.search(r"[][{}*?$|<>&;`]", " ".join(bare))
        assert not special, f"{self.page}: quote what a shell would change: {line}"
        if words[0] == "seisml":
            return lambda: seisml_call(words[1:], short)
        assert words[0] == "python", f"{self.page}: cannot run {line}"
        if words[1] in ENTRIES:
            return lambda: run(ENTRIES[words[1]], None, [*words[2:], *short])
        return lambda: self.script(words[1], [*words[2:], *(short if "optuna" in words[1] else ())])

    def script(self, path: str, arguments: list[str]) -> None:
        """Run a script of the project."""
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [path, *arguments])
            runpy.run_path(str(REPO / path), run_name="__main__")

    def shell(self, line: str, words: list[str]) -> int:
        """Run a line in a shell; what it exports stays."""
        if words[0] != "export":
            return subprocess.run(["bash", "-euc", line]).returncode
        assert "PYTHONPATH" in words[1]
        self.monkeypatch.syspath_prepend(os.getcwd())
        return 0


def seisml_call(arguments: list[str], short: list[str]) -> int:
    """Do ``seisml ARGUMENTS``, the long ones shortened."""
    if arguments == ["demo"]:
        demonstrate(Path("runs/demo"), overrides=tuple(short))
        return 0
    if arguments[0] == "compare":
        arguments = [*arguments, *SHORT_COMPARE, "--set", *short[1:], "--pretrain-set", *short]
    return main(arguments)
