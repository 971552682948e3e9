"""MkDocs hook: a page of the API reference for each room of the package, made when the site is built.

Docstrings are read by griffe, which parses the files; nothing of seisml is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).resolve().parents[1] / "seisml"


def rooms() -> list[str]:
    """Dotted names of the package's folders, sorted; folders within rooms belong to these."""
    return sorted(f"seisml.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py"))


def on_config(config: Any) -> Any:
    """Append the reference to the navigation."""
    pages = [{name: f"reference/{name}.md"} for name in rooms()]
    config.nav.append({"API reference": pages})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each room."""
    for name in rooms():
        text = f"# {name}\n\n::: {name}\n    options:\n      show_root_heading: false\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files
