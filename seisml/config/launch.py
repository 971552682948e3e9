"""Running entry points: their options, a folder for each job, one line and an exit code for each error.

An entry point is ``main("configs/ssl.yaml")``. The options ``--config``, ``--config_ssl``, ``--config_ft`` and
``--configs`` all name the YAML file; everything else is Hydra's. Jobs run where Hydra's launcher puts them: a job
carries what it needs, and one that fails leaves its line in ``error.txt``, from which the exit code comes.
"""

from __future__ import annotations

import atexit
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seisml.config.check import check
from seisml.config.compose import check_paths, checked, compose_with_hydra, hydra_for, settable, usual, without
from seisml.config.sources import Primary, describe, find_yaml, primary
from seisml.config.sweeps import jobs, with_swept
from seisml.errors import STOPPED, Stopped, UserError, interrupted, interrupts_wait, nearest, report, shown, stopped
from seisml.run.folder import claim_folder, make_folder, rank, refuse_used, run_folder, unique_name
from seisml.values.file_names import CONFIG_FILE

OPTIONS = ("--config", "--config_ssl", "--config_ft", "--configs")
HELP = "Options: --config YAML (also --config_ssl, --config_ft, --configs). Hydra takes everything else."
ERROR_FILE = "error.txt"  # in a failed job's folder: its exit code and its line
SUBMITIT = "SUBMITIT_EXECUTOR"  # environment variable of the processes in which submitit runs jobs
Train = Callable[[DictConfig, Path], Any]


def main(default: str, train: Train | None = None) -> None:
    """Run an entry point with the command line's arguments; exit with 2 on bad input, 130 on Ctrl-C.

    Another signal ends a run that trains with its state saved; the exit code is 75.

    Args:
        default: Config of the entry point: it runs where no option names another, and flat files are laid over it.
        train: Called with the composed and checked config and the folder of each job; by default a run, or one for
            each fold (:mod:`seisml.run.folds`).
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
    except Stopped as stop:
        return stopped(stop) if rank() == 0 else STOPPED
    except SystemExit as stop:  # Lightning turns Ctrl-C into an exit
        if isinstance(stop.__context__, KeyboardInterrupt):
            return interrupted()
        raise
    except Exception as error:
        return report(error)


@dataclass(frozen=True)
class Job:
    """What Hydra's launcher calls with each job's config, in this process or another, on this machine or another.

    Attributes:
        passed_over: See :func:`seisml.config.check.check`.
        train: See :func:`main`.
    """

    passed_over: DictConfig | None
    train: Train | None

    def __call__(self, cfg: DictConfig) -> Any:
        """Run one job; its error is reported here, since Hydra would wrap it, print it and exit with 1."""
        job, many = HydraConfig.get().job, HydraConfig.get().mode == RunMode.MULTIRUN
        folder, failed = run_folder(cfg), _failing_process()
        try:
            (folder / ERROR_FILE).unlink(missing_ok=True)
            cfg = without(cfg, check(cfg, set(cfg), set(), self.passed_over))
            claim_folder(folder, cfg)
            return (self.train or _training())(cfg, folder)
        except Stopped as stop:
            if SUBMITIT in os.environ:  # nobody there waits for it, and the job's log would get a traceback
                sys.exit(stopped(stop))
            raise
        except Exception as error:
            code = report(error, f"job {job.num}: " if many else "")
            with suppress(OSError):  # a full disk holds the file's name, if no more
                (folder / ERROR_FILE).write_text(f"{code}\n{error}\n", encoding="utf-8")
            failed.append(code)
            return None


def _failing_process() -> list[int]:
    """Exit codes to put into; the process of a job of submitit ends with the largest.

    It would end with 0, as its answer arrives, and the cluster call the job completed: squeue, mails and jobs that wait
    for it (``afterok``) would take it for done.
    """
    codes: list[int] = []
    if SUBMITIT in os.environ:
        atexit.register(_exit_with, codes)  # now: what is registered later, such as wandb's end, comes first
    return codes


def _exit_with(codes: list[int]) -> None:
    if codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(max(codes))


def _run(default: str, train: Train | None, arguments: Sequence[str]) -> int:
    name, rest = _take_option(list(arguments), default)
    name, rest = _resumed(name, rest, default)
    parsed = _parse(rest)
    flags = [argument for argument in rest if argument not in parsed.overrides]
    base = find_yaml(default)
    task = base.stem if base.stem != "config" else base.resolve().parent.name
    start = primary(find_yaml(name), base, parsed.overrides)
    settings = _run_settings(task, start) + ([f"hydra.help.header='{HELP}'"] if parsed.help else [])
    folders: list[Path] = []
    pinned: list[str] = []
    elsewhere = False
    with hydra_for(start):
        overrides = settable(parsed.overrides, start)
        if not (parsed.hydra_help or parsed.shell_completion or parsed.version):
            overrides = with_swept(start, parsed.overrides, bool(parsed.multirun))
            showing = parsed.help or parsed.cfg or parsed.info
            folders, key, elsewhere = _precheck(start, settings, overrides, bool(parsed.multirun), not showing)
            if len(folders) == 1:  # said anew, it might hold another time of day
                text = str(folders[0]).replace("\\", "\\\\").replace("'", "\\'")
                pinned = [f"{key}='{text}'"]
        job = Job(usual(start), train)
    command, sys.argv = sys.argv, [sys.argv[0], *flags, *settings, *overrides, *pinned]
    try:
        hydra.main(config_path=str(start.folder), config_name=start.name, version_base="1.3")(job)()
    finally:
        sys.argv = command
    failed = sorted({path for folder in folders for path in folder.rglob(ERROR_FILE)})
    texts = [path.read_text(encoding="utf-8").partition("\n") for path in failed]
    if elsewhere:  # what the jobs have said is in their files
        for path, (_, _, words) in zip(failed, texts, strict=True):
            print(f"error: {shown(path.parent)}: {' '.join(words.split())}", file=sys.stderr)
    codes = {int(code or 2) for code, _, _ in texts}
    return 1 if 1 in codes else max(codes, default=0)


def _precheck(
    start: Primary, settings: list[str], overrides: list[str], many: bool, is_run: bool
) -> tuple[list[Path], str, bool]:
    """Compose and check every job before the first one starts, so that nothing is made by a run that cannot go on.

    Returns:
        The folders below which the jobs will run, the key of Hydra that says them, and whether submitit hands the jobs
        to others.
    """
    folders: dict[Path, None] = {}
    key, elsewhere = "hydra.run.dir", False
    for job, is_sweep in jobs(overrides):
        cfg = compose_with_hydra(start, [*settings, *job])
        many = many or cfg.hydra.mode == RunMode.MULTIRUN
        elsewhere = many and "submitit" in cfg.hydra.launcher["_target_"]
        if is_sweep and not many:
            text = next(text for text in overrides if text not in job).lstrip("+")
            name, _, values = text.partition("=")
            cure = f"add -m to run each of them, or write {name}=[{values}] for a list"
            raise UserError(f"{text}: several values; {cure}")
        if not is_run:
            continue
        check_paths(cfg, start, job)
        checked(cfg, start, job)
        key = "hydra.sweep.dir" if many else "hydra.run.dir"
        try:
            folder = Path(OmegaConf.select(cfg, key))
        except OmegaConfBaseException as error:
            raise UserError(describe(error)) from error
        parts = OmegaConf.select(cfg, "evaluation.folds") is not None
        refuse_used(folder, many, parts, bool(cfg.get("resume")))
        folders[folder] = None
    for folder in folders:
        make_folder(folder)
    return list(folders), key, elsewhere


def _training() -> Train:
    with interrupts_wait():
        from seisml.run.folds import train_or_cross_validate  # only now: it takes seconds; a misspelt key need not wait

    return train_or_cross_validate


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


def _resumed(name: str, arguments: list[str], default: str) -> tuple[str, list[str]]:
    """Turn ``resume=RUN_FOLDER`` into ``resume=auto`` in that folder, with its configuration where none is named."""
    values = [text.partition("=")[2] for text in arguments if text.lstrip("+").startswith("resume=")]
    if not values or values[-1].lower() in ("auto", "null", "none", ""):
        return name, arguments
    folder = Path(values[-1])
    if not (folder / CONFIG_FILE).is_file():
        beside = [str(path.parent) for path in folder.parent.glob(f"*/{CONFIG_FILE}")] if folder.parent.is_dir() else []
        raise UserError(f"resume={folder}: there is no run ({CONFIG_FILE}); {nearest(str(folder), [*beside, 'auto'])}")
    kept = [text for text in arguments if not text.lstrip("+").startswith(("resume=", "hydra.run.dir="))]
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    own = str(folder / CONFIG_FILE) if name == default else name
    return own, [*kept, "resume=auto", f"hydra.run.dir='{quoted}'"]


class _Options(ArgumentParser):
    """Hydra's options as it documents them (https://hydra.cc/docs/advanced/hydra-command-line-flags)."""

    def __init__(self) -> None:
        super().__init__(add_help=False)
        self.add_argument("overrides", nargs="*")
        for flags in (("--help", "-h"), ("--hydra-help",), ("--version",), ("--resolve",), ("--run", "-r"),
                      ("--multirun", "-m"), ("--shell-completion", "-sc")):  # fmt: skip
            self.add_argument(*flags, action="store_true")
        self.add_argument("--info", "-i", nargs="?", const="all")
        for flags in (("--cfg", "-c"), ("--package", "-p"), ("--config-dir", "-cd"),
                      ("--config-path", "-cp"), ("--config-name", "-cn")):  # fmt: skip
            self.add_argument(*flags)

    def error(self, message: str) -> NoReturn:
        """Report a wrong option like any other bad input."""
        raise UserError(f"{message}; see --help (the config is named by --config)")


def _parse(arguments: Sequence[str]) -> Namespace:
    """Read Hydra's options, with errors of one line."""
    parsed = _Options().parse_intermixed_args(arguments)
    if parsed.config_path or parsed.config_name:
        raise UserError("--config-path and --config-name are not used here; name the file by --config")
    return parsed


def _run_settings(task: str, start: Primary) -> list[str]:
    """Hydra's settings of a run, as overrides: a new folder for each run, the log in a file; those of a YAML stay."""
    folder = f"'${{oc.select:out,runs}}/{task}/{unique_name()}'"
    settings = {"job.name": task, "run.dir": folder, "sweep.dir": folder, "job_logging.root.handlers": "[file]"}
    given = [key for key in settings if OmegaConf.select(start.settings, key) is not None]
    return [f"hydra.{key}={value}" for key, value in settings.items() if key not in given]
