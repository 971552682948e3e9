"""One VNIbCReg step (forward, backward, optimiser): as a run takes it, beside the straightforward float32 step.

    python benchmarks/training_step.py [--backbone ResNet34Encoder] [--batch-size 32] [--threads 2]
    python benchmarks/training_step.py --batch-size 32 --threads 1 --processor-time   # where others compute as well

`straightforward` is float32 with contiguous weights, the covariance term through its D x D matrix, IterNorm with
PyTorch's matrix power, and PyTorch's Adam by default. `float32` and `bfloat16` are what a run does with
`trainer_params.precision` 32-true and bf16-mixed: Lightning's autocast, channels-last convolutions, the Gram form of
the covariance, weights cast once for all views, a fused optimiser. All begin with the same weights and see the same
crops of the published size; they alternate, and the best of each counts. Losses are those of the first step.

Beside it: products of matrices and convolutions of ResNet34's sizes, in operations a second: what the processor can do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from seisml.losses import covariance_full, diag_loss, invariance, tnc_loss, variance
from seisml.losses.autocast import weights_cast_once
from seisml.methods.self_supervised.vnibcreg import VNIbCReg
from seisml.networks.iternorm import IterNorm
from seisml.run.precision import device_name
from seisml.tasks.facts import DataFacts
from seisml.terminal.text_table import text_table
from seisml.transforms.spectrogram import SpectrogramFrontEnd

FACTS = DataFacts(("a", "b"), 1000.0, 16000)
CONVOLUTIONS = {  # channels, height, width of the 3 x 3 ones in which ResNet34 spends its time
    "64 channels": (64, 32, 18),
    "128 channels": (128, 16, 9),
    "256 channels": (256, 8, 5),
    "512 channels": (512, 4, 3),
}
Views = tuple[Tensor, ...]


class PlainIterNorm(IterNorm):
    """Newton's iterations as they are written."""

    def _whitening(self, centred: Tensor, n: int) -> Tensor:
        identity = torch.eye(centred.shape[2])
        covariance = centred.transpose(1, 2) @ centred / n + self.eps * identity
        trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
        p = identity.expand_as(covariance)
        for _ in range(self.T):
            p = 1.5 * p - 0.5 * torch.matrix_power(p, 3) @ (covariance / trace)
        return p / trace.sqrt()


class Straightforward(VNIbCReg):
    """The recipe written down without a thought of speed."""

    def losses(self, views: Views) -> tuple[dict[str, Tensor], Views]:
        """The weighted sum of all terms, each by its formula."""
        y, y_l, y_k = features = tuple(self.encoder(view) for view in views)
        z, z_l = self.projector(y), self.projector(y_l)
        loss = self.lambda_ * invariance(z, z_l) + self.mu * (variance(z) + variance(z_l))
        loss = loss + self.nu * (covariance_full(z) + covariance_full(z_l))
        tnc = tnc_loss(self.discriminator(y, y_l), self.discriminator(y, y_k), self.w)
        return {"loss": loss + self.rho * (tnc + diag_loss(y, y_l, y_k))}, features


def build(kind: type[VNIbCReg], backbone: str, projector: int) -> VNIbCReg:
    torch.manual_seed(0)
    front_end = SpectrogramFrontEnd(floor=1.0, sampling_rate=1000.0)
    method = kind(facts=FACTS, front_end=front_end, backbone_type=backbone, proj_hid=projector, proj_out=projector)
    method.discriminator.model[2].p = 0.0  # what dropout draws depends on the type, and losses are compared
    return method


def straightforward(backbone: str, projector: int) -> Callable[[Views], float]:
    method = build(Straightforward, backbone, projector)
    method.encoder.to(memory_format=torch.contiguous_format)
    norm = PlainIterNorm(projector)
    norm.load_state_dict(method.projector.norm.state_dict())
    method.projector.norm = norm
    return partial(step, method, torch.optim.Adam(method.parameters()), nullcontext)


def as_a_run(backbone: str, projector: int, precision: str) -> Callable[[Views], float]:
    method = build(VNIbCReg, backbone, projector)
    lightning = Trainer(precision=precision, accelerator="cpu", logger=False, enable_checkpointing=False)

    @contextmanager
    def autocast() -> Iterator[None]:
        with lightning.precision_plugin.train_step_context(), weights_cast_once("cpu"):
            yield

    return partial(step, method, method.build_optimizer(), autocast)


def step(
    method: VNIbCReg, optimizer: torch.optim.Optimizer, around: Callable[[], AbstractContextManager], views: Views
) -> float:
    with around():
        loss = method.losses(views)[0]["loss"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def best(function: Callable[[], object], clock: Callable[[], float], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats + 1):  # the first warms up
        started = clock()
        function()
        times.append(clock() - started)
    return min(times[1:])


def operations(batch_size: int, clock: Callable[[], float]) -> list[dict[str, object]]:
    """Thousand millions of operations a second, in float32 and bfloat16."""
    rows: list[dict[str, object]] = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.rand(2048, 2048).to(dtype)
        per_second = 2 * 2.048**3 / best(partial(torch.mm, a, a), clock)
        rows.append({"type": str(dtype), "what": "product of matrices", "forward": per_second})
        for name, (channels, height, width) in CONVOLUTIONS.items():
            x = torch.rand(batch_size, channels, height, width).to(dtype).contiguous(memory_format=torch.channels_last)
            weight = torch.rand(channels, channels, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
            size = 2e-9 * x.numel() * weight[0].numel()
            back = partial(
                torch.ops.aten.convolution_backward, x, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1
            )
            calls = {
                "forward": partial(torch.conv2d, x, weight, padding=1),
                "to the input": partial(back, [True, False, False]),
                "to the weights": partial(back, [False, True, False]),
            }
            found = {way: size / best(call, clock) for way, call in calls.items()}
            rows.append({"type": str(dtype), "what": name, **found})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="ResNet34Encoder")
    parser.add_argument("--projector", type=int, default=4096, help="width of the projector")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--crop", type=int, nargs=2, default=(128, 70))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processor-time", action="store_true", help="count the processor's time, not the clock's")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.processor_time else time.perf_counter
    views = tuple(torch.rand(arguments.batch_size, 1, *arguments.crop) for _ in range(3))
    sizes = arguments.backbone, arguments.projector
    steps = {
        "straightforward": straightforward(*sizes),
        "float32": as_a_run(*sizes, "32-true"),
        "bfloat16": as_a_run(*sizes, "bf16-mixed"),
    }
    losses = {name: take(views) for name, take in steps.items()}  # warms up
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.repeats):
        for name, take in steps.items():
            started = clock()
            take(views)
            times[name].append(clock() - started)
    first = min(times["straightforward"])
    rows = [
        {"step": name, "s": min(values), "ratio": first / min(values), "loss": losses[name]}
        for name, values in times.items()
    ]
    size = f"batch {arguments.batch_size}, {arguments.threads} threads, best of {arguments.repeats}"
    print(text_table(rows, f"{arguments.backbone}, {size}, {device_name('cpu')}"))
    print(text_table(operations(arguments.batch_size, clock), "\n10^9 operations a second"))


if __name__ == "__main__":
    main()
