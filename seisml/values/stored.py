"""Values that a file brings along, checked against declared types before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from seisml.errors import UserError

T = TypeVar("T")
MOST_VALUES, DEEPEST = 100_000, 30  # of nested plain values; a file of a few bytes can hold 2**60 by reference


def read_stored(kind: type[T], values: Any, key: str) -> T:
    """Make a dataclass or a pydantic model of what a file says.

    Args:
        kind: The class; its annotations (and pydantic's ``Field``) say what is valid.
        values: What the file holds.
        key: Name of the part, for the message.

    Raises:
        UserError: Names the first key that is missing, unknown, or not valid.
    """
    check_plain(values, key)
    try:
        return pydantic.TypeAdapter(kind).validate_python(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([key, *(str(part)[:60] for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")  # of a check that a class brings along
        said = {"missing": "is missing", "extra_forbidden": "is unknown", "dataclass_type": "is not a mapping"}
        given = "" if isinstance(first["input"], Mapping) else f" (it is {str(first['input'])[:40]!r})"
        word = said.get(first["type"]) or f"{message[:1].lower()}{message[1:]}{given}"
        raise UserError(f"{place}: {word}") from None


def check_plain(values: Any, key: str, literal: bool = False) -> None:
    """Refuse nested values that are too many or too deep to be looked through; tensors count as one.

    Args:
        values: Mappings, lists and what they hold.
        key: Name of the part, for the message.
        literal: Refuse interpolations (``${...}``) too: settings of a file must not ask for the environment.

    Raises:
        UserError: Says what is wrong.
    """
    waiting, seen = [(values, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise UserError(f"{key}: holds more than {MOST_VALUES} values, or {DEEPEST} levels of them")
        if isinstance(value, Mapping):
            waiting += ((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += ((item, depth + 1) for item in value)
        elif literal and isinstance(value, str) and "${" in value:
            raise UserError(f"{key}: {value[:60]!r} is an interpolation, which a stored setting must not be")
