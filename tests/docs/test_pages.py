"""The documentation is executed: every command block of every page, on small data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import REPO, Reader, all_pages, blocks, commands
from tests.docs.standins import STAND_INS, make_all

PAGES = all_pages()
MOST_NOT_RUN = 8  # blocks that name a reason why no test runs them
LANGUAGES = ("bash", "python", "yaml", "text")


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if any(block.is_run for block in blocks(page))])
def test_every_block_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_all(page, tmp_path)
    reader = Reader(page, monkeypatch)
    for block in blocks(page):
        if block.is_run:
            reader.follow(block)


def test_a_wrong_option_of_a_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader("page.md", monkeypatch)
    for line in ("seisml datasets --nmae x", "python finetune.py dataset=demo datasett=demo", "ls nowhere"):
        assert reader.call_of(line)() != 0


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_can_be_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(page, monkeypatch)
    lines = [line for block in blocks(page) if block.is_run and block.language == "bash" for line in commands(block)]
    assert all(callable(reader.call_of(line)) for line in lines)


def test_few_blocks_are_not_run() -> None:
    reasons = [f"{page}:{block.line}: {block.reason}" for page in PAGES for block in blocks(page) if block.reason]
    assert len(reasons) <= MOST_NOT_RUN, "\n".join(reasons)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_fenced_and_say_what_they_are(page: str) -> None:
    found = list(blocks(page))
    text = (REPO / page).read_text(encoding="utf-8")
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), "a fence is not closed, or oddly named"
    assert {block.language for block in found} <= set(LANGUAGES)
    assert text.count("<!-- not run:") + text.count("<!-- tested with:") == sum(
        bool(block.reason or block.overrides) for block in found
    ), "a remark that stands before no block"
    assert not re.search(r"^ {4}(seisml|python|make|\.\.\.) ", text, re.MULTILINE), "commands belong into fences"


def test_stand_ins_are_those_of_pages() -> None:
    assert set(STAND_INS) <= set(PAGES)
