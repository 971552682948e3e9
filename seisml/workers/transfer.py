"""Values between two processes: pickles through a pipe, and the bytes of arrays behind them, which are not pickled.

Measured for a day of three components (`benchmarks/reading.py`): a pipe, which one process fills while the other
empties it, into memory of large pages, costs less than memory that both see, and leaves nothing behind.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np


def packed(value: Any) -> list[Any]:
    """A value's parts: its pickle, and the bytes of its arrays, which are not copied."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return [head, *(buffer.raw() for buffer in buffers)]


def unpacked(parts: Sequence[Any]) -> Any:
    """The value of :func:`packed`; its arrays stand on the parts and may be written to."""
    head, *buffers = parts
    return pickle.loads(head, buffers=buffers)


def send(pipe: io.FileIO, parts: Sequence[Any]) -> None:
    """Send the parts of a value."""
    sizes = [memoryview(part).nbytes for part in parts]
    for part in (struct.pack(f"<{1 + len(sizes)}Q", len(sizes), *sizes), *parts):
        left = memoryview(part).cast("B")
        while left:
            left = left[pipe.write(left) :]


def receive(pipe: io.FileIO) -> list[memoryview]:
    """Receive the parts of a value.

    Raises:
        EOFError: The other end is gone.
    """
    (number,) = struct.unpack("<Q", _read(pipe, 8))
    return [_read(pipe, size) for size in struct.unpack(f"<{number}Q", _read(pipe, 8 * number))]


def _read(pipe: io.FileIO, size: int) -> memoryview:
    content = np.empty(size, np.uint8).data  # NumPy asks for large pages: a fifth of the time of a bytearray
    left = content
    while left:
        if not (n_bytes := pipe.readinto(left)):
            raise EOFError
        left = left[n_bytes:]
    return content
