"""One run, from a composed configuration to a trained, tested and pictured model."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.files import naming_disk_errors
from seisml.processes.batch_norm import synchronise
from seisml.run.build import (
    build_method,
    build_section,
    fit_front_end,
    fit_settings,
    load_pretrained,
    load_published_weights,
    method_class,
    read_pretrained,
)
from seisml.run.checkpoints import add_to_record, read_checkpoint
from seisml.run.effective import effective
from seisml.run.folder import rank, write_config
from seisml.run.loggers import close_logger, log_figures, log_results, open_logger
from seisml.run.messages import say, say_data, say_rates, say_results, say_scores
from seisml.run.named.card import publish
from seisml.run.predictions import places_of, write_predictions
from seisml.run.provenance import make_record, run_name
from seisml.run.record import write_metrics
from seisml.run.results import RunResult, draw, gather_metrics, stored_paths
from seisml.run.resuming.resume import LAST, check_split, check_state, is_finished, resume_point
from seisml.run.resuming.snapshots import Snapshots
from seisml.run.resuming.stopping import StopSignals
from seisml.run.starting.launched import in_environment, launched
from seisml.run.starting.processes import in_processes
from seisml.run.trainer import build_trainer, device_arguments
from seisml.run.watching.finite_loss import FiniteLoss
from seisml.run.watching.history import History
from seisml.run.watching.monitors import monitors
from seisml.run.watching.progress_watch import ProgressWatch
from seisml.run.watching.training_plan import SayPlan
from seisml.run.weights.averaged import averaging
from seisml.run.weights.best import best_model
from seisml.run.weights.encoders import SaveEncoder, has_weights
from seisml.values.file_names import PREDICTIONS_FILE, SPLIT_FILE

if TYPE_CHECKING:
    from seisml.methods.base import Method
    from seisml.tasks.base import Predictions

EXPECTED = (  # what Lightning warns of though it is as it should be
    ".*does not have many workers.*",  # one process reads whole batches faster than workers could hand them over
    ".*exists and is not empty.*",  # the run's folder holds its configuration before training starts
    ".*`val_dataloader` but have no `validation_step`.*",
    ".*Total length of .* across ranks is zero.*",
    ".*`LightningModule.configure_optimizers` returned `None`.*",  # a method that is fitted, not trained
    ".*It is recommended to use `self.log.*sync_dist=True.*",  # processes know the loss of the whole batch
    ".*your dataloader is not resumable.*",  # ours begins where the run stood; see StoreDataModule.done
    ".*The `srun` command is available.*",  # launched() knows what SLURM has started
    ".*in eval mode at the start of training.*",  # Method.on_train_epoch_start and Snapshots set the mode
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
)


def train(cfg: DictConfig, folder: str | Path) -> RunResult:
    """Train, test and picture one model.

    Args:
        cfg: A composed and checked configuration.
        folder: The run's folder.

    Returns:
        Its metrics, and where everything is.

    Raises:
        UserError: Where the data, a checkpoint or a setting do not fit.
        Stopped: A signal came, and the state is saved.
    """
    folder = Path(folder)
    if is_finished(cfg, folder):
        return RunResult.read(folder)
    n_processes, started = processes_of(cfg), launched()
    if started is not None and started.n_processes > 1:
        if n_processes != started.per_node:
            raise UserError(
                f"{started.n_processes} processes are started ({started.per_node} on a node), but trainer_params asks "
                f"for {n_processes} on a node; set trainer_params=slurm, or start as many"
            )
        with in_environment(started.says):
            return train_here(cfg, folder)
    return train_here(cfg, folder) if n_processes == 1 else in_processes(train_here, cfg, folder, n_processes)


def train_here(cfg: DictConfig, folder: Path) -> RunResult:
    """What each process of a run does; see :func:`train`."""
    started = time.perf_counter()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    pretrained = read_pretrained(cfg)
    cfg = effective(cfg, pretrained)
    before = resume_point(cfg, folder)
    if before is None:
        write_config(cfg, folder)
    data = open_data(cfg, folder, before)
    method = prepare_method(cfg, data, pretrained)
    found = fit_settings(method, data)
    if before is not None:
        check_state(method, folder, cfg.trainer_params.get("precision"))
    method.run_record = make_record(cfg, method, data, pretrained, run_name(folder), found)
    history, saver = History(), encoder_saver(cfg, method, folder)
    signals = StopSignals()
    snapshots = Snapshots(folder / LAST, cfg.get("checkpoint") or {}, signals)
    watching = [history, FiniteLoss(folder), ProgressWatch(), *monitors(method), *best_model(method, data, folder)]
    callbacks = [SayPlan(data.batch_size), *averaging(method), *watching, *([saver] if saver else []), snapshots]
    with signals, naming_disk_errors(folder), quiet_lightning():
        logger = open_logger(cfg, folder)
        settings = OmegaConf.to_container(cfg.trainer_params, resolve=True)
        trainer = build_trainer(folder, logger or False, callbacks, **settings)
        share_training(trainer, method, data)
        seconds = {"fit": -time.perf_counter()}
        trainer.fit(method, datamodule=data, ckpt_path=folder / LAST if before else None)
        if trainer.interrupted:
            raise KeyboardInterrupt
        seconds["fit"] += time.perf_counter()
        snapshots.finish(trainer)
        checkpoint = choose_model(method, folder)
        encoder = saver.saved if saver and saver.saved else (checkpoint if has_weights(method.encoder) else None)
        decide(trainer, method, data, checkpoint)
        seconds["test"] = -time.perf_counter()
        predictions = method.task.predict(trainer, method, data)
        seconds["test"] += time.perf_counter()
        trained = method.task.predict(trainer, method, data, "train")
        seconds["total"] = time.perf_counter() - started
        metrics = gather_metrics(method, data, predictions, trained, history.values, pretrained)
        metrics |= {"found": found, "seconds": seconds}
        if not trainer.is_global_zero:  # the first process writes for all
            return RunResult(folder, metrics, checkpoint, encoder, {})
        encoder = publish(cfg, method, data, metrics) or encoder
        metrics |= {"paths": stored_paths(folder, checkpoint=checkpoint, encoder=encoder)}
        save_predictions(folder, predictions, method, data)
        with finished(folder, metrics):
            pictures = folder / "figures" if cfg.get("figures", True) else None
            figures = draw(pictures, predictions, history.frame(), method, data.tested) if pictures else {}
        log_results(logger, metrics, trainer.global_step)
        log_figures(logger, figures)
        close_logger(logger)
    result = RunResult(folder, metrics, checkpoint, encoder, figures)
    say_scores(metrics, method.task)
    say_results(result.folder, metrics, method.task.headline, checkpoint, encoder, pictures)
    return result


def open_data(cfg: DictConfig, folder: Path, before: Mapping[str, Any] | None) -> StoreDataModule:
    """Open the data, read as the method's task says, and write down how they are split.

    Args:
        cfg: The configuration.
        folder: The run's folder.
        before: What a run that is resumed has said of itself; see :func:`seisml.run.resuming.resume.resume_point`.
    """
    data = build_section("dataset", OmegaConf.to_container(cfg.dataset, resolve=True), StoreDataModule)
    data.task = method_class(cfg).task
    data.prepare_data()
    data.setup()
    say_data(data)
    if before is not None:
        check_split(before, data, folder)
    if rank() == 0:
        data.write_split(folder / SPLIT_FILE)
    return data


def prepare_method(cfg: DictConfig, data: StoreDataModule, pretrained: dict[str, Any] | None) -> Method:
    """Build the method, with the weights of a pretrained encoder and a front end that fits the data."""
    method = build_method(cfg, data.facts)
    load_published_weights(method, cfg)
    if pretrained:
        say_rates(data, pretrained)
        load_pretrained(method, pretrained)
    fit_front_end(method, data, pretrained is not None and "front_end" in pretrained["record"])
    return method


def processes_of(cfg: DictConfig) -> int:
    """Processes that a configuration asks for."""
    asked = cfg.trainer_params
    devices = device_arguments(OmegaConf.to_object(asked).get("gpus"), asked.get("devices"), say=False)["devices"]
    return len(devices) if isinstance(devices, list) else devices


def share_training(trainer: pl.Trainer, method: Method, data: StoreDataModule) -> None:
    """Let several processes train as one does with the whole batch."""
    n, size = trainer.world_size, data.batch_size
    if n > 1:
        synchronise(method, trainer.strategy.root_device)
        say(
            f"{n} processes share batches of {size} samples ({size // n} each); losses, BatchNorm and IterNorm see "
            "whole batches."
        )


def choose_model(method: Method, folder: Path) -> Path:
    """Go on with the weights that were best on the dev part, where there are such, else with the last."""
    best = folder / "checkpoints" / "best.ckpt"
    if not best.is_file():
        return folder / LAST
    method.load_state_dict(read_checkpoint(best)["state_dict"])
    return best


def decide(trainer: pl.Trainer, method: Method, data: StoreDataModule, checkpoint: Path) -> None:
    """Choose a threshold on the dev part, where there is one, and put it into the record and the checkpoint."""
    predictions = method.task.predict(trainer, method, data, "dev") if len(data.split.dev) else None
    decision = None if predictions is None else method.task.decide(predictions, data.facts)
    if decision is not None:
        method.run_record["decision"] = decision.to_dict()
        if trainer.is_global_zero:
            add_to_record(checkpoint, {"decision": decision.to_dict()})


def save_predictions(folder: Path, predictions: Predictions | None, method: Method, data: StoreDataModule) -> None:
    """Write predictions.csv, where anything was tested."""
    if predictions is not None:
        answers = method.task.table(predictions, data.facts)
        write_predictions(folder / PREDICTIONS_FILE, places_of(predictions, data.tested), answers)


@contextmanager
def finished(folder: Path, metrics: dict[str, Any]) -> Iterator[None]:
    """Write metrics.json, which says that a run is finished, as the block ends that draws.

    Also where it fails: pictures may, numbers stay. A run that is killed or stopped meanwhile draws when it goes on.
    """
    try:
        yield
    except Exception:
        write_metrics(folder, metrics)
        raise
    write_metrics(folder, metrics)


def encoder_saver(cfg: DictConfig, method: Method, folder: Path) -> SaveEncoder | None:
    """What saves the encoder now and then, where the configuration asks for it."""
    if method.model_save_ep_period <= 0 or method.encoder is None:
        return None
    return SaveEncoder(Path(cfg.get("encoder_folder", "checkpoints")), run_name(folder), method.model_save_ep_period)


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
