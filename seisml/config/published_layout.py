"""The one place that reads the published flat layout of a YAML file.

A flat file has no ``defaults`` list. It is laid over the native config of its entry point: ``model_params.name``
chooses the method's file in ``configs/model_params``; every other key replaces the native config's value. What the file
leaves unsaid, and the published code does otherwise than the native config, is in ``configs/layout/published.yaml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seisml.errors import UserError, nearest
from seisml.store.folder import read_prepared

ANY_STORE = {"dataset": "store"}  # in place of Åknes, whose raw counts and class Noise are published settings too
LAYOUT = {"layout": "published"}  # first, so that a data set's choice of split stands


def is_flat(config: DictConfig) -> bool:
    """Tell a published flat file from a native one, which has a ``defaults`` list, and from a run's ``config.yaml``."""
    return "defaults" not in config and OmegaConf.select(config, "model_params._target_") is None


def over_native(flat: DictConfig, base: DictConfig, methods: Path, root: str | None = None) -> DictConfig:
    """Turn a flat config into a native one.

    Args:
        flat: What the flat file holds.
        base: Native primary config of the entry point, as read from its file.
        methods: Folder of the methods' files (``configs/model_params``).
        root: Store that the command line names; by default the file's.

    Returns:
        A primary config for Hydra: the base with its method exchanged and the flat file's values laid over it.

    Raises:
        UserError: Where the method is unknown or a section is not a mapping.
    """
    values = _nested(OmegaConf.to_container(flat))
    body = OmegaConf.create({key: value for key, value in base.items_ex(resolve=False) if key != "defaults"})
    for section, value in values.items():
        if OmegaConf.is_dict(body._get_node(section)) and not isinstance(value, dict):
            raise UserError(f"{section}: {value!r} is not a section; write its keys indented below '{section}:'")
    defaults = OmegaConf.to_container(base.defaults)
    name = (values.get("model_params") or {}).get("name")
    if name is not None:
        chosen = {"model_params": _method_file(str(name), methods)}
        defaults = [chosen if isinstance(entry, dict) and "model_params" in entry else entry for entry in defaults]
    root = root or OmegaConf.select(flat, "dataset.root")
    if root is not None and is_another_store(Path(str(root))):
        print(f"{root} is another store than that of Åknes: dataset=store reads it (dataset=aknes if it is it)")
        defaults = [ANY_STORE if isinstance(entry, dict) and "dataset" in entry else entry for entry in defaults]
    return OmegaConf.merge({"defaults": [LAYOUT, *defaults]}, body, values)


def is_another_store(root: Path) -> bool:
    """Tell a store that is there from that of the published files, which ``seisml prepare aknes`` makes."""
    if not root.is_dir():
        return False
    options = read_prepared(root).get("options")
    return not (isinstance(options, dict) and options.get("command") == "aknes")


def _nested(value: Any) -> Any:
    """Write ``{"LR.encoder": 1}`` as ``{"LR": {"encoder": 1}}``, at any depth."""
    if not isinstance(value, dict):
        return value
    nested: dict[str, Any] = {}
    for key, inner in value.items():
        *parents, last = str(key).split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        inner = _nested(inner)
        if isinstance(inner, dict) and isinstance(level.get(last), dict):
            level[last].update(inner)
        else:
            level[last] = inner
    return nested


def _method_file(name: str, methods: Path) -> str:
    """Find the file of a method by its name, whatever its case and underscores."""
    stems = {path.stem.replace("_", ""): path.stem for path in methods.glob("*.yaml")}
    key = name.lower().replace("_", "").replace("-", "")
    if key not in stems:
        raise UserError(f"model_params.name: there is no method {name!r}; {nearest(name, stems.values())}")
    return stems[key]
