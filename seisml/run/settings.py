"""What a run's config may hold at its top level, and how its sections become a method's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from seisml.errors import SettingError
from seisml.values.classes import first_path
from seisml.values.ranges import Count, Seed

GIVEN_TO_METHODS = ("facts", "front_end", "seed", "task")  # arguments of a method that the run gives, not its section


# may stand at the top level though no file has them
OPTIONAL = frozenset(("floor", "augmentations", "needs", "evaluation", "resume", "checkpoint", "encoder_name"))


Folder = Annotated[str, Field(min_length=1)]  # an empty name would be the root of the file system


class LoadEncoder(TypedDict, total=False):
    """The section ``load_encoder``: a pretrained encoder."""

    ckpt_fname: str | None
    backbone_type: str
    weights: Literal["imagenet"] | None
    trust: list[str]


class Evaluation(TypedDict, total=False):
    """The section ``evaluation``: how the method is tested."""

    folds: Annotated[int, Field(ge=2)] | None


class CheckpointTimes(TypedDict, total=False):
    """The section ``checkpoint``: when the state of a run is saved. Each may be null; all that are set count."""

    every_n_epochs: Count | None
    every_n_steps: Count | None
    every_n_minutes: Annotated[float, Field(gt=0)] | None


class Settings(TypedDict, total=False):
    """The top level; every other key of it is a section that names the class it builds."""

    seed: Seed
    out: Folder
    encoder_folder: Folder
    encoder_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]  # becomes a file's name
    figures: bool
    resume: Folder | None
    checkpoint: CheckpointTimes
    floor: float | Literal["auto"]
    augmentations: list[str | dict[str, Any]] | None
    backbone_with_clf_type: str
    needs: dict[str, str]
    load_encoder: LoadEncoder
    evaluation: Evaluation


def method_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the constructor arguments of the method: ``model_params``, ``exp_params`` and ``augmentations``.

    Null gives way to a value.

    Args:
        values: A composed config, resolved to plain values.

    Raises:
        SettingError: A key that both sections set to different values.
    """
    arguments = dict(values["model_params"])
    for key, value in values.get("exp_params", {}).items():
        given = arguments.get(key)
        if given is not None and value is not None and given != value:
            here, there = f"exp_params.{key}", f"model_params.{key}"
            raise SettingError(here, f"{there} is {given!r} but {here} is {value!r}; set one of them")
        arguments[key] = given if value is None else value
    if "augmentations" in values:
        arguments["augmentations"] = values["augmentations"] or []
    return arguments


def changed(cfg: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    """A composed configuration with other values for some keys (``dataset.split_file``), for one of several like runs.

    Composing and checking anew takes a second, more than a short run.
    """
    result = cfg.copy()
    with open_dict(result):
        for key, value in values.items():
            OmegaConf.update(result, key, value)
    return result


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of nested mappings by dotted key, in order of the keys."""
    found: dict[str, Any] = {}
    waiting = [("", values)]
    while waiting:
        prefix, some = waiting.pop()
        for key, value in some.items():
            if isinstance(value, Mapping):
                waiting.append((f"{prefix}{key}.", value))
            else:
                found[f"{prefix}{key}"] = value
    return dict(sorted(found.items()))


def identity(values: Any) -> Any:
    """Settings with each class by the path that it had first: they are the same wherever its module lies."""
    if isinstance(values, Mapping):
        return {
            key: first_path(value) if key == "_target_" and isinstance(value, str) else identity(value)
            for key, value in values.items()
        }
    return [identity(value) for value in values] if isinstance(values, list) else values


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name the settings that differ: ``trainer_params.max_steps 500 (not 300)``; what is missing counts as null."""
    old, new = flat(identity(before)), flat(identity(after))
    keys = sorted(old.keys() | new.keys())
    return [f"{key} {new.get(key)} (not {old.get(key)})" for key in keys if old.get(key) != new.get(key)]
