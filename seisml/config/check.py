"""Checking a composed config before anything runs: no unknown key, no value of the wrong type.

The facts come from the code itself: a section with a ``_target_`` may hold that class's arguments, of their types.
"""

from __future__ import annotations

import importlib
import inspect
import math
import typing
from typing import Any

import pydantic
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seisml.errors import UserError, interrupts_wait, nearest

ANYTHING = inspect.Parameter.empty  # annotation of an argument that says nothing of its type
HYDRA_KEYS = dict.fromkeys(("_target_", "_partial_", "_recursive_", "_convert_", "_args_"), ANYTHING)
TOP_LEVEL: dict[str, Any] = {
    "seed": int,
    "out": str,
    "encoder_folder": str,
    "figures": bool,
    "floor": float | typing.Literal["auto"],
    "augmentations": list[str | dict[str, Any]] | None,
    "backbone_with_clf_type": str,
}
LOAD_ENCODER = {"ckpt_fname": str | None, "backbone_type": str, "trust": list[str]}
GPUS = int | list[int] | typing.Literal["auto"] | None
GIVEN_TO_METHODS = ("facts", "front_end", "seed")  # arguments that the training run gives to every method
NESTED = {"LR": {"encoder": float, "clf": float}}  # arguments that are mappings with keys of their own
LIMITS: dict[str, tuple[float, float]] = {  # least and largest value that makes sense
    "seed": (0, 2**32 - 1),
    "dataset.train_test_split_rand_seed": (0, 2**32 - 1),
    "dataset.batch_size": (1, math.inf),
    "dataset.num_workers": (0, math.inf),
    "exp_params.LR": (0, math.inf),
    "exp_params.LR.encoder": (0, math.inf),
    "exp_params.LR.clf": (0, math.inf),
    "exp_params.weight_decay": (0, math.inf),
    "exp_params.label_smoothing": (0, 1),
    "exp_params.gradient_clip_val": (0, math.inf),
}
LIBRARY_ROOTS = ("builtins", "torch.", "pytorch_lightning.core", "lightning.")  # base classes that take no settings
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


class ConfigError(UserError):
    """A key or value that does not fit.

    Attributes:
        key: Dotted path of the key at fault, by which its file or override is found.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def check(cfg: DictConfig, top_level: set[str], groups: set[str]) -> None:
    """Refuse keys nobody reads and values of the wrong type.

    Args:
        cfg: The composed config, without Hydra's own node.
        top_level: Keys that may stand at the top level.
        groups: Groups that an override may choose from; for the hint at what a key was meant to be.

    Raises:
        ConfigError: At the first key that does not fit.
    """
    for key in cfg:
        if key not in top_level:
            raise ConfigError(str(key), f"unknown key {key!r}; {nearest(str(key), top_level | groups)}")
    values = _resolved(cfg)
    sections = {key: value for key, value in values.items() if key not in TOP_LEVEL}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise ConfigError(name, f"{name}: {section!r} is not a section; set its keys ({name}.key=value)")
    for name, annotation in TOP_LEVEL.items():
        if name in values:
            _check_type(name, values[name], annotation)
    for name, section in sections.items():
        _check_keys(name, section, _section_arguments(name, sections))
    for name, (least, largest) in LIMITS.items():
        value = OmegaConf.select(cfg, name)
        if isinstance(value, int | float) and not least <= value <= largest:
            words = f"at least {least}" if largest == math.inf else f"between {least} and {largest}"
            raise ConfigError(name, f"{name}: {value} is out of range; it is {words}")


def method_arguments(cfg: DictConfig) -> dict[str, Any]:
    """Gather the constructor arguments of the method: ``model_params``, ``exp_params`` and ``augmentations``.

    A key that both sections set to different values is refused; null gives way to a value.
    """
    values = _resolved(cfg)
    arguments = dict(values["model_params"])
    for key, value in values.get("exp_params", {}).items():
        given = arguments.get(key)
        if given is not None and value is not None and given != value:
            here, there = f"exp_params.{key}", f"model_params.{key}"
            raise ConfigError(here, f"{there} is {given!r} but {here} is {value!r}; set one of them")
        arguments[key] = given if value is None else value
    if "augmentations" in values:
        arguments["augmentations"] = values["augmentations"] or []
    return arguments


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    """Resolve interpolations; name what is missing or leads nowhere."""
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
        if missing:
            raise ConfigError(missing[0], f"{missing[0]} is missing; set it: {missing[0]}=...")
        return typing.cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        raise ConfigError(key, f"{key}: {str(error.msg or error).splitlines()[0]}") from error


def _section_arguments(name: str, sections: dict[str, Any]) -> dict[str, Any] | None:
    """Arguments that a section may set, with their annotations; None where anything goes."""
    if name == "load_encoder":
        return LOAD_ENCODER
    if name == "trainer_params":
        with interrupts_wait():
            import pytorch_lightning as pl  # here, so that a misspelt section is found without the seconds this takes

        return {"gpus": GPUS, **(_arguments(pl.Trainer) or {})}
    owner = "model_params" if name == "exp_params" else name
    section = sections.get(owner)
    if not section or "_target_" not in section:
        raise ConfigError(owner, f"{owner} names no class; choose a file of configs/{owner}: {owner}=NAME")
    path = section["_target_"]
    module, _, attribute = str(path).rpartition(".")
    try:
        with interrupts_wait():
            target = getattr(importlib.import_module(module), attribute)
        arguments = _arguments(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{owner}._target_", f"{owner}._target_: cannot import {path!r} ({error})") from error
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
        hints = typing.get_type_hints(function)
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
            raise ConfigError(path, f"unknown key {path!r}; {nearest(str(key), choices)}")
        if key in NESTED and isinstance(value, dict):
            _check_keys(path, value, NESTED[key])
        elif arguments is not None:
            _check_type(path, value, arguments[key])


def _check_type(key: str, value: Any, annotation: Any) -> None:
    """Check one value against a type annotation, as a person would: 1 is a fine float, "1" and true are not."""
    if annotation is ANYTHING:
        return
    try:
        adapter = pydantic.TypeAdapter(annotation, config={"arbitrary_types_allowed": True})
    except (pydantic.errors.PydanticUserError, pydantic.PydanticSchemaGenerationError, TypeError):
        return  # an annotation that pydantic cannot read says nothing
    try:
        read = adapter.validate_python(value)
        is_number = isinstance(read, int | float)
        if isinstance(value, str) and is_number:
            raise ConfigError(key, f"{key}: {value!r} is text, not a value of its kind; write it without quotes")
        if isinstance(value, bool) and is_number and not isinstance(read, bool):
            raise ConfigError(key, f"{key}: {str(value).lower()} is not a number")
    except pydantic.ValidationError as error:
        raise ConfigError(key, f"{key}: {_shown(value)} is not {_wanted(error, value)}") from None


def _wanted(error: pydantic.ValidationError, value: Any) -> str:
    """Say in plain words what would have been valid."""
    words: list[str] = []
    for detail in error.errors():
        kind = detail["type"]
        if kind == "literal_error":
            choices = [choice.strip(" '") for choice in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
            hint = f" ({nearest(value, choices)})" if isinstance(value, str) else ""
            words.append(f"one of {', '.join(choices)}{hint}")
        elif kind in PLAIN:
            words.append(PLAIN[kind])
        elif kind != "none_required":
            words.append(f"valid ({detail['msg'][:1].lower()}{detail['msg'][1:]})")
    return " or ".join(dict.fromkeys(words)) or "of the right kind"


def _shown(value: Any) -> str:
    """Show a value as it is written in YAML."""
    plain = OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
    return str(plain).lower() if isinstance(plain, bool) else "null" if plain is None else repr(plain)
