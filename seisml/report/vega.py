"""Vega-Lite specifications: the colours are those of the page's style sheet, which knows dark and print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

N_COLORS = 8  # --series-0 and so on of the style sheet; the ninth curve has the first one's colour and another dash
COLORS = [f"var(--series-{number})" for number in range(N_COLORS)]
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
INK, FAINT = "var(--ink)", "var(--rule)"
PERCENT = "%"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name: nothing is fetched

CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",  # written out: the width of texts is measured before they are drawn
    "aria": False,  # the figure says what there is to see, and the table beside it says the numbers
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK, "titleColor": INK, "gridColor": FAINT, "domainColor": FAINT, "tickColor": FAINT,
        "labelFontSize": 12, "titleFontSize": 12.5, "titleFontWeight": "normal", "titlePadding": 8,
        "labelOverlap": True, "tickCount": 6,
    },
    "axisX": {"grid": False},
    "legend": {
        "labelColor": INK, "titleColor": INK, "labelFontSize": 12, "orient": "top", "direction": "horizontal",
        "title": None, "columns": 3, "symbolStrokeWidth": 2.5, "labelLimit": 260, "symbolType": "stroke",
    },
    "header": {"labelColor": INK, "titleColor": INK},
    "text": {"color": INK},
    "rule": {"color": INK},
}  # fmt: skip


def chart(layers: list[dict[str, Any]], values: list[dict[str, Any]], height: int = 260, **more: Any) -> dict[str, Any]:
    """A specification of layers over one table; the page's script sets the width."""
    return {
        "$schema": SCHEMA,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 480,
        "height": height,
        "data": {"values": values},
        "layer": layers,
        **more,
    }


def axis(field: str, title: str, **options: Any) -> dict[str, Any]:
    """A quantitative axis; ``scale``, ``axis`` and whatever else a channel has as options."""
    return {"field": field, "type": "quantitative", "title": title, **options}


def by_name(names: Sequence[str]) -> dict[str, Any]:
    """Colour and dash of curves that are told apart by name, and a legend that picks some of them out."""
    domain = list(names)
    colors = [COLORS[number % N_COLORS] for number in range(len(domain))]
    dashes = [DASHES[number // N_COLORS % len(DASHES)] for number in range(len(domain))]
    legend = {"columns": 2} if max(map(len, domain), default=0) > 18 else {}
    return {
        "color": {"field": "name", "type": "nominal", "scale": {"domain": domain, "range": colors}, "legend": legend},
        "strokeDash": {
            "field": "name", "type": "nominal", "scale": {"domain": domain, "range": dashes}, "legend": legend
        },
        "opacity": {"condition": {"param": "picked", "value": 1}, "value": 0.12},
    }  # fmt: skip


def picked() -> dict[str, Any]:
    """Curves that were clicked in the legend; all where none was."""
    return {"name": "picked", "select": {"type": "point", "fields": ["name"]}, "bind": "legend"}


def near(field: str) -> dict[str, Any]:
    """The points nearest to the pointer, along the horizontal axis."""
    select = {"type": "point", "on": "pointermove", "nearest": True, "clear": "pointerout", "encodings": [field]}
    return {"name": "near", "select": select}


def lines(
    values: list[dict[str, Any]],
    x: dict[str, Any],
    y: dict[str, Any],
    names: Sequence[str],
    step: str | None = None,
    under: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    """Curves of x and y, with a value under the pointer.

    Args:
        values: Rows of ``x``, ``y`` and ``name``.
        x: The horizontal axis.
        y: The vertical axis.
        names: Of the curves, in the legend's order.
        step: ``"step-after"`` for steps.
        under: Layers below the curves.
        more: Further options of :func:`chart`.
    """
    told = [{**x, "title": x["title"], "format": ".4~g"}, {**y, "title": y["title"], "format": ".4~g"}]
    tooltip = [{"field": "name", "type": "nominal", "title": "curve"}, *(plain(channel) for channel in told)]
    mark: dict[str, Any] = {"type": "line", "strokeWidth": 2, "clip": True}
    if step:
        mark["interpolate"] = step
    encoding = {"x": x, "y": y, **by_name(names)}
    shown = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    points = {**encoding, "opacity": shown, "tooltip": tooltip}
    points.pop("strokeDash")
    dots = {"mark": {"type": "point", "filled": True, "size": 60}, "params": [near("x")], "encoding": points}
    if len(values) <= 3 * len(names):  # too few for a line to be seen
        mark["point"] = {"size": 40}
    return chart([*under, {"mark": mark, "params": [picked()], "encoding": encoding}, dots], values, **more)


def plain(channel: Mapping[str, Any]) -> dict[str, Any]:
    """A channel as a tooltip takes it: without scale and axis."""
    return {key: value for key, value in channel.items() if key in ("field", "type", "title", "format")}
