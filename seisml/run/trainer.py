"""Lightning's trainer from the section ``trainer_params``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from pydantic import Field
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.plugins.environments import LightningEnvironment

from seisml.errors import UserError
from seisml.run.checkpoints import AtomicCheckpointIO
from seisml.run.compiling import CompileEncoder
from seisml.run.folder import rank
from seisml.run.precision import choose_precision
from seisml.run.starting.launched import launched
from seisml.run.watching.training_progress import training_progress
from seisml.values.ranges import Count

Gpus = int | list[int] | Literal["auto"] | None
Endless = Literal[-1]
Batches = Count | Annotated[float, Field(gt=0, le=1)] | None  # so many, or a share of them

GIVEN = ("folder", "logger", "callbacks")  # arguments of build_trainer that are not settings
ALWAYS = {
    "use_distributed_sampler": False,  # the sampler of the data module shares out the events itself
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
    "enable_model_summary": False,
}
TAKEN = {  # arguments of Lightning's trainer that something else decides, and what does
    "logger": "the section logger makes it (logger=csv; ~logger for none)",
    "callbacks": "the run makes its callbacks; exp_params and the method ask for them",
    "default_root_dir": "out=FOLDER says where runs go",
    "gradient_clip_val": "set exp_params.gradient_clip_val",
    "barebones": "it switches off what a run leaves behind; leave it out",
    "fast_dev_run": "set trainer_params=smoke: two steps of everything",
    "plugins": "checkpoints are written by a plugin of seisml",
    "use_distributed_sampler": "the data module shares out the events itself",
    "overfit_batches": "set trainer_params.limit_train_batches, which keeps the data module's order of events",
}


def build_trainer(
    folder: Path,
    logger: Any,
    callbacks: list[Callback],
    gpus: Gpus = None,
    devices: Count | Literal["started"] | None = None,
    max_epochs: Count | Endless | None = None,
    max_steps: Count | Endless = -1,
    limit_train_batches: Batches = None,
    accumulate_grad_batches: Count = 1,
    check_val_every_n_epoch: Count | None = 1,
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] | None = None,
    precision: str | int | None = None,
    compile: bool = False,
    **others: Any,
) -> pl.Trainer:
    """Build Lightning's trainer.

    Args:
        folder: The run's folder.
        logger: A logger of Lightning, or False.
        callbacks: Callbacks of the run.
        gpus: See :func:`device_arguments`.
        devices: As ``gpus``.
        max_epochs: Epochs to train for; -1 for as many as ``max_steps`` takes.
        max_steps: Training stops after so many steps; -1 for no limit.
        limit_train_batches: Batches of an epoch, or (a float) a share of them; None for all.
        accumulate_grad_batches: Batches whose gradients make one step.
        check_val_every_n_epoch: Epochs between two looks at the dev part; None where ``val_check_interval`` counts.
        accelerator: Lightning's name of the hardware; None where ``gpus`` says it.
        precision: One of Lightning's, or ``"auto"``: bfloat16 where the device computes in it, else float32.
        compile: Compile the encoder; see :class:`seisml.run.compiling.CompileEncoder`.
        **others: Further arguments of Lightning's trainer.

    Raises:
        UserError: Values that Lightning does not know or that do not go together.
    """
    arguments = {
        "default_root_dir": folder,
        "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        **ALWAYS,
        "plugins": plugins(),
        **device_arguments(gpus, devices),
        **({"accelerator": accelerator} if accelerator else {}),
        **_checked(others),
    }
    arguments["precision"] = _precision(precision, arguments["accelerator"])
    try:
        return pl.Trainer(
            logger=logger,
            callbacks=[*callbacks, *_of_settings(compile, arguments.get("enable_progress_bar", True))],
            max_epochs=max_epochs,
            max_steps=max_steps,
            limit_train_batches=limit_train_batches,
            accumulate_grad_batches=accumulate_grad_batches,
            check_val_every_n_epoch=check_val_every_n_epoch,
            **arguments,
        )
    except Exception as error:  # right types, but values that Lightning or its plugins do not know, in many classes
        raise UserError(f"trainer_params: {str(error).strip().splitlines()[0]}") from error


def _of_settings(compile: bool, has_bar: bool) -> list[Callback]:
    """The callbacks that settings of the trainer ask for."""
    return [*([CompileEncoder()] if compile else []), *([training_progress()] if has_bar else [])]


def plugins() -> list[Any]:
    """What writes checkpoints, and what tells Lightning of the processes: else it would ask SLURM by itself."""
    return [AtomicCheckpointIO(), LightningEnvironment()]


def _checked(others: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is nothing: no time to train in, no batch to test on, an interval that Lightning divides by."""
    for key in ("val_check_interval", "limit_val_batches", "limit_test_batches"):
        value = others.get(key)
        if isinstance(value, int | float) and value <= 0:
            raise UserError(f"trainer_params.{key}: {value} must be above 0, or null")
    time = others.get("max_time")
    if time is not None and not re.search("[1-9]", str(time)):  # a number, a text or a mapping of units
        raise UserError(f"trainer_params.max_time: {time} is not a length of time; give days:hours:minutes:seconds")
    return others


def _precision(asked: str | int | None, accelerator: str) -> str | int | None:
    """Lightning's precision for ``auto``; says what was chosen, and where bfloat16 is the slower choice.

    Raises:
        UserError: float16 on a CPU, in whose place Lightning would take bfloat16; one that leaves nothing in float32.
    """
    if str(asked).endswith("16-true") or str(asked).startswith("transformer-engine"):
        raise UserError(
            f"trainer_params.precision: {asked} leaves nothing in float32, not the spectrograms either; take "
            "bf16-mixed, 32-true or auto"
        )
    if accelerator == "cpu" and str(asked) in ("16", "16-mixed"):
        raise UserError(
            f"trainer_params.precision: {asked} is for GPUs; on the CPU take bf16-mixed, 32-true or auto"
        )
    names = {"auto": "auto", "bf16": "bfloat16", "bf16-mixed": "bfloat16"}
    devices = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda"}
    if asked not in names or accelerator not in devices:
        return "32-true" if asked == "auto" else asked
    chosen, words = choose_precision(names[str(asked)], devices[accelerator])
    if words and rank() == 0:
        print(words, flush=True)
    return {"bfloat16": "bf16-mixed", "float32": "32-true"}[chosen] if asked == "auto" else asked


def device_arguments(
    gpus: int | str | Sequence[int] | None, devices: int | Literal["started"] | None = None, say: bool = True
) -> dict[str, Any]:
    """Turn the published ``gpus`` into arguments of Lightning's Trainer.

    Several devices train one model together, a process on each, with shares of every batch.

    Args:
        gpus: Index of the GPU in a list, or the number of GPUs; ``[]``, 0 or null for the CPU; ``auto`` or -1 for
            whatever there is. Where there is no GPU, the CPU takes its place, said in one line.
        devices: Processes on this machine; by default one for each GPU, and one on the CPU. ``started``: as many as a
            launcher (srun, torchrun) has started, on as many nodes.
        say: Say where the CPU takes a GPU's place.

    Raises:
        UserError: Where a GPU is asked for that is not there, or as many processes as there are no GPUs for.
    """
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted, n_nodes = _wanted_gpus(gpus, present), 1
    if devices == "started":
        devices, n_nodes, wanted = _started(wanted, present)
    nodes = {"num_nodes": n_nodes} if n_nodes > 1 else {}
    if wanted and present:
        if devices not in (None, len(wanted)):
            raise UserError(f"trainer_params.devices: {devices} processes on the GPUs {wanted}; name as many GPUs")
        together = {"strategy": "ddp"} if len(wanted) > 1 or nodes else {}
        return {"accelerator": "gpu", "devices": wanted, **together, **nodes}
    n_processes = devices or 1
    if (wanted or gpus in ("auto", -1)) and say and rank() == 0:
        so_many = "" if n_processes == 1 else f" in {n_processes} processes"
        asked = f"trainer_params.gpus is {wanted or gpus}"
        print(f"{asked}, but there is no GPU here: running on the CPU{so_many}", flush=True)
    together = {"strategy": "ddp"} if n_processes > 1 or nodes else {}
    return {"accelerator": "cpu", "devices": n_processes, **together, **nodes}


def _wanted_gpus(gpus: int | str | Sequence[int] | None, present: int) -> list[int]:
    """Indices of the GPUs that ``gpus`` names, of so many that are present."""
    if gpus in ("auto", -1):
        wanted = list(range(present))
    else:
        wanted = list(range(gpus)) if isinstance(gpus, int) else [int(index) for index in gpus or ()]
    here = f"this machine has {', '.join(map(str, range(present))) or 'none'}"
    if isinstance(gpus, int) and gpus < -1:
        raise UserError(f"trainer_params.gpus: {gpus} is not a number of GPUs; {here}")
    absent = [index for index in wanted if not 0 <= index < max(present, 1)]
    if absent:
        raise UserError(f"trainer_params.gpus: there is no GPU {absent[0]}; {here}")
    return wanted


def _started(wanted: list[int], present: int) -> tuple[int, int, list[int]]:
    """Processes on each node that a launcher has started, nodes, and GPUs for the processes of this one."""
    started = launched()
    if started is None:
        raise UserError(
            "trainer_params.devices=started: no launcher has started this process; start it with srun (see "
            "docs/clusters.md), or set trainer_params=ddp or ddp_cpu"
        )
    if wanted and present and len(wanted) < started.per_node:
        raise UserError(
            f"trainer_params.gpus: {started.per_node} processes on a node that see {len(wanted)} of its GPUs; ask for "
            f"--gres=gpu:{started.per_node}, and leave out --gpus-per-task and --gpu-bind"
        )
    return started.per_node, started.n_nodes, wanted[: started.per_node]
