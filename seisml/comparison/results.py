"""The numbers of a comparison: a row per cell, and a table of means with paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seisml.comparison.plan import RANDOM, SCRATCH, Trial, fraction_name
from seisml.comparison.tasks import Cell
from seisml.evaluation.paired import confusion_scores, paired_difference

SCORES = ("acc", "balanced_acc", "f1_macro")
TRIAL = ["seed", "fold"]


def cell_rows(
    cells: Sequence[Cell], results: Mapping[Path, Mapping[str, Any]], seen: Mapping[Any, Any]
) -> pd.DataFrame:
    """One line for each cell that is done.

    Args:
        cells: All cells.
        results: What those that are done gave, by folder.
        seen: Number of test events that an encoder has seen, by (name, folder of the trial); missing where nothing is
            known.
    """
    rows = []
    for cell in cells:
        if cell.folder not in results:
            continue
        result, trial = results[cell.folder], cell.trial
        counts = np.asarray(result["confusion_matrix"])
        rows.append(
            {
                "probe": trial.probe.name,
                "row": cell.row,
                "encoder": cell.encoder,
                "labels": fraction_name(cell.part.fraction),
                "fraction": cell.part.fraction,
                "seed": trial.seed,
                "fold": -1 if trial.fold is None else trial.fold,
                **confusion_scores(counts),
                "train_events": cell.part.events,
                "train_records": cell.part.records,
                "test_events": len(trial.test_events),
                "test_records": int(counts.sum()),
                "test_events_seen": seen.get((cell.encoder, trial.folder)),
                "steps": result.get("steps"),
                "settings": result.get("settings") or None,
                "folder": str(cell.folder),
            }
        )
    return pd.DataFrame(rows)


def rival_of(row: str) -> str:
    """What a row is compared with: frozen encoders with a random one under the same classifier, others with scratch."""
    for by in ("linear", "kNN"):
        if row.endswith(f" + {by}") and row != f"{RANDOM} + {by}":
            return f"{RANDOM} + {by}"
    return SCRATCH


def summarise(frame: pd.DataFrame, test_share: Mapping[str, float]) -> pd.DataFrame:
    """Mean scores of each row, and its paired differences in accuracy.

    Args:
        frame: What :func:`cell_rows` gave.
        test_share: Share of the events that a trial tests on, by probe; see :func:`tested_shares`.

    Returns:
        ``probe``, ``labels``, ``fraction``, ``row``, means of the scores, ``acc_std`` (over trials), ``train_events``,
        ``trials``; ``to_scratch``, ``to_scratch_low``, ``to_scratch_high`` and ``to_scratch_real`` (the interval
        excludes zero), and the same ``to_random`` for rows on frozen encoders.
    """
    rows = []
    for (probe, labels), part in frame.groupby(["probe", "labels"], sort=False):
        scores = part.pivot_table(index=TRIAL, columns="row", values="acc", sort=False)
        for row, some in part.groupby("row", sort=False):
            line = {"probe": probe, "labels": labels, "fraction": some["fraction"].iloc[0], "row": row}
            line |= {name: some[name].mean() for name in SCORES}
            line |= {
                "acc_std": some["acc"].std(ddof=1),
                "train_events": some["train_events"].mean(),
                "trials": len(some),
            }
            for name, rival in (("to_scratch", SCRATCH), ("to_random", rival_of(str(row)))):
                if rival == row or rival not in scores or (name == "to_random" and rival == SCRATCH):
                    continue
                found = paired_difference(scores[row], scores[rival], test_share[str(probe)])
                line |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
                line[f"{name}_real"] = found.excludes_zero
            rows.append(line)
    return pd.DataFrame(rows)


def tested_shares(trials: Sequence[Trial]) -> dict[str, float]:
    """Share of the events that the trials of each probe test on; 0 where all test on the same ones.

    Test parts that never change have nothing to say about other events, and their splits nothing in common but them:
    the interval is that over training events and seeds, for these test events.
    """
    shares = {}
    for name in dict.fromkeys(trial.probe.name for trial in trials):
        some = [trial for trial in trials if trial.probe.name == name]
        same = len({trial.test_events for trial in some}) == 1 and len(some) > 1
        shares[name] = 0.0 if same else float(np.mean([trial.test_share for trial in some]))
    return shares


def printed(summary: pd.DataFrame, probe: str) -> list[dict[str, Any]]:
    """The table of one probe as it is shown, ``*`` where an interval excludes zero."""
    lines = []
    for row in summary[summary["probe"] == probe].to_dict("records"):
        line = {"labels": row["labels"], "events": f"{row['train_events']:.0f}", "": row["row"]}
        line |= {"accuracy": row["acc"], "balanced": row["balanced_acc"], "macro F1": row["f1_macro"]}
        for name, head in (("to_scratch", "to scratch"), ("to_random", "to random")):
            line[head] = _interval(row, name)
        lines.append(line)
    return lines


def _interval(row: Mapping[str, Any], name: str) -> str:
    mean, low, high = (row.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
    if not np.isfinite(mean):
        return ""
    if not np.isfinite(low):
        return f"{mean:+.3f}"
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]{' *' if row[f'{name}_real'] else ''}"
