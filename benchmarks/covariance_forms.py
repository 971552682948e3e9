"""Covariance term of VIbCReg in both forms, forward and backward, side by side in one run.

    python benchmarks/covariance_forms.py [--batch 128] [--features 4096] [--repeats 20] [--threads 1]

The forms take turns, so that whatever else the machine does disturbs both; the best of n counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from seisml.losses import covariance_full, covariance_gram


def time_once(form: Callable[[Tensor], Tensor], z: Tensor) -> tuple[float, float]:
    """Seconds of one forward and one backward pass."""
    z = z.clone().requires_grad_()
    start = time.perf_counter()
    loss = form(z)
    synchronize(z)
    middle = time.perf_counter()
    loss.backward()
    synchronize(z)
    return middle - start, time.perf_counter() - middle


def synchronize(z: Tensor) -> None:
    """Wait for the accelerator, if there is one."""
    if z.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128, help="samples B (default: 128)")
    parser.add_argument("--features", type=int, default=4096, help="features D (default: 4096)")
    parser.add_argument("--repeats", type=int, default=20, help="the best of this many is reported (default: 20)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    generator = torch.Generator().manual_seed(0)
    z = torch.randn(args.batch, args.features, generator=generator).to(args.device)
    forms = {"D x D": covariance_full, "B x B (Gram)": covariance_gram}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for _ in range(args.repeats + 2):
        for name, form in forms.items():
            times[name].append(time_once(form, z))

    print(f"covariance term, B = {args.batch}, D = {args.features}, float32, {args.device},", end=" ")
    print(f"{args.threads} thread(s), best of {args.repeats}")
    print(f"{'form':<14}{'value':>12}{'forward ms':>14}{'backward ms':>14}{'both ms':>12}")
    best = {}
    for name, form in forms.items():
        measured = times[name][2:]  # the first two warm up
        forward, backward = (min(column) for column in zip(*measured, strict=True))
        best[name] = min(map(sum, measured))
        print(
            f"{name:<14}{form(z).item():>12.6f}{forward * 1e3:>14.2f}{backward * 1e3:>14.2f}{best[name] * 1e3:>12.2f}"
        )
    ratio = best["D x D"] / best["B x B (Gram)"]
    print(f"the Gram form is {ratio:.0f} times faster (target: at least 30 at B = 128, D = 4096)")


if __name__ == "__main__":
    main()
