"""Every approach to the LANL record over several seeds, on held-out cycles, beside the constant answer.

    python benchmarks/lanl_comparison.py [--root data/lanl_demo.h5] [--seeds 3] [--out runs/lanl_comparison]

All approaches train, choose and test on the same cycles and the same test windows. Prints a table of mean absolute
errors (mean and spread over the seeds), and writes every run, `results.csv` and `courses.png` below --out. Runs that
are there already are not done again, so that the command can be stopped at any time and given again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.config.compose import compose
from seisml.evaluation import figures
from seisml.run.build import load_method
from seisml.run.record import METRICS_FILE
from seisml.run.results import RunResult
from seisml.run.train import train
from seisml.terminal.text_table import text_table

APPROACHES = {  # name: overrides of configs/finetune.yaml
    "dilated convolutions": ["+experiment=lanl_wave"],
    "CNN + LSTM": ["+experiment=lanl_wave", "load_encoder.backbone_type=CnnLstmEncoder"],
    "spectrogram, small ResNet": ["+experiment=lanl_spectrogram", "dataset.evaluation_overlap=0.5"],
    "statistics, boosting": ["+experiment=lanl_features"],
    "the same, fraction of the cycle": ["+experiment=lanl_features", "exp_params.target=fraction"],
}


def run_once(folder: Path, overrides: list[str]) -> RunResult:
    """Train once, or read what an earlier call of the same run left."""
    if (folder / METRICS_FILE).is_file():
        return RunResult.read(folder)
    print(f"\n== {folder}", flush=True)
    quiet = ["trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1"]
    return train(compose("configs/finetune.yaml", [*overrides, *quiet]), folder)


def measure(arguments: argparse.Namespace) -> pd.DataFrame:
    """Run everything; a row per approach and seed."""
    rows = []
    for seed in range(arguments.seeds):
        for number, name in enumerate(arguments.approaches):
            common = [f"seed={seed}", *([f"dataset.root={arguments.root}"] if arguments.root else [])]
            folder = arguments.out / f"seed{seed}" / slug(name)
            run = run_once(folder, [*APPROACHES[name], *common, *arguments.overrides])
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
