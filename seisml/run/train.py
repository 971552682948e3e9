"""One run, from a composed configuration to a trained, tested and pictured model."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from seisml.config.compose import trainer_arguments
from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.evaluation import figures
from seisml.run.build import (
    build_method,
    build_section,
    fit_front_end,
    front_end_config,
    load_pretrained,
    method_class,
    read_pretrained,
)
from seisml.run.callbacks import History, SaveEncoder, monitors
from seisml.run.checkpoints import read_checkpoint
from seisml.run.messages import parts_of, say_data, say_front_end, say_results, seen_report
from seisml.run.record import versions, write_metrics
from seisml.run.training_progress import training_progress
from seisml.store.identity import event_hashes, event_ids

if TYPE_CHECKING:
    from seisml.methods.base import Method
    from seisml.tasks.base import Predictions

EXPECTED = (  # what Lightning warns of though it is as it should be
    ".*does not have many workers.*",  # one process reads whole batches faster than workers could hand them over
    ".*exists and is not empty.*",  # the run's folder holds its configuration before training starts
    ".*`val_dataloader` but have no `validation_step`.*",
    ".*Total length of .* across ranks is zero.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
)


def train(cfg: DictConfig, folder: str | Path) -> dict[str, Any]:
    """Train, test and picture one model.

    Args:
        cfg: A composed and checked configuration.
        folder: The run's folder.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: Where the data, a checkpoint or a setting do not fit.
    """
    started = time.perf_counter()
    folder = Path(folder)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.yaml").exists():  # the command line has written it when it claimed the folder
        OmegaConf.save(cfg, folder / "config.yaml", resolve=True)

    data = build_section("dataset", OmegaConf.to_container(cfg.dataset, resolve=True), StoreDataModule)
    data.task = method_class(cfg).task
    data.prepare_data()
    data.setup()
    say_data(data)
    data.write_split(folder / "split.csv")

    pretrained = read_pretrained(cfg)
    method = build_method(cfg, data.facts, pretrained and pretrained["record"])
    if pretrained:
        say_front_end(cfg, data, pretrained)
        load_pretrained(method, pretrained)
    fit_front_end(method, data)
    run = run_name(folder)
    method.run_record = make_record(cfg, method, data, pretrained, run)

    history = History()
    callbacks: list[Callback] = [history, *monitors(method), *checkpoint_callbacks(method, data, folder)]
    saver = None
    if method.model_save_ep_period > 0 and method.encoder is not None:
        saver = SaveEncoder(Path(cfg.get("encoder_folder", "checkpoints")), run, method.model_save_ep_period)
        callbacks.append(saver)
    logger: Any = False
    if cfg.get("logger"):
        settings = OmegaConf.to_container(cfg.logger, resolve=True)
        logger = build_section("logger", {"save_dir": str(folder), **settings}, pl.loggers.Logger)
    log_config(logger, cfg)
    with quiet_lightning():
        trainer = build_trainer(cfg, folder, logger, callbacks)
        fit_started = time.perf_counter()
        trainer.fit(method, datamodule=data)
        fit_seconds = time.perf_counter() - fit_started
        if trainer.interrupted:
            raise KeyboardInterrupt
        last = folder / "checkpoints" / "last.ckpt"
        trainer.save_checkpoint(last)
        best = folder / "checkpoints" / "best.ckpt"
        if best.is_file():  # chosen on the dev part
            method.load_state_dict(read_checkpoint(best)["state_dict"])
        test_started = time.perf_counter()
        predictions = method.task.predict(trainer, method, data)
        seconds = {"fit": fit_seconds, "test": time.perf_counter() - test_started}
        seconds["total"] = time.perf_counter() - started
        metrics = gather_metrics(method, data, predictions, history, pretrained) | {"seconds": seconds}
        write_metrics(folder, metrics)  # before anything is drawn: pictures may fail, numbers stay
        log_results(logger, metrics, trainer.global_step)
        if cfg.get("figures", True):
            log_figures(logger, draw(folder / "figures", predictions, history.frame(), method, data))
    if logger:
        logger.finalize("success")  # TensorBoard writes from a thread of its own: wait for it
    if hasattr(logger, "log_image"):  # wandb keeps one run open per process; the next job of a sweep is another
        logger.experiment.finish()
    encoder = saver.saved if saver and saver.saved else (last if method.encoder is not None else None)
    say_results(folder, metrics, best if best.is_file() else last, encoder)
    return metrics


def gather_metrics(
    method: Method,
    data: StoreDataModule,
    predictions: Predictions | None,
    history: History,
    pretrained: dict[str, Any] | None,
) -> dict[str, Any]:
    """Everything that ``metrics.json`` says about a run, but how long it took."""
    metrics: dict[str, Any] = dict(history.values)
    if predictions is not None:
        scores = method.task.compare(predictions, data.training_labels(), data.facts)
        metrics["test/predicted_by"] = predictions.made_by
        metrics |= {f"test/{name}": value for name, value in scores.items()}
    events = event_ids(data.ready_store.metadata)
    return metrics | {
        "classes": list(data.facts.classes),
        "records": {part: len(rows) for part, rows in parts_of(data).items()},
        "events": {part: len(np.unique(events[rows])) for part, rows in parts_of(data).items()},
        "split_hash": data.split.hash,
        "pretrained": seen_report(pretrained, data),
        "versions": versions(),
    }


def draw(
    folder: Path, predictions: Predictions | None, history: pd.DataFrame, method: Method, data: StoreDataModule
) -> dict[str, Path]:
    """Draw the run's figures.

    Args:
        folder: Where they go; made where missing.
        predictions: Of the test part.
        history: Logged values, one row per epoch.
        method: The fitted method.
        data: Its data module.

    Returns:
        The file of each figure.
    """
    made = {"loss_curves": figures.loss_curves(history)} if len(history) else {}
    if predictions is not None:
        made |= method.task.figures(predictions, method, data)
    return {name: figures.save(figure, folder / f"{name}.png") for name, figure in made.items()}


def run_name(folder: Path) -> str:
    """Name of a run: its folder's, with the sweep's in front where the folder is a job's number."""
    return f"{folder.parent.name}-{folder.name}" if folder.name.isdigit() else folder.name


def make_record(
    cfg: DictConfig, method: Method, data: StoreDataModule, pretrained: dict[str, Any] | None, run: str
) -> dict[str, Any]:
    """What travels in the run's checkpoints: plain values and tensors, so that they load with ``weights_only=True``."""
    seen = event_hashes(np.unique(event_ids(data.ready_store.metadata)[data.split.train]))
    if pretrained:
        earlier = pretrained["record"].get("seen_events")
        seen = None if earlier is None else np.union1d(seen, earlier.numpy())  # what is not known stays unknown
    record = pretrained["record"] if pretrained else {}
    return {
        "run": run,
        "config": OmegaConf.to_container(cfg, resolve=True),
        "facts": data.facts.to_dict(),
        "data": data.preprocessing(),
        "front_end": front_end_config(cfg, record),
        **method.encoder_settings(),
        "split_hash": data.split.hash,
        "seen_events": None if seen is None else torch.from_numpy(np.asarray(seen)),
        "versions": versions(),
    }


def checkpoint_callbacks(method: Method, data: StoreDataModule, folder: Path) -> list[Callback]:
    """Keep the model that is best on the dev part, where there is one, and the last state now and then."""
    callbacks: list[Callback] = []
    where = folder / "checkpoints"
    watched = method.task.monitor
    if len(data.split.dev) and watched is not None:
        callbacks.append(
            ModelCheckpoint(
                where, "best", monitor=watched.name, mode=watched.mode, save_weights_only=True,
                enable_version_counter=False,
            )
        )  # fmt: skip
    if method.model_save_ep_period > 0:
        callbacks.append(
            ModelCheckpoint(
                where, "last", every_n_epochs=method.model_save_ep_period, enable_version_counter=False,
                save_on_train_epoch_end=True,
            )
        )  # fmt: skip
    return callbacks


def build_trainer(cfg: DictConfig, folder: Path, logger: Any, callbacks: list[Callback]) -> pl.Trainer:
    """Lightning's trainer with the configuration's arguments."""
    arguments = OmegaConf.to_container(cfg.trainer_params, resolve=True)
    arguments = {
        "default_root_dir": folder,
        "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        "use_distributed_sampler": False,  # the sampler of the data module shares out the events itself
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
        "enable_model_summary": False,
        **trainer_arguments(arguments.pop("gpus", None)),
        **arguments,
    }
    if arguments.get("enable_progress_bar", True):
        callbacks = [*callbacks, training_progress()]
    try:
        return pl.Trainer(logger=logger, callbacks=callbacks, **arguments)
    except (ValueError, TypeError, MisconfigurationException) as error:  # right types, but values it does not know
        raise UserError(f"trainer_params: {str(error).splitlines()[0]}") from error


# -- watching ----------------------------------------------------------------------------------------------------------
@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Leave out what Lightning says about things that are as they should be here."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message)
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def log_config(logger: Any, cfg: DictConfig) -> None:
    """Hand the resolved configuration to loggers that show it (the run's folder has it as config.yaml anyway)."""
    if logger and not isinstance(logger, pl.loggers.CSVLogger):
        logger.log_hyperparams(OmegaConf.to_container(cfg, resolve=True))


def log_results(logger: Any, metrics: dict[str, Any], step: int) -> None:
    """Hand the results on the test part to the logger, for tables of many runs and for sweeps; it has all others."""
    if logger:
        results = {name: value for name, value in metrics.items() if isinstance(value, float)}
        logger.log_metrics({name: value for name, value in results.items() if name.startswith("test/")}, step)
        logger.save()


def log_figures(logger: Any, paths: dict[str, Path]) -> None:
    """Hand the figures to loggers that show pictures."""
    if hasattr(logger, "log_image"):  # wandb
        for name, path in paths.items():
            logger.log_image(name, [str(path)])
    elif hasattr(getattr(logger, "experiment", None), "add_image"):  # TensorBoard
        from matplotlib.image import imread

        for name, path in paths.items():
            logger.experiment.add_image(name, imread(path)[..., :3], dataformats="HWC")
