"""Configurations side by side: what differs, and runs that differ in nothing but their seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seisml.report.parts import Table, text_cell
from seisml.report.runs import Run

SEEDS = ("seed", "train_test_split_rand_seed")  # last words of keys that repeat an experiment
PLACES = ("out", "encoder_folder", "needs", "resume", "encoder_name")  # where things are put, and help: no experiment
MISSING = "–"
MOST_KEYS = 200


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as text."""
    for key, value in settings.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{name}.")
        else:
            yield name, "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def experiment(run: Run) -> dict[str, str]:
    """The flat configuration of a run, without places."""
    return {key: value for key, value in flat(run.settings) if key.partition(".")[0] not in PLACES}


def is_seed(key: str) -> bool:
    """Whether a key only repeats an experiment."""
    return key.rpartition(".")[2] in SEEDS


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Keys that differ between runs, and their values, one for each run."""
    settings = [experiment(run) for run in runs]
    keys = dict.fromkeys(key for some in settings for key in some)
    values = {key: [some.get(key, MISSING) for some in settings] for key in keys}
    return {key: some for key, some in values.items() if len(set(some)) > 1}


def difference_table(runs: Sequence[Run]) -> Table | None:
    """Runs in rows and the keys that differ in columns, or the other way where there are few runs; None if none do."""
    found = differing(runs)
    if not found:
        return None
    left_out = len(found) - MOST_KEYS
    note = f"{left_out} more keys differ." if left_out > 0 else ""
    found = dict(list(found.items())[:MOST_KEYS])
    caption = "Settings that differ"
    if len(runs) <= 4 or len(found) > 8:
        head = ["setting", *(run.name for run in runs)]
        rows = [[text_cell(key), *map(text_cell, values)] for key, values in found.items()]
    else:
        head = ["run", *found]
        rows = [
            [text_cell(run.name), *(text_cell(values[number]) for values in found.values())]
            for number, run in enumerate(runs)
        ]
    return Table(caption, head, rows, note)


def groups(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Runs that differ in nothing but their seed, under the settings that tell the groups apart."""
    found: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        key = tuple(sorted((key, value) for key, value in experiment(run).items() if not is_seed(key)))
        found.setdefault(key, []).append(run)
    apart = [key for key in differing(runs) if not is_seed(key)]
    named = []
    for settings, some in found.items():
        values = dict(settings)
        name = ", ".join(f"{key.rpartition('.')[2]}={values.get(key, MISSING)}" for key in apart)
        repeats = f"{some[0].name} and its repeats" if len(some) > 1 else some[0].name
        named.append((name if 0 < len(name) <= 120 else repeats, some))
    return named


def titles(runs: Sequence[Run]) -> list[str]:
    """Names of runs, with the settings that tell each from the others where they are few."""
    apart = differing(runs)
    told: dict[tuple[str, ...], str] = {}
    for key in sorted(apart, key=len):  # of keys that always change together one is enough
        told.setdefault(tuple(apart[key]), key)
    named = []
    for place, run in enumerate(runs):
        words = ", ".join(f"{key.rpartition('.')[2]}={apart[key][place]}" for key in told.values())
        named.append(f"{run.name}: {words}" if 0 < len(words) <= 60 else run.name)
    return named
