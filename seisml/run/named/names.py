"""Encoders that go by a name: ``load_encoder.ckpt_fname=small_100hz`` is ``checkpoints/small_100hz.safetensors``."""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".safetensors"
FOLDERS = (Path("checkpoints"), Path(__file__).resolve().parents[3] / "checkpoints")  # here, and beside the project


def encoder_path(given: str) -> Path:
    """What a setting means: a file or folder that is there, else the encoder of that name, else what was given."""
    path = Path(given)
    if path.exists() or path.name != given:
        return path
    return next((file for folder in FOLDERS if (file := folder / f"{given}{SUFFIX}").is_file()), path)


def known_names() -> list[str]:
    """Names of the encoders at hand."""
    return sorted({file.stem for folder in FOLDERS if folder.is_dir() for file in folder.glob(f"*{SUFFIX}")})
