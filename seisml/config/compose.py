"""Composing and checking configs, and saying in one line what is wrong with one.

Groups are found in :func:`config_dir`, wherever the YAML file lies. A file in the published flat layout is read by
:mod:`seisml.config.published_layout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seisml.config.check import check, resolved
from seisml.config.sources import Primary, config_dir, describe, find_yaml, origin, primary
from seisml.errors import SettingError, UserError, nearest
from seisml.run.named.names import encoder_path, known_names
from seisml.run.settings import OPTIONAL
from seisml.store.folder import recover_interrupted

ENCODER = "load_encoder.ckpt_fname"  # the setting that takes a name in a path's place


class ConfigFolder(SearchPathPlugin):
    """Lets Hydra find the groups in :func:`config_dir`, wherever the primary config lies."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder to Hydra's search path."""
        search_path.append("seisml", f"file://{config_dir()}")


def compose(config: str, overrides: Sequence[str] = (), default: str | None = None) -> DictConfig:
    """Compose and check a config without a command line.

    Args:
        config: YAML file, native or flat.
        overrides: Hydra overrides.
        default: Native config on which a flat file is laid; by default `config` itself.

    Returns:
        The config that an entry point would pass to ``train``.

    Raises:
        UserError: Where it does not compose or does not pass the check.
    """
    start = primary(find_yaml(config), find_yaml(default or config), overrides)
    with hydra_for(start):
        overrides = settable(overrides, start)
        cfg, unread = checked(compose_with_hydra(start, overrides), start, overrides)
        return without(cfg, unread)


def hydra_for(start: Primary) -> AbstractContextManager[None]:
    """Start Hydra for composing, with our folder on its search path."""
    Plugins.instance().register(ConfigFolder)
    return hydra.initialize_config_dir(config_dir=str(start.folder), version_base="1.3")


def settable(overrides: Sequence[str], start: Primary) -> list[str]:
    """Let ``key=value`` set any key, in the YAML or not: the check knows better than Hydra which keys there are.

    What the user's YAML chooses becomes an override: in Hydra a method's ``override /front_end`` would win over it.
    A file that the command line adds (an experiment) still wins over the YAML.

    Raises:
        UserError: Where a group is switched off as if it were a key, or there is no key.
    """
    groups = set(_loader().list_groups(""))
    changed = []
    for text in overrides:
        key, _, value = text.partition("=")
        name = key.lstrip("+")
        if not name:
            raise UserError(f"{text}: this is not an override; write key=value")
        if name in groups and value.lower() in ("false", "null", "none"):
            raise UserError(f"{text}: {name} names a file of configs/{name}; ~{name} leaves it out")
        if key.startswith(("~", "hydra.")) or "=" not in text or "/" in key or "@" in key:
            changed.append(text)
        elif name in groups:  # a group that the YAML does not choose from, such as experiment, needs Hydra's +
            changed.append(text if name in start.groups or key != name else f"+{text}")
        else:
            changed.append(f"++{text.lstrip('+')}")
    adds = any(text.startswith("+") and text.lstrip("+").partition("=")[0] in groups for text in changed)
    named = {text.partition("=")[0].lstrip("+~") for text in changed}
    chosen = [
        f"{group}={file}"
        for group, file in start.choices.items()
        if not adds and group not in named and file in _loader().get_group_options(group)
    ]
    return [*chosen, *changed]


def compose_with_hydra(start: Primary, overrides: Sequence[str], name: str | None = None) -> DictConfig:
    """Compose a config, Hydra's node included.

    Args:
        start: What Hydra starts from.
        overrides: As :func:`settable` gave them.
        name: Another primary config than that of ``start``.

    Raises:
        UserError: Where a file or an override is wrong.
    """
    with _in_one_line(start, overrides):
        return hydra.compose(name or start.name, list(overrides), return_hydra_config=True)


@contextmanager
def _in_one_line(start: Primary, overrides: Sequence[str]) -> Iterator[None]:
    """Say in one line why something does not compose."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise UserError(describe(error, start, overrides)) from error


def checked(cfg: DictConfig, start: Primary, overrides: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Check a composed config; say in which file or override a fault stands.

    Args:
        cfg: What :func:`compose_with_hydra` gave.
        start: What it was composed from.
        overrides: The overrides it was composed with.

    Returns:
        The config without Hydra's node, and the keys of a flat file that its method does not take.

    Raises:
        UserError: At the first fault.
    """
    task = cfg.copy()
    with open_dict(task):
        del task["hydra"]
    top_level = _top_level(set(map(str, task)), start, cfg.hydra.runtime.choices)
    try:
        return task, check(task, top_level, set(_loader().list_groups("")) - {"hydra"}, usual(start))
    except SettingError as error:
        place = origin(error.key, start, overrides, _loader())
        raise UserError(f"{place}: {error}" if place else str(error)) from error


def _top_level(there: set[str], start: Primary, choices: Mapping[str, Any]) -> set[str]:
    """Keys that may stand at the top level: those of the entry point's files, with the chosen file of each group.

    Composing those takes as long as composing the run; they are not needed where the entry point's YAML says enough,
    and asked anew only where a key is in doubt.
    """
    known = {*start.base_keys, *start.base_groups, *OPTIONAL, "exp_params"}
    if there <= known:
        return known
    picked = sorted(f"{group}={choices[group]}" for group in start.base_groups if isinstance(choices.get(group), str))
    asked = str(start.folder), start.base_name, tuple(picked)
    with _in_one_line(start, picked):
        if not there <= known | _keys_of_files(*asked):
            _keys_of_files.cache_clear()
        return known | _keys_of_files(*asked)


@lru_cache
def _keys_of_files(folder: str, name: str, picked: tuple[str, ...]) -> frozenset[str]:
    """Top-level keys of a config and what it chooses; ``folder`` tells apart what has the same name."""
    return frozenset(map(str, hydra.compose(name, list(picked))))


def usual(start: Primary) -> DictConfig | None:
    """What a flat file is laid over: keys of it that another method does not take are passed over."""
    return compose_with_hydra(start, [], start.base_name) if start.is_flat else None


def without(cfg: DictConfig, unread: Sequence[str]) -> DictConfig:
    """Take the keys that nobody reads out of a config, and say so."""
    left = cfg.copy()
    with open_dict(left):
        for key in unread:
            section, name = key.split(".", 1)
            del left[section][name]
    if unread:
        method = cfg.model_params["_target_"].rpartition(".")[2]
        print(f"{', '.join(unread)}: unused, since {method} has no such settings", flush=True)
    return left


def check_paths(cfg: DictConfig, start: Primary, overrides: Sequence[str]) -> None:
    """Refuse a path that is not there, of the settings that ``needs`` lists: before anything slow is imported.

    Raises:
        UserError: Names the setting, the path and how it is made.
    """
    try:
        needs = resolved(OmegaConf.masked_copy(cfg, "needs")).get("needs", {})
        paths = {key: OmegaConf.select(cfg, key) for key in needs}
    except (SettingError, OmegaConfBaseException):
        return  # the check says it better
    for key, path in paths.items():
        if not isinstance(path, str) or path.lower() == "none" or recover_interrupted(Path(path)).exists():
            continue
        if key == ENCODER and encoder_path(path).exists():
            continue
        suffix = Path(path).suffix
        named = known_names() if key == ENCODER else []
        beside = [str(file) for file in Path(path).parent.glob(f"*{suffix}")] if suffix else named
        cure = nearest(path, beside) if beside else needs[key].replace("{path}", path)
        place = origin(key, start, overrides, _loader())
        raise UserError(f"{f'{place}: ' if place else ''}{key}: {path} does not exist; {cure}")


def _loader() -> Any:
    return GlobalHydra.instance().config_loader()
