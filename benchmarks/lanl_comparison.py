"""Every approach to the LANL record over several seeds, on held-out cycles, beside the constant answer.

    python benchmarks/lanl_comparison.py [--root data/lanl_demo.h5] [--seeds 3] [--out runs/lanl_comparison]

All approaches train, choose and test on the same cycles and, but for those of CPC, the same test windows: a context of
CPC is that of ten windows in a row, so that it has fewer tests and a constant answer that is nearer. Prints a table of
mean absolute errors (mean and spread over the seeds), and writes every run, `results.csv` and `courses.png` below
--out. Runs that are there already are not done again, so that the command can be stopped at any time and given again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.config.compose import compose
from seisml.evaluation import figures
from seisml.run.build import load_method
from seisml.run.results import RunResult
from seisml.run.train import train
from seisml.terminal.text_table import text_table
from seisml.values.file_names import METRICS_FILE


@dataclass(frozen=True)
class Approach:
    """Overrides of configs/finetune.yaml, and of configs/ssl.yaml where an encoder is pretrained first."""

    overrides: tuple[str, ...]
    pretraining: tuple[str, ...] = ()


CPC = ("+experiment=lanl_cpc",)
APPROACHES = {
    "dilated convolutions": Approach(("+experiment=lanl_wave",)),
    "CNN + LSTM": Approach(("+experiment=lanl_wave", "load_encoder.backbone_type=CnnLstmEncoder")),
    "spectrogram, small ResNet": Approach(("+experiment=lanl_spectrogram", "dataset.evaluation_overlap=0.5")),
    "CPC, fine-tuned": Approach(("+experiment=lanl_cpc_finetune",), CPC),
    "CPC, frozen": Approach(("+experiment=[lanl_cpc_finetune,linear_evaluation]", "trainer_params.max_epochs=50"), CPC),
    "the network of CPC from scratch": Approach(("+experiment=lanl_cpc_finetune",)),
    "statistics, boosting": Approach(("+experiment=lanl_features",)),
    "the same, fraction of the cycle": Approach(("+experiment=lanl_features", "exp_params.target=fraction")),
}


def run_once(folder: Path, config: str, overrides: Sequence[str]) -> RunResult:
    """Train once, or read what an earlier call of the same run left."""
    if (folder / METRICS_FILE).is_file():
        return RunResult.read(folder)
    print(f"\n== {folder}", flush=True)
    quiet = ("trainer_params.enable_progress_bar=false", f"encoder_folder={folder / 'encoder'}")
    return train(compose(config, [*overrides, *quiet]), folder)


def run_approach(approach: Approach, common: Sequence[str], folder: Path, name: str) -> RunResult:
    """Train an approach, with the pretraining that it needs; approaches share one of the same settings."""
    overrides = [*approach.overrides, *common]
    if approach.pretraining:
        pretrained = run_once(folder / "pretraining", "configs/ssl.yaml", [*approach.pretraining, *common])
        overrides.append(f"load_encoder.ckpt_fname={pretrained.encoder}")
    return run_once(folder / slug(name), "configs/finetune.yaml", overrides)


def measure(arguments: argparse.Namespace) -> pd.DataFrame:
    """Run everything; a row per approach and seed."""
    rows = []
    for seed in range(arguments.seeds):
        root = [f"dataset.root={arguments.root}"] if arguments.root else []
        common = [f"seed={seed}", *root, *arguments.overrides]
        for number, name in enumerate(arguments.approaches):
            run = run_approach(APPROACHES[name], common, arguments.out / f"seed{seed}", name)
            metrics = run.metrics
            rows.append(
                {
                    "approach": name,
                    "order": number,
                    "seed": seed,
                    "mae": metrics["test/mae"],
                    "low": metrics["test/mae_interval"][0],
                    "high": metrics["test/mae_interval"][1],
                    "expectation_mae": metrics.get("test/expectation_mae", np.nan),
                    "dev_mae": metrics["dev/mae"],
                    "constant": metrics["test/constant_mae"],
                    "seconds": metrics["seconds"]["total"],
                    "folder": str(run.folder),
                }
            )
    return pd.DataFrame(rows)


def slug(name: str) -> str:
    """Name of a folder."""
    return "_".join(name.replace(",", "").replace("+", "").split())


def course_of(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, true and predicted values of a run's test windows, its records one after the other."""
    table = pd.read_csv(folder / "predictions.csv")
    lasts = table.groupby("record")["start_s"].max()
    before = lasts.cumsum() - lasts
    time = table["start_s"] + table["record"].map(before)
    return time.to_numpy(), table["true"].to_numpy(), table["predicted"].to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="the prepared file; by default the embedded synthetic one")
    parser.add_argument("--approaches", nargs="+", choices=APPROACHES, default=list(APPROACHES), metavar="NAME",
                        help=f"which to compare: {'; '.join(APPROACHES)}")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/lanl_comparison"))
    parser.add_argument("--overrides", nargs="*", default=[], help="Hydra overrides of every run")
    arguments = parser.parse_args()
    frame = measure(arguments)
    frame.to_csv(arguments.out / "results.csv", index=False)
    table = frame.groupby(["order", "approach"]).agg(
        mae=("mae", "mean"), spread=("mae", "std"), interval_low=("low", "mean"), interval_high=("high", "mean"),
        expectation_mae=("expectation_mae", "mean"), dev_mae=("dev_mae", "mean"), constant=("constant", "mean"),
        seconds=("seconds", "mean"),
    )  # fmt: skip
    rows = table.droplevel("order").map(lambda value: float(f"{value:.4g}")).reset_index().to_dict("records")
    print("\n" + text_table(rows, f"mean absolute error in s, {arguments.seeds} seeds"))
    first = frame[frame["seed"] == 0]
    runs = {row.approach: course_of(Path(row.folder)) for row in first.itertuples()}
    constant = load_method(RunResult.read(first["folder"].iloc[0]).checkpoint).facts.quantity.median
    drawn = figures.courses(runs, "time to failure", "s", constant)
    print(f"figure  {figures.save(drawn, arguments.out / 'courses.png')}")


if __name__ == "__main__":
    main()
