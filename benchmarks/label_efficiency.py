"""What pretraining without labels is worth when few labels are there.

For each seed: VNIbCReg pretraining, then for each share of the labelled training events a linear evaluation of the
pretrained encoder and of a random one, fine-tuning, and training from scratch, all on one fixed test part per seed.

    python benchmarks/label_efficiency.py --experiment lab_ae --root data/lab_ae --fractions 0.05 0.1 0.8 --seeds 3

Prints a table of test accuracies (mean and spread over the seeds), and writes every run, `results.csv` and
`label_efficiency.png` below --out. Runs that are there already are not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from seisml.config.compose import compose
from seisml.evaluation import figures
from seisml.run.record import METRICS_FILE
from seisml.run.results import RunResult
from seisml.run.train import train
from seisml.terminal.text_table import text_table

METHODS = {  # name: is the encoder frozen, is it the pretrained one
    "linear, pretrained": (True, True),
    "linear, random": (True, False),
    "fine-tuning": (False, True),
    "from scratch": (False, False),
}


def run_once(folder: Path, config: str, overrides: list[str]) -> RunResult:
    """Train once, or read what an earlier call of the same run left."""
    if (folder / METRICS_FILE).is_file():
        return RunResult.read(folder)
    print(f"\n== {folder}", flush=True)
    return train(compose(config, ["figures=false", f"encoder_folder={folder / 'encoder'}", *overrides]), folder)


def measure(arguments: argparse.Namespace) -> pd.DataFrame:
    """Run everything; a row per seed, fraction and method."""
    rows = []
    for seed in range(arguments.seeds):
        where = arguments.out / f"seed{seed}"
        common = [f"seed={seed}", "dataset.split_procedure=fixed_test", *arguments.overrides]
        if arguments.root:
            common.append(f"dataset.root={arguments.root}")
        pretraining = [f"+experiment={arguments.experiment}_pretrain", *common, *arguments.pretrain_overrides]
        encoder = run_once(where / "pretrain", "configs/ssl.yaml", pretraining).encoder
        for fraction in arguments.fractions:
            for name in arguments.methods:
                frozen, load = METHODS[name]
                experiment = f"[{arguments.experiment},linear_evaluation]" if frozen else arguments.experiment
                metrics = run_once(
                    where / f"{name.replace(', ', '_').replace(' ', '_')}_{fraction:g}",
                    "configs/finetune.yaml",
                    [f"+experiment={experiment}", *common, f"dataset.train_data_ratio={fraction}"]
                    + ([f"load_encoder.ckpt_fname={encoder}"] if load else [])
                    + arguments.finetune_overrides,
                ).metrics
                rows.append(
                    {
                        "method": name,
                        "fraction": fraction,
                        "seed": seed,
                        "accuracy": metrics["test/acc"],
                        "f1_macro": metrics["test/f1_macro"],
                        "n_train": metrics["records"]["train"],
                        "n_train_events": metrics["events"]["train"],
                        "n_test": metrics["records"]["test"],
                    }
                )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", required=True, help="NAME: configs/experiment/NAME.yaml and NAME_pretrain.yaml")
    parser.add_argument("--root", help="the prepared store; by default the experiment's")
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.05, 0.1, 0.8], help="train_data_ratio of each")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD",
                        help=f"which to compare: {', '.join(METHODS)}")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/label_efficiency"))
    parser.add_argument("--overrides", nargs="*", default=[], help="Hydra overrides of every run")
    parser.add_argument("--pretrain-overrides", nargs="*", default=[], help="of pretraining alone")
    parser.add_argument("--finetune-overrides", nargs="*", default=[], help="of all other runs")
    arguments = parser.parse_args()
    frame = measure(arguments)
    frame.to_csv(arguments.out / "results.csv", index=False)
    table = frame.groupby(["fraction", "method"], sort=False).agg(
        accuracy=("accuracy", "mean"), spread=("accuracy", "std"), f1_macro=("f1_macro", "mean"),
        events=("n_train_events", "mean"), records=("n_train", "mean"),
    )  # fmt: skip
    title = f"{arguments.experiment}, {arguments.seeds} seeds"
    print("\n" + text_table(table.reset_index().to_dict("records"), title))
    figures.save(figures.method_comparison(frame), arguments.out / "label_efficiency.png")
    print(f"figure  {arguments.out / 'label_efficiency.png'}")


if __name__ == "__main__":
    main()
