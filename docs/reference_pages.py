"""MkDocs hook: a page of the API reference for each room of the package, made when the site is built.

Docstrings are read by griffe, which parses the files; nothing of seisml is imported.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PACKAGE = Path(__file__).resolve().parents[1] / "seisml"
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")  # Sphinx's, before a name in docstrings


def rooms() -> dict[str, list[str]]:
    """Dotted names of the package's folders, each with those of its modules, folders within it among them."""
    found: dict[str, list[str]] = {}
    for folder in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        paths = sorted(path.relative_to(PACKAGE.parent).with_suffix("") for path in folder.rglob("*.py"))
        found[f"seisml.{folder.name}"] = [".".join(path.parts) for path in paths if path.name != "__init__"]
    return found


def on_config(config: Any) -> Any:
    """Append the reference to the navigation: the top of the package, then its rooms."""
    pages = [{name.removeprefix("seisml."): f"reference/{name}.md"} for name in rooms()]
    config.nav.append({"API reference": [{"seisml": "reference/seisml.md"}, *pages]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for name, modules in {"seisml": ["seisml", "seisml.errors", "seisml.files"], **rooms()}.items():
        parts = [f"# {name}", *(f"::: {module}" for module in modules)]
        files.append(File.generated(config, f"reference/{name}.md", content="\n\n".join(parts) + "\n"))
    return files


def on_page_content(html: str, page: Page, config: Any, files: Files) -> str:
    """Take the roles away that stand before names in docstrings."""
    return ROLE.sub("", html) if page.file.src_uri.startswith("reference/") else html
