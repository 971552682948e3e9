"""What a run hands to its logger besides the curves: its configuration, its results and its figures."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.image import imread
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from seisml.errors import UserError
from seisml.files import write_text
from seisml.run.build import build_section
from seisml.run.folder import rank

WANDB = "pytorch_lightning.loggers.WandbLogger"


def open_logger(cfg: DictConfig, folder: Path) -> Logger | None:
    """Build the configuration's logger, where there is one, and hand it the resolved configuration.

    A logger of CSV files gets none: the run's folder has it as ``config.yaml``. One of wandb goes on with the run that
    it began in this folder.
    """
    if not cfg.get("logger") or rank() > 0:  # one process of a run writes
        return None
    settings: Any = {"save_dir": str(folder), **OmegaConf.to_container(cfg.logger, resolve=True)}
    if settings.get("_target_") == WANDB:
        settings = {"id": wandb_id(folder), "resume": "allow"} | settings
    logger = build_section("logger", settings, Logger)
    if not isinstance(logger, CSVLogger):
        logger.log_hyperparams(OmegaConf.to_container(cfg, resolve=True))
    return logger


def wandb_id(folder: Path) -> str:
    """The name by which wandb knows the run in a folder: the one it got when it began, else a new one."""
    path = folder / "wandb_id"
    if not path.is_file():
        write_text(path, f"{uuid.uuid4().hex[:8]}\n")
    found = path.read_text(encoding="utf-8").strip()
    if not re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", found):
        raise UserError(f"{path}: {found[:64]!r} is not the id of a wandb run; remove the file, and a new one begins")
    return found


def log_results(logger: Logger | None, metrics: Mapping[str, Any], step: int) -> None:
    """Hand the results on the test part to the logger, for tables of many runs and for sweeps; it has all others."""
    if logger is not None:
        results = {name: value for name, value in metrics.items() if isinstance(value, float)}
        logger.log_metrics({name: value for name, value in results.items() if name.startswith("test/")}, step)
        logger.save()


def log_figures(logger: Logger | None, paths: Mapping[str, Path]) -> None:
    """Hand the figures to loggers that show pictures."""
    for name, path in paths.items():
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [str(path)])
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, imread(path)[..., :3], dataformats="HWC")


def close_logger(logger: Logger | None) -> None:
    """Wait until the logger's files are whole, and let another run of this process begin."""
    if logger is not None:
        logger.finalize("success")  # TensorBoard writes from another thread
    if isinstance(logger, WandbLogger):  # wandb keeps one run open per process; the next job of a sweep is another
        logger.experiment.finish()
