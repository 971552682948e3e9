"""One epoch of pretraining, part by part: data, front end, encoder, projector, losses, backward, optimiser, the rest.

    python benchmarks/epoch_profile.py [--threads 2] [OVERRIDE...]
    python benchmarks/epoch_profile.py dataset=aknes model_params.backbone_type=ResNet34Encoder trainer_params=bf16
    python benchmarks/epoch_profile.py +experiment=nz_2013_pretrain dataset.root=data/nz_2013_whole

What ``sslearn.py`` does in an epoch, probes and monitors included; of ``+experiment=demo`` where no other is named.
Times are those that this process waits, on a CPU; `data` is what a step waits for its batch. The second epoch counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from pytorch_lightning.profilers import Profiler

from seisml.config.compose import compose
from seisml.run.precision import device_name
from seisml.run.train import open_data, prepare_method
from seisml.run.trainer import build_trainer
from seisml.run.watching.monitors import monitors
from seisml.terminal.text_table import text_table


class LastEpoch(Profiler):
    """Seconds of each of Lightning's actions, and of calls that are watched, in the epoch that began last."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)
        self._begun: dict[str, float] = {}

    def start(self, action_name: str) -> None:
        """Begin an action; an epoch forgets what was before it."""
        if action_name == "run_training_epoch":
            self.seconds.clear()
        self._begun[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """End it."""
        self.seconds[action_name] += time.perf_counter() - self._begun.pop(action_name)

    def watched(self, name: str, function: Callable) -> Callable:
        """Let a function's calls in training count under a name; a probe's count as the probe."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.profile(name) if torch.is_grad_enabled() else nullcontext():
                return function(*args, **kwargs)

        return timed

    def of(self, end: str) -> float:
        """Seconds of the actions whose names end so."""
        return sum(value for name, value in self.seconds.items() if name.endswith(end))


def parts(profiler: LastEpoch) -> dict[str, float]:
    """Seconds of the parts of an epoch, which add up to it."""
    encoder, projector, losses, views = map(profiler.of, ("encoder", "projector", "losses", "views"))
    data, batch, step = map(profiler.of, ("train_dataloader_next", "run_training_batch", "Strategy.training_step"))
    backward, epoch = profiler.of("Strategy.backward"), profiler.of("run_training_epoch")
    return {
        "data": data,
        "front end": views,
        "crops and values that are logged": step - views - losses,
        "encoder": encoder,
        "projector": projector,
        "losses": losses - encoder - projector,
        "backward": backward,
        "optimiser": batch - step - backward,
        "monitors": epoch - data - batch,
        "probe at the end": profiler.of("on_train_epoch_end"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    small = ["trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false"]
    two_epochs = ["trainer_params.max_epochs=2", "trainer_params.max_steps=-1"]
    named = any(text.lstrip("+").startswith("experiment=") for text in arguments.overrides)
    demo = [] if named else ["+experiment=demo"]
    cfg = compose("configs/ssl.yaml", [*demo, *small, *two_epochs, *arguments.overrides])
    profiler = LastEpoch()
    with tempfile.TemporaryDirectory() as folder:
        data = open_data(cfg, Path(folder), None)
        method = prepare_method(cfg, data, None)
        method.views = profiler.watched("views", method.views)
        method.losses = profiler.watched("losses", method.losses)
        for name, network in (("encoder", method.encoder), ("projector", method.projector)):
            network.forward = profiler.watched(name, network.forward)
        settings = OmegaConf.to_container(cfg.trainer_params, resolve=True)
        trainer = build_trainer(Path(folder), False, monitors(method), **settings, profiler=profiler)
        trainer.fit(method, datamodule=data)
        n_steps = trainer.num_training_batches
    found = parts(profiler)
    total = sum(found.values())
    rows = [{"part": part, "s": value, "%": 100 * value / total} for part, value in found.items()]
    rows.append({"part": f"epoch of {n_steps} steps", "s": total, "%": 100.0})
    size = f"batch {data.batch_size}, {arguments.threads} threads"
    print(text_table(rows, f"{method.name}, {size}, {device_name('cpu')}"))
    stepping = total - found["probe at the end"]
    print(f"A step waits {100 * found['data'] / stepping:.1f} % of its time for its batch.")


if __name__ == "__main__":
    main()
