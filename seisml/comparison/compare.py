"""The comparison as a whole: plan, pretrain, embed, train, count."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seisml.comparison.engine import Results, finished, work_off
from seisml.comparison.leaks import leak_warnings, network_notes, rate_warnings, seen_of
from seisml.comparison.plan import Options, Probe, Source, Trial
from seisml.comparison.planning import Encoder, encoder_of, plan_cells
from seisml.comparison.reserved import check_free
from seisml.comparison.results import cell_rows, printed, summarise, tested_shares
from seisml.comparison.tasks import Cell, EmbeddingTable
from seisml.comparison.trials import make_trials
from seisml.errors import UserError
from seisml.evaluation import figures
from seisml.files import write_frame, write_text
from seisml.run.messages import say
from seisml.run.record import versions
from seisml.terminal.progress import Progress
from seisml.terminal.text_table import text_table
from seisml.values.file_names import COMPARISON_FILE, RESULTS_FILE, SUMMARY_FILE

FIGURES = ("differences", "curves")


@dataclass(frozen=True)
class Comparison:
    """What a comparison leaves.

    Attributes:
        folder: Where everything is.
        cells: A line per cell, also in ``results.csv``.
        summary: Means and paired differences, also in ``summary.csv``.
        warnings: Leaks, and cells that failed.
        failed: Why cells gave nothing, by folder.
    """

    folder: Path
    cells: pd.DataFrame
    summary: pd.DataFrame
    warnings: list[str]
    failed: dict[Path, str]


def compare(
    probes: Sequence[Probe],
    sources: Sequence[Source],
    options: Options,
    out: str | Path,
    command: Sequence[str] = (),
) -> Comparison:
    """Compare encoders over data sets, numbers of labels and paired splits.

    Every row of a trial (a seed, and a fold where there are folds) tests on the same events and learns from the same
    labelled ones. Rows that train an encoder take the same number of steps, whatever the number of labels; training
    from scratch takes the best of a few, see :class:`seisml.comparison.tasks.TrainedCell`. What an earlier call has
    finished is not done again.

    Args:
        probes: The data sets.
        sources: The encoders, or the pretrainings that make them.
        options: See there.
        out: Folder of everything.
        command: Words of the command that asks for it; written down in ``comparison.json``, with the versions.

    Raises:
        UserError: Bad input, or ``out`` holds a comparison of other settings or data, or files that are not one's.
    """
    out = Path(out)
    check_free(options)
    _check_out(out)
    trials = [trial for probe in probes for trial in make_trials(probe, options, out)]
    encoders = {trial.folder: [encoder_of(source, trial, options, out) for source in sources] for trial in trials}
    tables: list[EmbeddingTable] = []
    cells: list[Cell] = []
    for trial in trials:
        some_tables, some_cells = plan_cells(trial, encoders[trial.folder], options, out)
        tables += some_tables
        cells += some_cells
    pretrainings = [encoder.task for some in encoders.values() for encoder in some if encoder.task is not None]
    if options.stores and pretrainings and not any("stores" in task.config["dataset"] for task in pretrainings):
        raise UserError("--stores: no experiment of --pretrain takes several stores; name one: pairs_pretrain")
    folders = {task.folder: task for task in (*pretrainings, *tables, *cells)}
    # what was made with other settings is refused here, before anything is done
    done = sum(task.weight for task in folders.values() if finished(task) is not None)
    total = sum(task.weight for task in folders.values())
    trained = [task.steps for task in folders.values() if task.steps]
    say(f"{len(trials)} trials, {len(cells)} cells; about {sum(trained):,} training steps, in {out}")
    if command or not (out / COMPARISON_FILE).exists():
        words = {"command": list(command), "versions": versions()}
        write_text(out / COMPARISON_FILE, json.dumps(words, indent=1, ensure_ascii=False) + "\n")
    with Progress("comparing", "step", total, done, shown=options.progress) as progress:
        _, failed = work_off(pretrainings, options.jobs, progress)
        encoders = {place: [it for it in some if it.path.is_file()] for place, some in encoders.items()}
        warnings, seen = _look_for_leaks(trials, encoders)
        _, without = work_off(tables, options.jobs, progress)
        results, failed_cells = work_off(cells, options.jobs, progress)
    failed |= without | failed_cells
    warnings += [f"Warning: {place} failed: {reason}" for place, reason in failed.items()]
    left = {place: reason for place, result in results.items() for reason in result.get("failed", {}).values()}
    warnings += [f"Warning: {place} could not choose {reason}" for place, reason in left.items()]
    return _conclude(out, trials, cells, results, seen, warnings, failed)


def _check_out(out: Path) -> None:
    """Refuse a folder that cannot be made, or that holds files of other makers which those of a comparison replaced.

    Raises:
        UserError: Names it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: no folder can be made there ({error.strerror}); choose another") from error
    made = (COMPARISON_FILE, RESULTS_FILE, SUMMARY_FILE, *(f"{name}.png" for name in FIGURES))
    foreign = next((out / name for name in made if (out / name).exists()), None)
    if foreign is not None and not _is_comparison(out / COMPARISON_FILE):
        raise UserError(f"{foreign} is there and not of a comparison; choose another --out")


def _is_comparison(path: Path) -> bool:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and {"command", "versions"} <= said.keys()


def _look_for_leaks(
    trials: Sequence[Trial], encoders: Mapping[Path, Sequence[Encoder]]
) -> tuple[list[str], dict[tuple[str, Path], int]]:
    """Lines that warn, and how many test events an encoder has seen, by its name and the trial's folder."""
    found = [(encoder, trial, seen_of(encoder, trial)) for trial in trials for encoder in encoders[trial.folder]]
    warnings = [*rate_warnings(found), *leak_warnings(found)]
    for line in [*warnings, *network_notes(found)]:
        say(line)
    counts = {(encoder.name, trial.folder): seen.events for encoder, trial, seen in found}
    return warnings, {place: len(events) for place, events in counts.items() if events is not None}


def _conclude(
    out: Path,
    trials: Sequence[Trial],
    cells: Sequence[Cell],
    results: Results,
    seen: Mapping[tuple[str, Path], int],
    warnings: list[str],
    failed: dict[Path, str],
) -> Comparison:
    """Write and show the tables, and draw the figures.

    Raises:
        UserError: No cell gave anything.
    """
    frame = cell_rows(cells, results, seen)
    if not len(frame):
        raise UserError(f"no cell could be computed: {next(iter(failed.values()), 'there is none')}")
    write_frame(out / RESULTS_FILE, frame)
    summary = summarise(frame, tested_shares(trials))
    write_frame(out / SUMMARY_FILE, summary)
    for probe in dict.fromkeys(frame["probe"]):
        some = [trial for trial in trials if trial.probe.name == probe]
        title = f"{probe}: mean over {len(some)} trials; paired difference in accuracy [95 % interval], * excludes zero"
        say(f"\n{text_table(printed(summary, probe), title)}")
    drawn = dict(zip(FIGURES, (figures.difference_map(summary), figures.label_curves(summary)), strict=True))
    say()
    for line in warnings:
        say(line)
    for name, figure in drawn.items():
        say(f"figure      {figures.save(figure, out / f'{name}.png')}")
    say(f"tables      {out / SUMMARY_FILE}, {out / RESULTS_FILE}")
    return Comparison(out, frame, summary, warnings, failed)
