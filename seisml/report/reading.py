"""Files of a run's folder, read as what strangers may have put there: bounded, and never run, followed or believed."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from PIL import Image

from seisml.errors import UserError, shown
from seisml.files import original
from seisml.values.stored import check_plain

MOST_TEXT = 16 * 2**20  # bytes of a JSON or YAML file
MOST_TABLE = 512 * 2**20  # bytes of a CSV file
MOST_ROWS = 200_000  # rows of a CSV file
MOST_COLUMNS = 2_000
MOST_PICTURE = 32 * 2**20  # bytes of a PNG file
MOST_PIXELS = 40_000_000
WIDEST = 1_800  # pixels across: twice what the page shows
COLORS = 96  # of a picture in the page


@dataclass(frozen=True)
class Picture:
    """A picture for the page.

    Attributes:
        source: ``data:`` address.
        width: In pixels.
        height: In pixels.
        alt: What it shows, for those who do not see it.
    """

    source: str
    width: int
    height: int
    alt: str


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds a mapping.

    Raises:
        UserError: One line that says what is wrong.
    """
    try:
        values = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown(path)}: is not JSON ({str(error)[:80]})") from error
    return _mapping(values, path)


def read_settings(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; one with aliases, which no run writes, is refused.

    Raises:
        UserError: One line that says what is wrong.
    """
    text = _text(path)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.CSafeLoader)):
            raise UserError(f"{shown(path)}: has aliases (*), which a run's file has not")
        values = yaml.load(text, Loader=yaml.CSafeLoader)  # noqa: S506 (safe: the C version of SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{shown(path)}: is not YAML ({' '.join(str(error).split())[:80]})") from error
    return _mapping(values, path)


def read_list(path: Path) -> list[str]:
    """Read a YAML file that holds a list of texts, as Hydra's overrides.yaml.

    Raises:
        UserError: One line that says what is wrong.
    """
    try:
        values = yaml.load(_text(path), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{shown(path)}: is not YAML ({' '.join(str(error).split())[:80]})") from error
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{shown(path)}: is not a list of texts")
    return values


def read_table(path: Path, needed: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read the first rows of a CSV file, all cells as text.

    Args:
        path: The file.
        needed: Columns that it must have.

    Raises:
        UserError: One line that says what is wrong.
    """
    _check_size(path, MOST_TABLE)
    try:
        columns = pd.read_csv(path, nrows=0).columns
        if len(columns) > MOST_COLUMNS:
            raise UserError(f"{shown(path)}: has {len(columns)} columns, more than {MOST_COLUMNS}")
        table = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=MOST_ROWS)
    except (OSError, ValueError, OverflowError, MemoryError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{shown(path)}: is not a table ({' '.join(str(error).split())[:80]})") from error
    table.columns = [str(original(name)) for name in table.columns]
    if lacking := [name for name in needed if name not in table]:
        raise UserError(f"{shown(path)}: has no column {', '.join(lacking)}")
    return table.map(original)


def read_picture(path: Path, alt: str, colors: int = COLORS) -> Picture:
    """Read a PNG file and write it anew, in few colours and no wider than a page shows.

    Args:
        path: The file.
        alt: What it shows.
        colors: How many it may have.

    Raises:
        UserError: One line that says what is wrong.
    """
    _check_size(path, MOST_PICTURE)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"{shown(path)}: has {image.width} x {image.height} pixels, which is too many")
            return to_picture(image, alt, colors)
    except UserError:
        raise
    except Exception as error:  # Pillow raises many kinds, SyntaxError among them
        raise UserError(f"{shown(path)}: is not a PNG picture ({str(error)[:80]})") from error


def to_picture(image: Image.Image, alt: str, colors: int = COLORS, palette: Image.Image | None = None) -> Picture:
    """Bring an image into the page: on white, in few colours.

    Args:
        image: The image.
        alt: What it shows.
        colors: How many it may have.
        palette: They themselves; None chooses them.
    """
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    image = image.convert("RGB")
    if image.width > WIDEST:
        image = image.resize((WIDEST, max(1, round(image.height * WIDEST / image.width))), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.quantize(colors, palette=palette, dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
    text = base64.b64encode(data.getbuffer()).decode("ascii")
    return Picture(f"data:image/png;base64,{text}", image.width, image.height, alt)


def _check_size(path: Path, most: int) -> None:
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    if path.is_symlink() or not path.is_file():  # a link may lead to any file of whoever writes the page
        raise UserError(f"{shown(path)}: is not a file of its folder")
    if state.st_size > most:
        raise UserError(f"{shown(path)}: has {state.st_size / 2**20:.0f} MiB, more than {most // 2**20}")


def _text(path: Path) -> str:
    _check_size(path, MOST_TEXT)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(path)}: cannot be read ({str(error)[:80]})") from error


def _mapping(values: Any, path: Path) -> dict[str, Any]:
    check_plain(values, shown(path))
    if not isinstance(values, dict):
        raise UserError(f"{shown(path)}: holds no mapping")
    return {str(key): value for key, value in values.items()}
