"""Which precision is the faster one here: bfloat16 pays off where the processor or GPU computes in it."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

import torch

# what Linux and torch call the instructions, on x86 and on ARM -> what people call them
INSTRUCTIONS = {
    "amx_bf16": "AMX-BF16", "avx512_bf16": "AVX512-BF16", "bf16": "NEON-BF16", "svebf16": "SVE-BF16",
    "sve_bf16": "SVE-BF16",
}  # fmt: skip


@lru_cache(maxsize=1)
def bfloat16_instructions() -> tuple[str, ...]:
    """Instruction sets of this processor that compute in bfloat16, like ``("AVX512-BF16",)``; () for none.

    From what Linux says of the processor; elsewhere from torch, where its version tells.
    """
    found = _from_linux(Path("/proc/cpuinfo"))
    return _from_torch() if found is None else found


def _from_linux(path: Path) -> tuple[str, ...] | None:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, ARM
            flags = set(value.split())
            return tuple(words for flag, words in INSTRUCTIONS.items() if flag in flags)
    return None


def _from_torch() -> tuple[str, ...]:
    try:
        from torch.cpu import get_capabilities  # torch 2.10 and newer
    except ImportError:
        return ()
    known = get_capabilities()
    return tuple(words for flag, words in INSTRUCTIONS.items() if known.get(flag, False))


def device_name(device: str) -> str:
    """What computes, with what decides on bfloat16: for messages and benchmarks."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return f"{platform.machine()}, {' and '.join(bfloat16_instructions()) or 'no bfloat16 instructions'}"


def bfloat16_is_faster(device: str) -> bool:
    """Whether a device computes in bfloat16 rather than imitating it."""
    if device.startswith("cuda"):
        with torch.cuda.device(torch.device(device)):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(bfloat16_instructions())


def choose_precision(asked: str, device: str) -> tuple[str, str]:
    """Decide on ``auto``, and find out whether a choice is the slower one.

    Args:
        asked: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns:
        ``"float32"`` or ``"bfloat16"``, and a line to say: what was chosen, or a warning; empty where there is nothing.
    """
    fast = bfloat16_is_faster(device)
    if asked == "auto":
        chosen = "bfloat16" if fast else "float32"
        return chosen, f"Precision: {chosen} ({device_name(device)})."
    if asked == "bfloat16" and not fast:
        return asked, (
            f"Precision: bfloat16 is slower than float32 here ({device_name(device)}); auto takes the faster one."
        )
    return asked, ""
