"""Progress off a terminal and on one."""

import os
import subprocess
import sys

import pytest

from seisml.terminal import progress

SLOW = """
import time
from seisml.terminal.progress import follow
for _ in follow(range(30), "reading", "file"):
    time.sleep(0.01)
"""


def test_what_is_done_soon_says_nothing(capsys):
    assert list(progress.follow(range(1000), "reading", "file")) == list(range(1000))
    assert capsys.readouterr().err == ""


def test_off_a_terminal_there_are_few_lines_and_a_last_one(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for _ in progress.follow(iter(range(1000)), "reading", "file", total=1000):
        now[0] += 0.25
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 25  # 250 s
    assert lines[0] == "reading: 40 of 1,000 files (4 %), about 4 min 0 s to go, 10 s"
    assert lines[-1] == "reading: 1,000 of 1,000 files (100 %), 4 min 10 s"


def test_bytes_and_what_was_there_before(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Progress("downloading", "B", total=4_000_000, done=2_000_000) as bar:
        now[0] = 20.0
        bar.update(1_000_000)
    assert capsys.readouterr().err.splitlines()[0] == "downloading: 3.00MB of 4.00MB (75 %), about 20 s to go, 20 s"


def test_nothing_is_said_where_nobody_asked(capsys, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    list(progress.follow([1, 2], "reading", "file", shown=False))
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_on_a_terminal_there_is_a_bar():
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    subprocess.run([sys.executable, "-c", SLOW], stderr=theirs, check=True, timeout=60)
    shown = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)
    assert "reading:" in shown and "\r" in shown and "30" in shown
