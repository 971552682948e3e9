"""The folder of a run: always a new one, never shared by two runs."""

from __future__ import annotations

import os
import uuid
from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from seisml.errors import UserError, shown
from seisml.files import naming_disk_errors, write_text
from seisml.run.settings import differences
from seisml.values.file_names import CONFIG_FILE, METRICS_FILE

RUN_FILES = (CONFIG_FILE, METRICS_FILE)  # what tells a run's folder from any other


def run_folder(cfg: DictConfig) -> Path:
    """Folder of the run: Hydra's run directory, else (without a command line) a new one below ``cfg.out``."""
    if HydraConfig.initialized():
        return Path(HydraConfig.get().runtime.output_dir)
    folder = Path(cfg.get("out") or "runs") / unique_name()
    folder.mkdir(parents=True)
    return folder


def claim_folder(folder: Path, cfg: DictConfig) -> None:
    """Take a folder for a run by writing its resolved ``config.yaml``; of several processes of one run, the first does.

    A cross-validation takes the folder of one that was interrupted, if it had the same configuration; a run that is
    resumed has its folder already.

    Raises:
        UserError: Where the folder holds a run already.
    """
    if rank() > 0 or (cfg.get("resume") and (folder / CONFIG_FILE).is_file()):
        return
    if OmegaConf.select(cfg, "evaluation.folds") is not None and (folder / CONFIG_FILE).is_file():
        refuse_used(folder, parts=True)
        refuse_other(folder, cfg)
        return
    refuse_used(folder)
    try:
        with naming_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / CONFIG_FILE, "x", encoding="utf-8") as file:
                file.write(OmegaConf.to_yaml(cfg, resolve=True))
    except FileExistsError:
        refuse_used(folder)


def write_config(cfg: DictConfig, folder: Path) -> None:
    """Write ``config.yaml``: the resolved configuration of what runs, in place of what was asked for."""
    if rank() > 0:
        return
    write_text(folder / CONFIG_FILE, OmegaConf.to_yaml(cfg, resolve=True))


def refuse_other(folder: Path, cfg: DictConfig) -> None:
    """Refuse to go on in a folder that was begun with another configuration.

    Raises:
        UserError: Names what differs.
    """
    there = OmegaConf.to_container(OmegaConf.load(folder / CONFIG_FILE), resolve=True)
    if other := differences(there, OmegaConf.to_container(cfg, resolve=True)):
        some = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        raise UserError(f"{shown(folder)} was begun with other settings: {some}; set another hydra.run.dir")


def refuse_used(folder: Path, many: bool = False, parts: bool = False, resumed: bool = False) -> None:
    """Refuse to start in a folder that holds a run or cannot be made.

    Args:
        folder: The folder.
        many: Whether it is that of a multirun.
        parts: Whether the run has parts (folds), so that what an interrupted one has left is gone on with.
        resumed: Whether to go on with a run that is there.
    """
    try:
        parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    except OSError as error:  # a name that is too long
        raise UserError(f"{shown(folder)} cannot be made: {error.strerror or error}; set out=FOLDER") from error
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise UserError(f"{shown(folder)} cannot be made: {parent} is not a folder to write in; set out=FOLDER")
    if resumed:
        return
    names = (METRICS_FILE,) if parts else RUN_FILES
    for name in (*names, "multirun.yaml") if many else names:
        if rank() == 0 and (folder / name).exists():
            raise UserError(
                f"{shown(folder)} holds a run already ({name}); name another folder (hydra.run.dir=...), or go on with "
                "it: resume=auto"
            )


def make_folder(folder: Path) -> None:
    """Make a folder, with an error of one line where the system does not let us."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{shown(folder)} cannot be made: {error.strerror or error}; set out=FOLDER") from error


def unique_name() -> str:
    """Name of a run: when it started, and a suffix that tells runs of one moment apart."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}_{uuid.uuid4().hex[:6]}"


def rank() -> int:
    """Number of this process among those of one run."""
    return int(next((os.environ[name] for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in os.environ), 0))
