"""Finding and reading YAML files, and telling in which file, line or override a key was written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.errors import MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seisml.config.published_layout import is_flat, over_native
from seisml.errors import UserError, nearest


def config_dir() -> Path:
    """Folder of the configs: installed with the package, else beside it in the clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


@dataclass(frozen=True)
class Primary:
    """The YAML that Hydra starts from.

    Attributes:
        folder: Folder in which Hydra finds it.
        name: Its file name there.
        files: The files it stands for, as the user knows them: the one named, and for a flat one its native base.
        groups: Groups its defaults list chooses from.
        settings: What it says about Hydra itself.
    """

    folder: Path
    name: str
    files: tuple[Path, ...]
    groups: frozenset[str]
    settings: DictConfig


@contextmanager
def primary(path: Path, base: Path) -> Iterator[Primary]:
    """Make a YAML file ready for Hydra: a native one as it lies, a flat one laid over its base in a temporary folder.

    Args:
        path: File the user named.
        base: Native config of the entry point, on which a flat file is laid.
    """
    config = read_yaml(path)
    with TemporaryDirectory(prefix="seisml-config-") as temporary:
        folder, files = path.resolve().parent, (path,)
        if is_flat(config):
            try:
                config = over_native(config, read_yaml(base), config_dir() / "model_params")
            except UserError as error:
                raise UserError(f"{shown(path)}: {error}") from error
            files = (path, base)
        if len(files) > 1 or path.suffix != ".yaml":
            folder = Path(temporary)
            (folder / f"{path.stem}.yaml").write_text(OmegaConf.to_yaml(config, resolve=False), encoding="utf-8")
        entries = [next(iter(entry)) for entry in config.defaults if OmegaConf.is_dict(entry)]
        groups = frozenset(str(entry).split()[-1].split("@")[0].lstrip("/") for entry in entries)
        yield Primary(folder, path.stem, files, groups, config.get("hydra") or OmegaConf.create())


def find_yaml(name: str) -> Path:
    """Find a YAML file by the path the user gave: from here, else in the clone, else among the installed configs.

    Raises:
        UserError: Where there is none.
    """
    folders = (Path(), config_dir().parent, config_dir())
    for candidate in (folder / Path(name).expanduser() for folder in folders):
        for path in (candidate, candidate.with_name(f"{candidate.name}.yaml")):
            if path.is_file():
                return path
    beside = [str(path) for path in Path(name).parent.glob("*.yaml")]
    ours = [f"configs/{path.name}" for path in config_dir().glob("*.yaml")]
    raise UserError(f"{name}: there is no such file; {nearest(name, beside + ours)}")


def read_yaml(path: Path) -> DictConfig:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: Where it cannot be read.
    """
    try:
        config = OmegaConf.load(path)
    except yaml.YAMLError as error:
        raise UserError(describe(error)) from error
    except (OSError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise UserError(f"{shown(path)}: {describe(error)}") from error
    if not isinstance(config, DictConfig) or not config:
        raise UserError(f"{shown(path)}: it holds no keys; start from a copy of {shown(config_dir() / 'ssl.yaml')}")
    return config


def shown(path: Path) -> str:
    """Write a path as short as it can be: relative to the current folder where it lies below it."""
    absolute = Path(os.path.abspath(path))
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def origin(key: str, start: Primary, overrides: Sequence[str], loader: ConfigLoader) -> str | None:
    """Tell where a key was set: the override, or the file and line; None where nobody wrote it."""
    groups = set(loader.list_groups(""))
    for text in reversed(overrides):
        name = text.lstrip("+~").partition("=")[0]
        if name in groups and not text.startswith("++"):
            continue  # it chose a file, in which the key is found below
        if key == name or key.startswith(f"{name}.") or name.startswith(f"{key}."):
            return text.lstrip("+~")
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    for default in reversed(loader.compute_defaults_list(start.name, list(overrides), RunMode.RUN).defaults):
        package = (default.package or "").removeprefix("_global_").strip(".")
        inside = key.removeprefix(f"{package}.") if package else key
        if package and inside == key:
            continue
        if default.config_path == start.name:
            files = start.files
        else:
            files = tuple(path for folder in folders if (path := folder / f"{default.config_path}.yaml").is_file())[:1]
        for path in files:
            if (line := _line(path, inside)) is not None:
                return f"{shown(path)}:{line}"
    return None


def _line(path: Path, key: str) -> int | None:
    """Line of a YAML file, from 1, on which a dotted key stands (``a.b: 1`` counts as ``a: {b: 1}``)."""
    try:
        return _line_below(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), key)
    except (OSError, yaml.YAMLError):
        return None


def _line_below(node: yaml.Node | None, key: str) -> int | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, value in node.value:
        if name.value == key:
            return name.start_mark.line + 1
        if key.startswith(f"{name.value}."):
            found = _line_below(value, key[len(name.value) + 1 :])
            if found is not None:
                return found
    return None


def describe(error: BaseException, start: Primary | None = None, overrides: Sequence[str] = ()) -> str:
    """Say in one line what is wrong with a YAML file or an override, and what would be right.

    Args:
        error: What reading or composing raised.
        start: What was composed.
        overrides: The overrides it was composed with.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark is not None:
            mark, problem = cause.problem_mark, f"{cause.context or ''} {cause.problem or ''}".strip()
            return f"{shown(Path(mark.name))}:{mark.line + 1}: this is not valid YAML ({problem})"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and start:
        return _describe_missing(error, start, overrides)
    if isinstance(error, OverrideParseException):
        text = error.override.lstrip("+")
        return f"{text}: this is no override; write key=value, special characters in quotes (--config names the file)"
    return ": ".join(dict.fromkeys(str(cause).strip().splitlines()[0] for cause in causes if str(cause).strip()))


def _describe_missing(error: MissingConfigException, start: Primary, overrides: Sequence[str]) -> str:
    """Say which file of which group is missing, who asked for it, and which there are."""
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    choice = f"{group}={option}"
    asked = re.match(r"In '(.+?)':", str(error))
    if choice in (text.lstrip("+") for text in overrides) or asked is None:
        place = choice
    else:
        place = shown(start.files[0] if asked[1] == start.name else Path(f"{asked[1]}.yaml"))
    if not group:
        return f"{place}: there is no configs/{option}.yaml"
    if not error.options:
        groups = [path.name for path in config_dir().iterdir() if path.is_dir()]
        return f"{place}: there is no group {group!r}; {nearest(group, groups)}"
    return f"{place}: there is no configs/{group}/{option}.yaml; {nearest(option, error.options)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
