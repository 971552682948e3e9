"""Finding and reading YAML files, and telling in which file, line or override a key was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seisml.config.published_layout import is_flat, over_native
from seisml.errors import UserError, nearest, shown

MOST_NODES = 100_000  # values that a YAML file may hold, each alias counted as what it stands for


def config_dir() -> Path:
    """Folder of the configs: installed with the package, else beside it in the clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


@dataclass(frozen=True)
class Primary:
    """The YAML that Hydra starts from.

    Attributes:
        folder: Folder of the file that the user named; groups may lie in it.
        name: Name by which Hydra finds it: that of the file, or of what was stored in memory.
        files: The files it stands for, as the user knows them: the one named, and for a flat one its native base.
        groups: Groups its defaults list chooses from.
        settings: What it says about Hydra itself.
        base_name: Name by which Hydra finds the native config of the entry point.
        base_groups: Groups that one's defaults list chooses from.
        base_keys: Keys that stand in it.
        choices: Group -> file, where the user's defaults list chooses another than the entry point's. They win over
            what a file of another group asks for (a method its front end).
    """

    folder: Path
    name: str
    files: tuple[Path, ...]
    groups: frozenset[str]
    settings: DictConfig
    base_name: str
    base_groups: frozenset[str]
    base_keys: frozenset[str]
    choices: Mapping[str, str]

    @property
    def is_flat(self) -> bool:
        """Whether the user's file is in the published flat layout."""
        return len(self.files) > 1


def primary(path: Path, base: Path, overrides: Sequence[str] = ()) -> Primary:
    """Make a YAML file ready for Hydra: a native one as it lies, a flat one laid over its base, in memory.

    Args:
        path: File the user named.
        base: Native config of the entry point, on which a flat file is laid.
        overrides: The command line's, some of which say more of a flat file's meaning.

    Raises:
        UserError: Where a file cannot be read.
    """
    config, native = read_yaml(path), read_yaml(base)
    files, name = (path,), path.stem
    if is_flat(config):
        files = (path, base)
        try:
            roots = [text.partition("=")[2] for text in overrides if text.lstrip("+").startswith("dataset.root=")]
            config = over_native(config, native, config_dir() / "model_params", roots[-1] if roots else None)
        except UserError as error:
            raise UserError(f"{shown(path)}: {error}") from error
    if len(files) > 1 or path.suffix != ".yaml":
        name = _in_memory(f"{path.stem} as read", config)
    return Primary(
        folder=path.resolve().parent,
        name=name,
        files=files,
        groups=_groups(config, path),
        settings=config.get("hydra") or OmegaConf.create(),
        base_name=_in_memory(f"{base.stem} of the entry point", native),
        base_groups=_groups(native, base),
        base_keys=frozenset(map(str, native)) - {"defaults"},
        choices={} if len(files) > 1 else dict(_chosen(config).items() - _chosen(native).items()),
    )


def _in_memory(name: str, config: DictConfig) -> str:
    """Store a primary config where Hydra looks before any folder; launchers take the store to their processes."""
    ConfigStore.instance().store(name=name, node=config, provider="seisml")
    return name


def _groups(config: DictConfig, path: Path) -> frozenset[str]:
    """Groups that a primary config's defaults list chooses from."""
    entries = config.get("defaults", OmegaConf.create([]))  # a run's config.yaml has none: it is whole
    if not OmegaConf.is_list(entries) or not all(isinstance(entry, str) or _is_choice(entry) for entry in entries):
        raise UserError(f"{shown(path)}: defaults is a list of files, such as [dataset: aknes, _self_]")
    names = (str(next(iter(entry))) for entry in entries if OmegaConf.is_dict(entry))
    return frozenset(name.split()[-1].split("@")[0].lstrip("/") for name in names)


def _chosen(config: DictConfig) -> dict[str, str]:
    """The plain choices of a defaults list, group -> file."""
    chosen = config.get("defaults", ())  # a run's config.yaml has none
    entries = [entry for entry in chosen if OmegaConf.is_dict(entry)]
    pairs = (next(iter(OmegaConf.to_container(entry).items())) for entry in entries)
    plain = {str(group).lstrip("/"): file for group, file in pairs if isinstance(file, str)}
    return {group: file for group, file in plain.items() if group.isidentifier()}


def _is_choice(entry: object) -> bool:
    return OmegaConf.is_dict(entry) and len(entry) == 1


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
        _refuse_bomb(path)
        config = OmegaConf.load(path)
    except yaml.YAMLError as error:
        raise UserError(describe(error)) from error
    except RecursionError as error:
        raise UserError(f"{shown(path)}: it is nested too deeply") from error
    except (OSError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise UserError(f"{shown(path)}: {describe(error)}") from error
    if not isinstance(config, DictConfig) or not config:
        raise UserError(f"{shown(path)}: it holds no keys; start from a copy of {shown(config_dir() / 'ssl.yaml')}")
    return config


def _refuse_bomb(path: Path) -> None:
    """Refuse a file of few lines whose aliases unfold to more than any config holds, before they are unfolded."""
    with open(path, encoding="utf-8") as file:
        root = yaml.compose(file, Loader=yaml.SafeLoader)
    sizes: dict[int, int] = {}

    def size(node: yaml.Node | None) -> int:
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = MOST_NODES  # where a node holds itself
            parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    if size(root) > MOST_NODES:
        raise UserError(f"{shown(path)}: its aliases (*) repeat more than {MOST_NODES} values; write fewer")


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
    if isinstance(error, RecursionError):
        return "an override is nested too deeply"
    if isinstance(error, OverrideParseException):
        text = error.override.lstrip("+")
        return f"{text}: this is not an override; write key=value, special letters in quotes (--config names the file)"
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
