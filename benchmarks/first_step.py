"""Time from command to first step: processor and wall time, and how much of it is importing other people's packages.

    python benchmarks/first_step.py [--repeats 3] [OVERRIDE...]

Starts ``sslearn.py`` (+experiment=demo_pretrain) and ``finetune.py`` (+experiment=demo) as a user does, up to the end
of the first training step, and an interpreter that imports PyTorch, torchvision and Lightning alone. The best counts.
The embedded data set is made beforehand, once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from seisml.terminal.text_table import text_table

PROGRAMS = {
    "sslearn.py +experiment=demo_pretrain": ("configs/ssl.yaml", "+experiment=demo_pretrain"),
    "finetune.py +experiment=demo": ("configs/finetune.yaml", "+experiment=demo"),
}
ALONE = "import torch, torchvision, pytorch_lightning"


def until_first_step(config: str, overrides: list[str]) -> None:
    """Be the entry point, and end as the first step is done."""
    from seisml.config.launch import main as launch

    def train(cfg: Any, folder: Path) -> None:
        from seisml.methods.base import Method
        from seisml.run.folds import train_or_cross_validate

        def end(*_: Any) -> None:
            sys.stdout.flush()
            os._exit(0)

        Method.on_train_batch_end = end
        train_or_cross_validate(cfg, folder)

    sys.argv = [sys.argv[0], *overrides]
    launch(config, train)


def clock(command: list[str], repeats: int) -> tuple[float, float]:
    """Least processor and wall seconds of a command."""
    processor, wall = [], []
    for _ in range(repeats):
        before, started = os.times(), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall.append(time.perf_counter() - started)
        after = os.times()
        processor.append(sum(after[2:4]) - sum(before[2:4]))
    return min(processor), min(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--until", help=argparse.SUPPRESS)
    arguments, overrides = parser.parse_known_args()
    if arguments.until:
        until_first_step(arguments.until, overrides)
        return
    with tempfile.TemporaryDirectory() as folder:
        places = [f"out={folder}", f"encoder_folder={folder}"]
        found = {f"python -c '{ALONE}'": clock([sys.executable, "-c", ALONE], arguments.repeats)}
        for name, (config, experiment) in PROGRAMS.items():
            command = [sys.executable, __file__, "--until", config, experiment, *places, *overrides]
            clock(command, 1)
            found[name] = clock(command, arguments.repeats)
    rows = [{"command": name, "processor (s)": cpu, "wall (s)": wall} for name, (cpu, wall) in found.items()]
    print(text_table(rows, f"best of {arguments.repeats}"))


if __name__ == "__main__":
    main()
