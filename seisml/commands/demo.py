"""The demonstration: pretraining, linear evaluation, fine-tuning and the rivals on the embedded data, in one table."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

EXAMPLE = "seisml demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``seisml demo``."""
    parser.add_argument("--out", default="runs/demo", help="folder of the runs, the table and the figure")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; returns the exit code."""
    demonstrate(Path(arguments.out), arguments.seed)
    return 0


def demonstrate(out: Path, seed: int = 0, overrides: tuple[str, ...] = ()) -> dict[str, float]:
    """Pretrain on the embedded data by the recipe of ``+experiment=record_pairs``; compare what its encoder is worth.

    Beside it stand the same network from scratch and what observatories use, seismic attributes with a random forest:
    the same labelled events, the same test events.

    Args:
        out: Folder of the runs, the table and the figure; a new numbered folder is made in it.
        seed: Seed of everything.
        overrides: Further Hydra overrides for every step.

    Returns:
        Test accuracy of each way to use the labels.
    """
    # here, so that `seisml --help` does not wait for them
    from seisml.config.compose import compose
    from seisml.evaluation import figures
    from seisml.run.record import write_metrics
    from seisml.run.results import RunResult
    from seisml.run.train import train
    from seisml.terminal.text_table import text_table

    started = time.perf_counter()
    folder = _new_folder(out)
    common = [f"seed={seed}", f"encoder_folder={folder / 'encoders'}", *overrides]

    def step(number: int, title: str, config: str, *changes: str) -> RunResult:
        print(f"\n== {number} of 6: {title}", flush=True)
        cfg = compose(config, [*changes, *common])
        return train(cfg, folder / f"{number}_{title.split(' (')[0].replace(' ', '_')}")

    pretraining = step(
        1, "pretraining without labels (SimCLR, pairs of sensors)", "configs/ssl.yaml", "+experiment=demo_pretrain"
    )
    finetune, linear = "configs/finetune.yaml", "+experiment=[demo,linear_evaluation]"
    load = f"load_encoder.ckpt_fname={pretraining.encoder}"
    forest = ("dataset=demo", "dataset.split_procedure=fixed_test", "model_params=attribute_forest")
    runs = {
        "linear evaluation, pretrained": step(2, "linear evaluation of the encoder", finetune, linear, load),
        "linear evaluation, random": step(3, "linear evaluation of a random encoder", finetune, linear),
        "fine-tuning": step(4, "fine-tuning of the encoder", finetune, "+experiment=demo", load),
        "from scratch": step(5, "training from scratch", finetune, "+experiment=demo"),
        "seismic attributes, forest": step(6, "seismic attributes and a random forest", finetune, *forest),
    }
    results = {name: run.metrics for name, run in runs.items()}
    accuracy = {name: result["test/acc"] for name, result in results.items()}
    some = next(iter(results.values()))
    chance, records = 1 / len(some["classes"]), some["records"]
    title = f"Test accuracy, {records['train']} labelled training events, {records['test']} test events"
    figures.save(figures.accuracy_bars(accuracy, title, chance), folder / "accuracy.png")
    write_metrics(folder, {"accuracy": accuracy, "chance": chance, "seconds": time.perf_counter() - started})
    rows = [
        {"": name, "accuracy": result["test/acc"], "macro F1": result["test/f1_macro"]}
        for name, result in results.items()
    ]
    print(f"\n{text_table(rows, title)}\n")
    print(f"took        {time.perf_counter() - started:.0f} s")
    print(f"figure      {folder / 'accuracy.png'}")
    print(f"runs        {folder}")
    return accuracy


def _new_folder(out: Path) -> Path:
    """Make the next numbered folder."""
    number = 1
    while True:
        folder = out / f"{number:03d}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
