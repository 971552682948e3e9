"""One pretraining step (forward, backward, optimiser) in float32 and in bfloat16 autocast, side by side.

    python benchmarks/training_step.py [--backbone ResNet34Encoder] [--batch-size 32] [--threads 2]

VNIbCReg on random crops of the published size. `float32` is the plain step with contiguous weights; `bfloat16` is what
`trainer_params=bf16` runs: autocast, and convolutions in channels-last order. They alternate; the best of each counts.
"""

from __future__ import annotations

import argparse
import time

import torch

from seisml.methods.vnibcreg import VNIbCReg
from seisml.run.precision import device_name
from seisml.tasks.facts import DataFacts
from seisml.terminal.text_table import text_table
from seisml.transforms.spectrogram import SpectrogramFrontEnd

FACTS = DataFacts(("a", "b"), 1000.0, 16000)


def build(backbone: str, projector: int, memory_format: torch.memory_format) -> tuple[VNIbCReg, torch.optim.Optimizer]:
    torch.manual_seed(0)
    front_end = SpectrogramFrontEnd(floor=1.0, sampling_rate=1000.0)
    method = VNIbCReg(facts=FACTS, front_end=front_end, backbone_type=backbone, proj_hid=projector, proj_out=projector)
    method.encoder.to(memory_format=memory_format)
    return method, torch.optim.Adam(method.parameters())


def step(method: VNIbCReg, optimizer: torch.optim.Optimizer, views: tuple[torch.Tensor, ...], bfloat16: bool) -> float:
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        terms, _ = method.losses(views)
    optimizer.zero_grad()
    terms["loss"].backward()
    optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="ResNet34Encoder")
    parser.add_argument("--projector", type=int, default=4096, help="width of the projector")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--crop", type=int, nargs=2, default=(128, 70))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    views = tuple(torch.rand(arguments.batch_size, 1, *arguments.crop) for _ in range(3))
    plain = build(arguments.backbone, arguments.projector, torch.contiguous_format)
    fast = build(arguments.backbone, arguments.projector, torch.channels_last)
    times: dict[str, list[float]] = {"float32": [], "float32, channels-last": [], "bfloat16, channels-last": []}
    for _ in range(arguments.repeats + 1):  # the first round warms up
        times["float32"].append(step(*plain, views, False))
        times["float32, channels-last"].append(step(*fast, views, False))
        times["bfloat16, channels-last"].append(step(*fast, views, True))
    best = {name: min(values[1:]) for name, values in times.items()}
    rows = [{"step": name, "s": value, "ratio": best["float32"] / value} for name, value in best.items()]
    size = f"batch {arguments.batch_size}, {arguments.threads} threads, best of {arguments.repeats}"
    print(text_table(rows, f"{arguments.backbone}, {size}, {device_name('cpu')}"))


if __name__ == "__main__":
    main()
