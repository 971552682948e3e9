"""Kills runs by SIGKILL at random moments, resumes them, and compares them with one that was never interrupted.

    python benchmarks/kill_and_resume.py [--kills 24] [--out FOLDER]

Pretraining (VNIbCReg) and fine-tuning (with a dev part), small, on the CPU in float32. A run saves its state at every
step, and is killed again and again until it has ended, each time after a random share of the time that it takes, by
another number of worker processes. Prints a line for each kill, and whether weights and metrics are equal to the bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from seisml.config.compose import compose
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from seisml.store.writer import StoreWriter

SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.batch_size=8",
    "dataset.split_procedure=fixed_test", "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]",
    "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false", "figures=false", "resume=auto",
    "checkpoint.every_n_steps=1",
]  # fmt: skip
RECIPES = {
    "pretraining": [
        "configs/ssl.yaml", "model_params.proj_hid=64", "model_params.proj_out=64", "trainer_params.max_epochs=6",
        "augmentations=[{NeighboringCrop:{width:0.18}},RandomAmplitudeJitter]",
        "exp_params.collapse_record_step_period=3",
    ],
    "fine-tuning": ["configs/finetune.yaml", "dataset.dev_data_ratio=0.25", "trainer_params.max_epochs=10"],
}  # fmt: skip


def write_store(folder: Path) -> Path:
    """Events whose class is the frequency of a decaying tone in noise."""
    generator, seconds = np.random.default_rng(0), np.arange(1000) / 100
    with StoreWriter(folder, {"made": "for a benchmark"}, None) as writer:
        for number in range(60):
            tone = np.sin(2 * np.pi * (5 + 15 * (number % 2)) * seconds) * np.exp(-((seconds - 3) ** 2))
            row = {
                "trace_category": "ab"[number % 2],
                "source_id": f"event{number:03d}",
                "trace_sampling_rate_hz": 100.0,
            }
            writer.add((5 * tone + generator.standard_normal((3, 1000))).astype(np.float32), row)
    return folder


def start(config: str, overrides: list[str], folder: Path) -> int:
    """Start a run in another process; return its number."""
    child = os.fork()
    if child:
        return child
    with open(folder.with_suffix(".log"), "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        train(compose(config, overrides), folder)
        sys.stdout.flush()
    os._exit(0)


def outcome(folder: Path) -> tuple[dict, dict]:
    """Weights and metrics of a finished run."""
    metrics = json.loads((folder / "metrics.json").read_text())
    weights = {}
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        weights |= {f"{path.stem} {name}": value for name, value in read_checkpoint(path)["state_dict"].items()}
    unlike = ("seconds", "paths", "versions")
    return {name: value for name, value in metrics.items() if name not in unlike}, weights


def main() -> None:
    """Kill, resume and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=24, help="kills of each recipe, at least")
    parser.add_argument("--out", type=Path, default=None, help="folder for the runs; a temporary one by default")
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="kill_and_resume_"))
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    store, moments = write_store(out / "store"), random.Random(0)
    for recipe, (config, *rest) in RECIPES.items():
        overrides = [*SMALL, *rest, f"dataset.root={store}", f"encoder_folder={out / 'encoders'}"]
        began = time.perf_counter()
        assert os.waitpid(start(config, overrides, out / recipe), 0)[1] == 0, f"see {out / recipe}.log"
        took, expected = time.perf_counter() - began, outcome(out / recipe)
        kills = runs = alike = writing = 0
        while kills < arguments.kills:
            folder, runs, tries = out / f"{recipe}-{runs}", runs + 1, 0
            while not (folder / "metrics.json").is_file():
                workers = f"dataset.num_workers={tries % 3}"
                child = start(config, [*overrides, workers], folder)
                time.sleep(took * moments.uniform(0.02, 0.9))
                os.kill(child, signal.SIGKILL)
                killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
                tries, kills = tries + 1, kills + killed
                left = list((folder / "checkpoints").glob(".last*")) if killed else []
                writing += bool(left)
                print(f"{recipe} {runs}: " + (f"killed, {len(left)} half-written" if killed else "ended"), flush=True)
            metrics, weights = outcome(folder)
            same = metrics == expected[0] and weights.keys() == expected[1].keys()
            same = same and all(torch.equal(value, expected[1][name]) for name, value in weights.items())
            alike += same
            print(f"{recipe} {runs}: {'equal to the bit' if same else 'DIFFERENT'}", flush=True)
        print(f"{recipe}: {kills} kills ({writing} while a checkpoint was written), {alike} of {runs} runs equal")


if __name__ == "__main__":
    main()
