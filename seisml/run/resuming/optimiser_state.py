"""Whether a run's optimiser and its schedule can go on with what a checkpoint says they remember.

PyTorch takes up what it is given: a wrong shape ends in a traceback some steps later, or, in the kernels that walk
through memory, in wrong numbers; and a schedule takes up any attribute that the file names.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from seisml.values.tensors import is_whole

if TYPE_CHECKING:
    from seisml.methods.base import Method

RATES = ("lr", "initial_lr")  # a schedule moves them
LARGEST = sys.float_info.max  # whole numbers of a file may be larger
OF_DEVICE = ("fused",)  # set anew where a state is loaded


def optimisers_misfit(method: Method, saved: list[dict[str, Any]], types: set[torch.dtype]) -> str | None:
    """Why states of optimisers are not those of a method's; None where they are.

    Args:
        method: The run's method, as it is built.
        saved: ``optimizer_states`` of a checkpoint.
        types: Types that its weights may have.
    """
    wanted = int(method.automatic_optimization)  # else nothing has a gradient
    if len(saved) != wanted:
        return f"it has {len(saved)} optimisers, not {wanted}"
    return _optimiser_misfit(method, saved[0], types) if wanted else None


def schedules_misfit(method: Method, saved: list[dict[str, Any]], steps: int) -> str | None:
    """Why states of schedules are not those of a method's; None where they are.

    Args:
        method: The run's method, as it is built.
        saved: ``lr_schedulers`` of a checkpoint.
        steps: Steps that the run has made.
    """
    wanted = int(method.automatic_optimization)
    if len(saved) != wanted:
        return f"it has {len(saved)} schedules, not {wanted}"
    expected = LambdaLR(method.build_optimizer(), lambda _: 1.0).state_dict() if wanted else {}
    for state in saved:
        if set(state) != set(expected):
            return f"a schedule holds other things than {', '.join(expected)}"
        for name, example in expected.items():
            if not _is_like(state[name], example):
                return f"{name} of a schedule is not like {example}"
        if not all(map(math.isclose, state["base_lrs"], expected["base_lrs"])):
            return f"base_lrs of a schedule are {state['base_lrs']}, not {expected['base_lrs']}"
        if state["last_epoch"] != steps:
            return "last_epoch of a schedule is not the number of steps that the run has made (global_step)"
    return None


def _is_like(given: Any, example: Any) -> bool:
    """Whether a value is of the type of another: finite numbers, and lists of as many."""
    if isinstance(example, list):
        same = type(given) is list and len(given) == len(example)
        return same and all(_is_like(*pair) for pair in zip(given, example, strict=True))
    return type(given) is type(example) and (example is None or abs(given) <= LARGEST)


def _optimiser_misfit(method: Method, saved: dict[str, Any], types: set[torch.dtype]) -> str | None:
    state, groups = saved.get("state"), saved.get("param_groups")
    if not isinstance(state, dict) or not isinstance(groups, list):
        return "it lacks state or param_groups"
    optimizer = method.build_optimizer()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if reason := _unlike_groups(groups, optimizer.state_dict()["param_groups"]):
        return reason
    if unknown := [key for key in state if type(key) is not int or key not in range(len(parameters))]:
        return f"it remembers a parameter {str(unknown[0])[:20]!r}, which the network lacks"
    remembered = _remembered(optimizer)
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    for number, values in state.items():
        parameter = parameters[number]
        if reason := _unlike_values(values, remembered, parameter.shape, types, names[id(parameter)]):
            return reason
    return None


def _unlike_groups(given: list[Any], wanted: list[dict[str, Any]]) -> str | None:
    """What is wrong with the groups of parameters and their settings."""
    if len(given) != len(wanted):
        return f"it has {len(given)} groups of parameters, not {len(wanted)}"
    for group, expected in zip(given, wanted, strict=True):
        if not isinstance(group, dict) or set(group) - set(RATES) != set(expected) - set(RATES):
            return f"a group of parameters has not the settings {', '.join(expected)}"
        for name in RATES:
            rate = group.get(name, group.get("lr"))
            if type(rate) not in (int, float) or not 0 <= rate <= LARGEST:
                return f"{name} is not a learning rate"
        for name in set(expected) - {*RATES, *OF_DEVICE}:
            if repr(group[name]) != repr(expected[name]):  # what a file holds may refuse to be compared
                return f"{name} is not that of this run"
    return None


def _remembered(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of a parameter of two numbers; it gets that one, and makes a step."""
    example = nn.Parameter(torch.zeros(2))
    example.grad = torch.zeros(2)
    optimizer.add_param_group({"params": [example]})
    optimizer.step()  # moves no other parameter: they have no gradient
    return optimizer.state[example]


def _unlike_values(
    given: Any, remembered: Mapping[str, Tensor], parameter: torch.Size, types: set[torch.dtype], of: str
) -> str | None:
    """What is wrong with what is remembered of a parameter of some shape and name."""
    if not isinstance(given, dict) or set(given) != set(remembered):
        return f"what it remembers of {of} is not {' and '.join(remembered)}"
    for key, example in remembered.items():
        value, name, is_count = given[key], f"{key} of {of}", not example.shape
        shape = torch.Size() if is_count else parameter
        if not isinstance(value, Tensor) or not is_whole(value):
            return f"{name} is not an array of numbers that stand in the file"
        if value.shape != shape:
            return f"{name} has shape {tuple(value.shape)}, not {tuple(shape)}"
        if value.dtype not in ({example.dtype} if is_count else types):
            return f"{name} is of type {type_name(value)}, not {type_name(example)}"
        if not torch.isfinite(value).all():
            return f"{name} is not finite"
    return None


def type_name(tensor: Tensor) -> str:
    """Type of a tensor's numbers, such as ``float32``."""
    return str(tensor.dtype).removeprefix("torch.")
