from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

PARENT = """
import multiprocessing, sys, time
from seisml.processes.parent import end_with_parent

def work(ends):
    if ends:
        end_with_parent()
    time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=work, args=(ends,)) for ends in (True, False)]
    for child in children:
        child.start()
    print(*(child.pid for child in children), flush=True)
    time.sleep(60)
"""


def test_a_process_ends_with_the_one_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        ends, stays = map(int, parent.stdout.readline().split())
        time.sleep(0.5)
        assert _runs(ends)
        parent.kill()
    try:
        for _ in range(100):
            if not _runs(ends):
                break
            time.sleep(0.1)
        assert not _runs(ends) and _runs(stays)
    finally:
        os.kill(stays, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
