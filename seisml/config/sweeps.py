"""Which jobs a multirun comes to: what the command line varies, and what a file of ``configs/sweep`` does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from seisml.config.compose import compose_with_hydra, settable
from seisml.config.sources import Primary, describe
from seisml.errors import UserError

MOST_JOBS_CHECKED = 64  # jobs of a multirun that are checked before the first one starts; each is checked again then
PARAMS = "hydra.sweeper.params"  # where a file says what a multirun varies


def with_swept(start: Primary, overrides: Sequence[str], many: bool) -> list[str]:
    """Put what a file sweeps among the overrides of a multirun; what the command line sets replaces it.

    Hydra would take ``dataset.root`` of a file and ``++dataset.root`` of :func:`settable` for two things to vary, and
    run each combination.

    Args:
        start: What Hydra starts from.
        overrides: Of the command line.
        many: Whether it asks for a multirun; the configuration may, too.

    Raises:
        UserError: Where it does not compose.
    """
    changed = settable(overrides, start)
    hydra = compose_with_hydra(start, next(jobs(changed))[0]).hydra
    swept = OmegaConf.select(hydra, "sweeper.params")
    if not swept or not (many or hydra.mode == RunMode.MULTIRUN):
        return changed
    given = {text.partition("=")[0].lstrip("+~") for text in overrides}
    of_files = [f"{key}={values}" for key, values in swept.items() if key.lstrip("+") not in given]
    return [*settable([*of_files, *overrides], start), f"{PARAMS}=null"]


def jobs(overrides: Sequence[str]) -> Iterator[tuple[list[str], bool]]:
    """The overrides of each job of a sweep, as many as are checked, and whether there are several."""
    given = parsed(overrides)
    choices: Iterator[list[str]] = (
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_discrete_sweep()
        else [str(override.input_line)]
        for override in given
        if not override.is_interval_sweep()
    )
    is_sweep = any(override.is_sweep_override() for override in given)
    for job in itertools.islice(itertools.product(*choices), MOST_JOBS_CHECKED):
        yield list(job), is_sweep


def alternatives(overrides: Sequence[str], option: str) -> list[tuple[str, ...]]:
    """Each combination of what overrides vary, once: ``KEY=A,B`` has two; nothing has one, without overrides.

    Args:
        overrides: In Hydra's words, ``KEY=A,B``, ``KEY=choice(A,B)`` or ``KEY=range(1,4)``.
        option: What the command calls them.

    Raises:
        UserError: They are not such words, or come to too many.
    """
    for override in parsed(overrides):
        if not override.is_discrete_sweep():
            raise UserError(f"{option} {override.input_line}: nothing to choose from; give values: KEY=A,B")
    found = [tuple(job) for job, _ in jobs(overrides)]
    if len(found) == MOST_JOBS_CHECKED:
        raise UserError(f"{option}: {MOST_JOBS_CHECKED} combinations or more; each is trained, so give fewer")
    return list(dict.fromkeys(found))


def parsed(overrides: Sequence[str]) -> list[Override]:
    """Read overrides as Hydra does.

    Raises:
        UserError: One cannot be read.
    """
    try:
        hydra = GlobalHydra.instance()
        loader = hydra.config_loader() if hydra.is_initialized() else None  # which globs of groups alone ask for
        return OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    except (HydraException, RecursionError) as error:
        raise UserError(describe(error)) from error
