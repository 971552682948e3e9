"""The page: parts in their order, and HTML that runs no script but its own and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seisml import __version__
from seisml.report.parts import Chart, Part
from seisml.report.vega import CONFIG

GENERATOR = "seisml report"  # by which a page is known that may be written anew
LIBRARY = "window.vegaEmbed = vegaEmbed;"  # what the page takes of Vega


@dataclass
class Page:
    """What the page says.

    Attributes:
        title: Its title.
        subtitle: A line below it.
        parts: In order.
        problems: What could not be shown, a line each.
    """

    title: str
    subtitle: str
    parts: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def render(page: Page) -> str:
    """Write the page as HTML.

    Whatever came with data is escaped: by Jinja2 as text and attributes, and as JSON within scripts. The page's policy
    allows the scripts and the style sheet written here, by their hashes, and pictures within the page; nothing else.
    """
    specs: list[dict[str, Any]] = []

    def collect(chart: Chart) -> int:
        specs.append(chart.spec)
        return len(specs) - 1

    environment = Environment(
        loader=PackageLoader("seisml.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    style = _asset("report.css")
    body = environment.get_template("body.html.j2").render(page=page, collect=collect, version=__version__,
                                                           now=datetime.now(UTC))  # fmt: skip
    scripts = [*([_library()] if specs else []), _asset("report.js")]
    return environment.get_template("page.html.j2").render(
        page=page,
        body=Markup(body),  # noqa: S704 (rendered above, escaped)
        style=Markup(style),  # noqa: S704 (ours)
        scripts=[Markup(script) for script in scripts],  # noqa: S704 (ours and the library's)
        policy=policy(scripts, style),
        charts={"config": CONFIG, "specs": specs} if specs else None,
        generator=f"{GENERATOR} {__version__}",
    )


def policy(scripts: Sequence[str], style: str) -> str:
    """Content security policy: these scripts, this style sheet, pictures within the page, no request to anywhere."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (resources.files("seisml.report") / "templates" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _library() -> str:
    """Vega, Vega-Lite and what embeds them, in one script."""
    import vl_convert  # takes a second, and pages without charts do without it

    script = vl_convert.javascript_bundle(LIBRARY)
    if "</script" in script.lower() or "<!--" in script:
        script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return script
