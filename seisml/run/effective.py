"""The configuration that really runs: an encoder brings its front end and its network, whatever the YAML says."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from seisml.run.messages import say_overruled
from seisml.run.settings import flat
from seisml.values.stored import check_plain

ENCODER_KEYS = ("backbone_type", "backbone_params", "in_channels")


def effective(cfg: DictConfig, pretrained: dict[str, Any] | None) -> DictConfig:
    """Put what a pretrained encoder brings in the configuration's place, and say what that overrules.

    Args:
        cfg: A composed configuration.
        pretrained: What :func:`seisml.run.build.read_pretrained` gave.

    Returns:
        A configuration whose ``front_end`` and ``model_params`` are the encoder's; sections that refer to them follow
        (``dataset.in_channels``). The same one without an encoder, or with one that says nothing of itself.
    """
    result, overruled = with_encoder(cfg, pretrained)
    if pretrained:
        say_overruled(overruled, pretrained["path"])
    return result


def with_encoder(cfg: DictConfig, pretrained: dict[str, Any] | None) -> tuple[DictConfig, list[str]]:
    """What :func:`effective` gives, and the settings that the encoder overrules: ``front_end.nperseg 64 (not 32)``."""
    record = pretrained["record"] if pretrained else {}
    check_plain({key: record.get(key) for key in ("front_end", *ENCODER_KEYS)}, "the encoder's settings", literal=True)
    result = cfg.copy()
    with open_dict(result):
        if "front_end" in record:
            result.front_end = dict(record["front_end"])
            if "floor" in result:  # from which front_end.floor took it
                result.floor = record["front_end"].get("floor", result.floor)
        for key in (key for key in ENCODER_KEYS if key in record):
            result.model_params[key] = record[key]
            result.get("exp_params", {}).pop(key, None)
        if "backbone_type" in record and "load_encoder" in result:
            result.load_encoder.backbone_type = record["backbone_type"]
    return result, _overruled(cfg, result) if pretrained else []


def _overruled(asked: DictConfig, runs: DictConfig) -> list[str]:
    """Name the settings of the network that were asked for and do not run."""
    sections = [name for name in ("front_end", "model_params", "exp_params") if name in asked]
    before, after = (
        {name: flat(OmegaConf.to_container(cfg[name], resolve=True)) for name in sections} for cfg in (asked, runs)
    )
    return [
        f"{name}.{key} {after[name].get(key, 'left out')} (not {value})"
        for name, settings in before.items()
        for key, value in settings.items()
        if value is not None and after[name].get(key) != value
    ]
