"""Composing and running configs: the entry points' options, the run's folder, and one line per error.

An entry point is ``main("configs/ssl.yaml")``. The options ``--config``, ``--config_ssl``, ``--config_ft`` and
``--configs`` all name the YAML file; everything else is Hydra's. Groups are found in :func:`config_dir`, wherever the
YAML file lies. A file in the published flat layout is read by :mod:`seisml.config.published_layout`.
"""

from __future__ import annotations

import itertools
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seisml.config.check import ConfigError, check
from seisml.config.sources import Primary, config_dir, describe, find_yaml, origin, primary, read_yaml
from seisml.errors import UserError, interrupted, interrupts_wait, report
from seisml.run.folder import claim_folder, rank, refuse_used, run_folder, unique_name

OPTIONS = ("--config", "--config_ssl", "--config_ft", "--configs")
HELP = "Options: --config YAML (also --config_ssl, --config_ft, --configs). Hydra takes everything else."
MOST_JOBS_CHECKED = 64  # jobs of a multirun that are checked before the first one starts; each is checked again then
Train = Callable[[DictConfig, Path], Any]


class ConfigFolder(SearchPathPlugin):
    """Lets Hydra find the groups in :func:`config_dir`, wherever the primary config lies."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder to Hydra's search path."""
        search_path.append("seisml", f"file://{config_dir()}")


def main(default: str, train: Train | None = None) -> None:
    """Run an entry point with the command line's arguments; exit with 2 on bad input, 130 on Ctrl-C.

    Args:
        default: Config of the entry point: it runs where no option names another, and flat files are laid over it.
        train: Called with the composed and checked config and the folder of each job; :func:`seisml.run.train.train`.
    """
    code = run(default, train, sys.argv[1:])
    if code:
        sys.exit(code)


def run(default: str, train: Train | None, arguments: Sequence[str]) -> int:
    """Do what :func:`main` does with given arguments; return the exit code."""
    try:
        return _run(default, train, arguments)
    except KeyboardInterrupt:
        return interrupted()
    except SystemExit as stop:  # Lightning turns Ctrl-C into an exit of its own
        if isinstance(stop.__context__, KeyboardInterrupt):
            return interrupted()
        raise
    except Exception as error:
        return report(error)


def compose(config: str, overrides: Sequence[str] = (), default: str | None = None) -> DictConfig:
    """Compose and check a config without a command line.

    Args:
        config: YAML file, native or flat.
        overrides: Hydra overrides.
        default: Native config on which a flat file is laid; by default `config` itself.

    Returns:
        The config that :func:`main` would pass to ``train``.

    Raises:
        UserError: Where it does not compose or does not pass the check.
    """
    base = find_yaml(default or config)
    with primary(find_yaml(config), base) as start, _hydra(start):
        overrides = _settable(overrides, start, _loader())
        return _checked(_compose(start, overrides), start, base, overrides)


def trainer_arguments(gpus: int | str | Sequence[int] | None) -> dict[str, Any]:
    """Turn the published ``gpus`` into arguments of Lightning's Trainer.

    Args:
        gpus: Indices of the GPUs, or their number; ``[]``, 0 or null for the CPU; ``auto`` or -1 for all there are.
            Where there is no GPU, the CPU is taken, said in one line.

    Raises:
        UserError: Where an index names no GPU of this machine.
    """
    import torch  # here, so that --help needs no seconds

    cpu = {"accelerator": "cpu", "devices": 1, "strategy": "auto"}
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus in ("auto", -1):
        wanted = list(range(present))
    else:
        wanted = list(range(gpus)) if isinstance(gpus, int) else [int(index) for index in gpus or ()]
    if not wanted:
        return cpu
    if not present:
        if rank() == 0:
            print(f"trainer_params.gpus is {wanted}, but there is no GPU here: running on the CPU", flush=True)
        return cpu
    absent = [index for index in wanted if not 0 <= index < present]
    if absent:
        raise UserError(
            f"trainer_params.gpus: there is no GPU {absent[0]}; this machine has {', '.join(map(str, range(present)))}"
        )
    return {"accelerator": "gpu", "devices": wanted, "strategy": "ddp" if len(wanted) > 1 else "auto"}


def _run(default: str, train: Train | None, arguments: Sequence[str]) -> int:
    name, rest = _take_option(list(arguments), default)
    parsed = _parse(rest)
    flags = [argument for argument in rest if argument not in parsed.overrides]
    base = find_yaml(default)
    task = base.stem if base.stem != "config" else base.resolve().parent.name
    with primary(find_yaml(name), base) as start:
        with _hydra(start):
            overrides = _settable(parsed.overrides, start, _loader())
            settings = _run_settings(task, start) + ([f"hydra.help.header='{HELP}'"] if parsed.help else [])
            if not (parsed.hydra_help or parsed.shell_completion):
                showing = parsed.help or parsed.cfg or parsed.info
                _precheck(start, base, settings, overrides, bool(parsed.multirun), not showing)
        failures: list[int] = []

        def job(cfg: DictConfig) -> Any:
            own = list(HydraConfig.get().overrides.task)
            many = HydraConfig.get().mode == RunMode.MULTIRUN
            folder = run_folder(cfg)
            started_as, sys.argv = sys.argv, [sys.argv[0], "--config", str(start.files[0].resolve()), *own]
            try:  # Lightning starts the other processes of a run by the command line: it must name this job alone
                claim_folder(folder, _checked(cfg, start, base, own))
                return (train or _training())(cfg, folder)
            except Exception as error:  # reported here: Hydra would wrap it, print it and exit with 1
                failures.append(report(error, f"job {HydraConfig.get().job.num}: " if many else ""))
            finally:
                sys.argv = started_as

        command, sys.argv = sys.argv, [sys.argv[0], *flags, *settings, *overrides]
        try:
            hydra.main(config_path=str(start.folder), config_name=start.name, version_base="1.3")(job)()
        finally:
            sys.argv = command
    return max(failures, default=0) if 1 not in failures else 1


def _training() -> Train:
    with interrupts_wait():
        from seisml.run.train import train  # only now: it takes seconds, which a misspelt key need not wait for

    return train


def _take_option(arguments: list[str], default: str) -> tuple[str, list[str]]:
    """Take the option that names the config out of the arguments."""
    name, rest = default, []
    remaining = iter(arguments)
    for argument in remaining:
        option, equals, value = argument.partition("=")
        if option in OPTIONS:
            name = value if equals else next(remaining, "")
            if not name:
                raise UserError(f"{option} needs a file: {option} configs/ssl.yaml")
        else:
            rest.append(argument)
    return name, rest


def _parse(arguments: Sequence[str]) -> Namespace:
    """Read Hydra's options, with errors of one line."""

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; see --help (the config is named by --config)")

    parser: ArgumentParser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.config_path or parsed.config_name:
        raise UserError("--config-path and --config-name are not used here; name the file by --config")
    return parsed


def _run_settings(task: str, start: Primary) -> list[str]:
    """Hydra's settings of a run, as overrides: a new folder for each run, the log in a file; a YAML's own stay."""
    folder = f"'${{oc.select:out,runs}}/{task}/{unique_name()}'"
    settings = {"job.name": task, "run.dir": folder, "sweep.dir": folder, "job_logging.root.handlers": "[file]"}
    given = [key for key in settings if OmegaConf.select(start.settings, key) is not None]
    return [f"hydra.{key}={value}" for key, value in settings.items() if key not in given]


def _hydra(start: Primary) -> Any:
    """Start Hydra for composing, with our folder on its search path."""
    Plugins.instance().register(ConfigFolder)
    return hydra.initialize_config_dir(config_dir=str(start.folder), version_base="1.3")


def _loader() -> Any:
    return GlobalHydra.instance().config_loader()


def _settable(overrides: Sequence[str], start: Primary, loader: Any) -> list[str]:
    """Let ``key=value`` set any key, in the YAML or not: the check knows better than Hydra which keys there are."""
    groups = set(loader.list_groups(""))
    settable = []
    for text in overrides:
        key = text.partition("=")[0]
        name = key.lstrip("+")
        if key.startswith(("~", "hydra.")) or "=" not in text or "/" in key or "@" in key:
            settable.append(text)
        elif name in groups:  # a group that the YAML does not choose from, such as experiment, needs Hydra's +
            settable.append(text if name in start.groups or key != name else f"+{text}")
        else:
            settable.append(f"++{text.lstrip('+')}")
    return settable


def _compose(start: Primary, overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    try:
        return hydra.compose(start.name, list(overrides), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError) as error:
        raise UserError(describe(error, start, overrides)) from error


def _checked(cfg: DictConfig, start: Primary, base: Path, overrides: Sequence[str]) -> DictConfig:
    """Check a composed config; say in which file or override a fault stands."""
    body = read_yaml(base)
    chosen = [next(iter(entry)) for entry in body.defaults if OmegaConf.is_dict(entry)]
    try:
        keys = {str(key) for key in (*body, *chosen)} - {"defaults", "hydra"} | {"floor", "augmentations"}
        check(cfg, keys, set(_loader().list_groups("")) - {"hydra"})
    except ConfigError as error:
        place = origin(error.key, start, overrides, _loader())
        raise UserError(f"{place}: {error}" if place else str(error)) from error
    return cfg


def _precheck(start: Primary, base: Path, settings: list[str], overrides: list[str], many: bool, is_run: bool) -> None:
    """Compose every job before the first one starts, so that nothing is made or lost by a run that cannot go on."""
    try:
        parsed = OverridesParser.create(config_loader=_loader()).parse_overrides(overrides)
    except HydraException as error:
        raise UserError(describe(error)) from error
    several = [override.input_line for override in parsed if override.is_sweep_override()]
    choices: Iterator[list[str]] = (
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_discrete_sweep()
        else [str(override.input_line)]
        for override in parsed
        if not override.is_interval_sweep()
    )
    for job in itertools.islice(itertools.product(*choices), MOST_JOBS_CHECKED):
        cfg = _compose(start, [*settings, *job], with_hydra=True)
        many = many or cfg.hydra.mode == RunMode.MULTIRUN
        if several and not many:
            text = str(several[0]).lstrip("+")
            key, _, values = text.partition("=")
            raise UserError(f"{text}: several values; add -m to run each of them, or write {key}=[{values}] for a list")
        if is_run:
            task = cfg.copy()
            with open_dict(task):
                del task["hydra"]
            _checked(task, start, base, job)
            try:
                refuse_used(Path(OmegaConf.select(cfg, "hydra.sweep.dir" if many else "hydra.run.dir")), many)
            except OmegaConfBaseException as error:
                raise UserError(describe(error)) from error
