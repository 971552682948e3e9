"""The documentation as a site: it builds strictly, and asks nothing of another server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.docs.pages import REPO, all_pages

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
HARMLESS = {"canonical", "next", "prev", "alternate"}  # kinds of links that a browser does not fetch
ORDER = [  # of the navigation, as the issue asks for it
    "index.md", "own_data.md", "data_format.md", "systems.md", "evaluation.md", "continuous.md", "extending.md",
    "architecture.md",
]  # fmt: skip


class Page(HTMLParser):
    """What a page fetches, where it links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        address = values.get(FETCHED.get(tag, ""))
        if address and not (tag == "link" and set((values.get("rel") or "").split()) & HARMLESS):
            self.fetched.append(address)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=REPO, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        outside = [address for address in page.fetched if urlsplit(address).netloc]
        assert not outside, f"{path.name} fetches {outside}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import\s+)['\"]?(?:https?:)?//", text), path.name


@pytest.mark.long
def test_every_page_room_and_link_is_there(site: Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    names = {path.relative_to(site).as_posix() for path in pages}
    assert {page.removeprefix("docs/").replace(".md", ".html") for page in all_pages()[1:]} <= names
    rooms = {path.parent.name for path in (REPO / "seisml").glob("*/__init__.py")}
    assert {f"reference/seisml.{room}.html" for room in rooms} <= names
    for path, page in pages.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or target.netloc or path.name == "404.html":
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            assert file.exists(), f"{path.name} links to {link}"
            assert not target.fragment or unquote(target.fragment) in pages[file].anchors, f"{path.name}: {link}"
    text = (site / "reference" / "seisml.losses.html").read_text(encoding="utf-8")
    assert "seisml.losses.vibcreg" in text and "Lee" in text  # docstrings of modules and functions


def test_navigation_has_every_page_in_order() -> None:
    settings = yaml.safe_load((REPO / "mkdocs.yml").read_text(encoding="utf-8"))
    found = re.findall(r"[\w/]+\.md", yaml.safe_dump(settings["nav"], sort_keys=False))
    assert sorted(f"docs/{name}" for name in found) == all_pages()[1:]
    assert [name for name in found if name in ORDER] == ORDER


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (REPO / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert urlsplit(link).scheme or (REPO / link).exists(), link
    assert len(text.splitlines()) < 90, "the README is short; pages hold the rest"


def test_every_experiment_has_a_row() -> None:
    text = (REPO / "docs" / "experiments.md").read_text(encoding="utf-8")
    rows = "".join(line for line in text.splitlines() if line.startswith("| `"))
    for path in (REPO / "configs" / "experiment").glob("*.yaml"):
        assert f"`{path.stem}`" in rows, f"docs/experiments.md has no row for {path.stem}"
