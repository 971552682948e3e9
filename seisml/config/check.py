"""Checking a composed config before anything runs: no unknown key, no value of the wrong type or out of range.

The facts come from the code itself: a section with a ``_target_`` may hold that class's arguments, of their types; what
a type allows (``Annotated[int, Field(ge=1)]``) is said by the constructor that takes it.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from typing import Any

import pydantic
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from typing_extensions import is_typeddict

from seisml.errors import SettingError, interrupts_wait, nearest
from seisml.run.settings import GIVEN_TO_METHODS, Settings, method_arguments
from seisml.values.classes import present_path

ANYTHING = inspect.Parameter.empty  # annotation of an argument that says nothing of its type
HYDRA_KEYS = dict.fromkeys(("_target_", "_partial_", "_recursive_", "_convert_", "_args_"), ANYTHING)
LIBRARY_ROOTS = ("builtins", "torch.", "pytorch_lightning.core", "lightning.")  # base classes that take no settings
LIMITS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
}
PLAIN = {
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "sequence_str": "a list",
    "is_instance_of": "of the right kind",
    "dict_type": "a mapping",
}


def check(cfg: DictConfig, top_level: set[str], groups: set[str], passed_over: DictConfig | None = None) -> list[str]:
    """Refuse keys nobody reads and values of the wrong type or out of range.

    Args:
        cfg: The composed config, without Hydra's node.
        top_level: Keys that may stand at the top level.
        groups: Groups that an override may choose from; for the hint at what a key was meant to be.
        passed_over: Keys that are passed over where the chosen class does not take them, whatever their values.

    Returns:
        The keys that were passed over; nobody reads them.

    Raises:
        SettingError: At the first key that does not fit.
    """
    for key in cfg:
        if key not in top_level:
            raise SettingError(str(key), f"unknown key {key!r}; {nearest(str(key), top_level | groups)}")
    values = resolved(cfg)
    annotations = typing.get_type_hints(Settings, include_extras=True)
    sections = {key: value for key, value in values.items() if key not in annotations}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise SettingError(name, f"{name}: {section!r} is not a section; set its keys ({name}.key=value)")
    for name in values.keys() - sections.keys():
        _check_value(name, values[name], annotations[name])
    unread: list[str] = []
    for name, section in sections.items():
        arguments = _section_arguments(name, sections)
        if passed_over is not None and arguments is not None:
            strange = [key for key in section if key not in arguments]
            unread += [path for key in strange if OmegaConf.select(passed_over, path := f"{name}.{key}") is not None]
        _check_keys(name, {key: value for key, value in section.items() if f"{name}.{key}" not in unread}, arguments)
    if "model_params" in values:
        method_arguments(values)
    return unread


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Resolve interpolations; name what is missing or leads nowhere."""
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
        if missing:
            raise SettingError(missing[0], f"{missing[0]} is missing; set it: {missing[0]}=...")
        return typing.cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        raise SettingError(key, f"{key}: {str(error.msg or error).splitlines()[0]}") from error


def _section_arguments(name: str, sections: dict[str, Any]) -> dict[str, Any] | None:
    """Arguments that a section may set, with their annotations; None where anything goes."""
    if name == "trainer_params":
        with interrupts_wait():  # here, so that a misspelt section is found without the seconds this takes
            from pytorch_lightning import Trainer

            from seisml.run.trainer import GIVEN, TAKEN, build_trainer
        for key in sections[name]:
            if key in TAKEN:
                raise SettingError(f"{name}.{key}", f"{name}.{key} cannot be set here: {TAKEN[key]}")
        arguments = {**(_arguments(Trainer) or {}), **_own_arguments(build_trainer)[0]}
        return {key: value for key, value in arguments.items() if key not in (*GIVEN, *TAKEN)}
    owner = "model_params" if name == "exp_params" else name
    section = sections.get(owner)
    if not section or "_target_" not in section:
        raise SettingError(owner, f"{owner} names no class; choose a file of configs/{owner}: {owner}=NAME")
    path = section["_target_"]
    module, _, attribute = present_path(str(path)).rpartition(".")
    try:
        with interrupts_wait():
            target = getattr(importlib.import_module(module), attribute)
        arguments = _arguments(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(f"{owner}._target_", f"{owner}._target_: cannot import {path!r} ({error})") from error
    if arguments is None:
        return None
    if owner == "model_params":
        arguments = {key: value for key, value in arguments.items() if key not in GIVEN_TO_METHODS}
    return arguments if name == "exp_params" else arguments | HYDRA_KEYS


def _arguments(target: Any) -> dict[str, Any] | None:
    """Arguments of a class or function; a class's ``**kwargs`` are followed to its bases. None where anything goes."""
    if not inspect.isclass(target):
        arguments, is_open = _own_arguments(target)
        return None if is_open else arguments
    merged: dict[str, Any] = {}
    for cls in inspect.getmro(target):
        if cls is object:
            return None
        if cls is not target and f"{cls.__module__}.".startswith(LIBRARY_ROOTS):
            return merged
        if "__init__" in vars(cls):
            arguments, is_open = _own_arguments(inspect.unwrap(vars(cls)["__init__"]))
            merged = arguments | merged
            if not is_open:
                return merged
    return merged


def _own_arguments(function: Any) -> tuple[dict[str, Any], bool]:
    """Arguments of one function, and whether it takes others (``**kwargs``)."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # names imported for type checkers only
        hints = {}
    parameters = inspect.signature(function).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    arguments = {p.name: hints.get(p.name, ANYTHING) for p in parameters if p.kind in named and p.name != "self"}
    return arguments, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _check_keys(section: str, values: dict[str, Any], arguments: dict[str, Any] | None) -> None:
    """Check the keys of one section, and their values, against what they may be."""
    for key, value in values.items():
        path = f"{section}.{key}"
        if arguments is not None and key not in arguments:
            choices = [name for name in arguments if not name.startswith("_")]
            raise SettingError(path, f"unknown key {path!r}; {nearest(str(key), choices)}")
        if arguments is not None:
            _check_value(path, value, arguments[key])


def _check_value(key: str, value: Any, annotation: Any) -> None:
    """Check one value against a type annotation, as a person would: 1 is a fine float, "1" and true are not."""
    for kind in (annotation, *typing.get_args(annotation)):
        if is_typeddict(kind) and isinstance(value, dict):  # a mapping with declared keys
            _check_keys(key, value, typing.get_type_hints(kind, include_extras=True))
            return
    if annotation is ANYTHING:
        return
    try:
        adapter = pydantic.TypeAdapter(annotation, config={"arbitrary_types_allowed": True})
    except (pydantic.errors.PydanticUserError, pydantic.PydanticSchemaGenerationError, TypeError):
        try:  # pydantic takes no config beside a type that is a model itself
            adapter = pydantic.TypeAdapter(annotation)
        except (pydantic.errors.PydanticUserError, pydantic.PydanticSchemaGenerationError, TypeError):
            return  # an annotation that pydantic cannot read says nothing
    try:
        read = adapter.validate_python(value)
        is_number = isinstance(read, int | float)
        if isinstance(value, str) and is_number:
            raise SettingError(key, f"{key}: {value!r} is text, not a value of its kind; write it without quotes")
        if isinstance(value, bool) and is_number and not isinstance(read, bool):
            raise SettingError(key, f"{key}: {str(value).lower()} is not a number")
        if isinstance(value, float) and isinstance(read, int):
            raise SettingError(key, f"{key}: {value} is not a whole number; write {read}")
    except pydantic.ValidationError as error:
        raise SettingError(key, f"{key}: {_fault(error, value)}") from None


def _fault(error: pydantic.ValidationError, value: Any) -> str:
    """Say in plain words what is wrong and what would have been valid."""
    kinds: list[str] = []
    limits: list[str] = []
    named: list[str] = []
    for detail in error.errors():
        kind, context = detail["type"], detail.get("ctx", {})
        if kind in LIMITS:
            limits.append(LIMITS[kind].format(**context))
        elif kind == "literal_error":
            choices = [choice.strip(" '") for choice in context["expected"].replace(" or ", ",").split(",")]
            hint = f" ({nearest(value, choices)})" if isinstance(value, str) else ""
            kinds.append(f"one of {', '.join(choices)}{hint}")
            named += choices
        elif kind in PLAIN:
            kinds.append(PLAIN[kind])
        elif kind != "none_required":
            kinds.append(f"valid ({detail['msg'][:1].lower()}{detail['msg'][1:]})")
    if limits:
        return f"{_shown(value)} is out of range; it is {' or '.join(dict.fromkeys(limits + named))}"
    return f"{_shown(value)} is not {' or '.join(dict.fromkeys(kinds)) or 'of the right kind'}"


def _shown(value: Any) -> str:
    """Show a value as it is written in YAML."""
    plain = OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
    return str(plain).lower() if isinstance(plain, bool) else "null" if plain is None else repr(plain)
