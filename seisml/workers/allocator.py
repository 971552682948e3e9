"""What glibc does with memory that a worker gives back."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, <malloc.h>
LARGEST_KEPT = 32 * 2**20  # bytes; the most that glibc takes for the threshold of mmap
KEPT_AT_THE_END = 256 * 2**20  # bytes


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what is freed for the next array, where it has glibc.

    Dask starts its workers with a trim threshold of 64 KiB, and glibc then also stops raising the threshold of mmap
    from 128 KiB: every larger array is mapped anew and the kernel clears its pages one by one, which cost as much as
    ConvNetQuake itself.

    Returns:
        Whether it is so from now on.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:  # musl has none
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_KEPT)) and bool(mallopt(TRIM_THRESHOLD, KEPT_AT_THE_END))
