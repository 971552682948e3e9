"""Keeping a computation in float32 while the network around it runs in bfloat16 or float16."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def in_float32(function: Callable) -> Callable:
    """Make a function of tensors compute in float32 inside autocast.

    Half-precision tensor arguments are cast to float32 and autocast is switched off for the call. float32 and float64
    arguments keep their type, so that gradients can be checked in float64. Gradients flow back through the cast.

    Args:
        function: A function or method with at least one positional tensor argument.

    Returns:
        The wrapped function.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        device_type = next(arg.device.type for arg in args if isinstance(arg, Tensor))
        with torch.autocast(device_type, enabled=False):
            return function(*map(lift, args), **{name: lift(value) for name, value in kwargs.items()})

    return wrapped


@contextmanager
def weights_cast_once(device_type: str) -> Iterator[None]:
    """Inside autocast: let a weight that several passes use be cast once, and its gradient be cast back once.

    Lightning has switched autocast's memory of casts off, as it would hand on casts that were made without gradients;
    nothing inside may switch gradients off. What is remembered goes as the outermost autocast ends.

    Args:
        device_type: Where the passes compute, ``cpu`` or ``cuda``.
    """
    if not torch.is_autocast_enabled(device_type):
        yield
        return
    with torch.autocast(device_type, torch.get_autocast_dtype(device_type), cache_enabled=True):
        yield


def lift(value: Any) -> Any:
    """Cast a half-precision floating tensor to float32; leave anything else as it is, float64 too."""
    if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16):
        return value.float()
    return value
