"""``seisml compare``: what encoders are worth, over data sets, numbers of labels and paired splits."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

EXAMPLE = "seisml compare --probe nz_2013=data/nz_2013 --pretrain self others.ckpt --fractions 1event 0.05 1 --seeds 5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``seisml compare``."""
    parser.add_argument("--probe", nargs="+", required=True, metavar="WHAT",
                        help="data sets to test on: [NAME:]EXPERIMENT[=STORE] of configs/experiment, [NAME:]STORE")
    parser.add_argument("--pretrain", nargs="+", default=["self"], metavar="WHAT",
                        help="encoders: [NAME:]CHECKPOINT, or the name of one (small_100hz); "
                        "[NAME:]EXPERIMENT[=STORE], pretrained anew for each seed; "
                        "EXPERIMENT=self on the probe's store without its test events; self is PROBE_pretrain; none")
    parser.add_argument("--stores", nargs="+", default=[], metavar="STORE",
                        help="stores of pretraining experiments over several stores; that of the probe is left out")
    parser.add_argument("--hold-out", action="store_true",
                        help="pretraining experiments leave out what a trial tests on, by events and by content")
    parser.add_argument("--fractions", nargs="+", default=["1event", "0.05", "0.1", "1"], metavar="SHARE",
                        help="shares of the training events that are labelled; 1event is one event per class")
    parser.add_argument("--label-by", choices=["event", "record"], default="event",
                        help="--fractions are shares of training events with all their records, or records of all "
                        "training events (1event is then one record per class); the test stays the same (event)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds, each with splits and weights of its own (5)")
    parser.add_argument("--folds", type=int, help="test on so many folds of each seed instead of one test part")
    parser.add_argument("--steps", type=int, default=300, help="training steps of fine-tuning and from scratch (300)")
    parser.add_argument("--budgets", type=float, nargs="+", default=[0.5, 1.0, 2.0], metavar="TIMES",
                        help="multiples of --steps from which training from scratch takes the best (0.5 1 2)")
    parser.add_argument("--choose", nargs="+", default=[], metavar="KEY=A,B",
                        help="settings from which every row that trains an encoder takes the best, by dev parts of "
                        "its labelled events as --budgets is; the first where there is nothing to choose by")
    parser.add_argument("--knn", action="store_true", help="add rows of a nearest-neighbour vote")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of all runs with labels")
    parser.add_argument("--pretrain-set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of pretraining")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"),
                        help="folder of everything (runs/compare); the same command goes on with it")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run ``seisml compare``; returns the exit code."""
    # here, so that `seisml --help` does not wait for them
    from seisml.comparison.compare import compare
    from seisml.comparison.plan import Options, Probe, Source, check_stores, fraction_name, read_fraction
    from seisml.config.sweeps import alternatives
    from seisml.errors import UserError

    for name, value in (("seeds", arguments.seeds), ("steps", arguments.steps), ("jobs", arguments.jobs)):
        if value < 1:
            raise UserError(f"--{name}: {value} is too few; give 1 or more")
    if not all(0 < times < math.inf for times in arguments.budgets):
        raise UserError("--budgets: give multiples of --steps above 0")
    check_stores(arguments.stores, "--stores")
    options = Options(
        seeds=arguments.seeds,
        fractions=tuple({fraction_name(it): it for it in map(read_fraction, arguments.fractions)}.values()),
        label_by=arguments.label_by,
        steps=arguments.steps,
        budgets=tuple(dict.fromkeys(arguments.budgets)),
        choose=tuple(alternatives(arguments.choose, "--choose")),
        folds=arguments.folds,
        knn=arguments.knn,
        overrides=tuple(arguments.set),
        pretrain_overrides=tuple(arguments.pretrain_set),
        stores=tuple(arguments.stores),
        hold_out=arguments.hold_out,
        jobs=arguments.jobs,
        progress=True,
    )
    probes = [Probe.of(text) for text in arguments.probe]
    sources = [Source.of(text) for text in arguments.pretrain if text != "none"]
    for option, names in (("probe", probes), ("pretrain", sources)):
        if len({it.name for it in names}) < len(names):
            raise UserError(f"--{option}: two of the same name; give them names of their own, as NAME:WHAT")
    found = compare(probes, sources, options, arguments.out, ("seisml", *arguments.words))
    return 2 if found.failed else 0
