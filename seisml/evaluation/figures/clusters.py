"""A map of the geographic clusters of a data set."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from seisml.evaluation.figures.style import INK, add_legend, add_title, color, marker, new_figure, tidy
from seisml.values.class_names import NOISE


def cluster_map(metadata: pd.DataFrame, noise_class: str = NOISE) -> Figure:
    """Draw the epicentres of a store in the colours of their clusters, and the stations.

    Args:
        metadata: Columns trace_category, source_id, source_latitude_deg, source_longitude_deg and, where known,
            station_code, station_latitude_deg, station_longitude_deg.
        noise_class: Class that has no place.

    Returns:
        The figure; latitude and longitude are to scale.
    """
    events = metadata[metadata["trace_category"] != noise_class].drop_duplicates("source_id")
    figure = new_figure(6.4, 5.4)
    axes = figure.add_subplot()
    names = sorted(events["trace_category"].unique(), key=lambda name: (len(name), name))
    for number, name in enumerate(names):
        of_class = events[events["trace_category"] == name]
        axes.scatter(
            of_class["source_longitude_deg"], of_class["source_latitude_deg"], s=26,
            color=color(number), marker=marker(number),
            alpha=0.8, linewidths=0, label=f"{name.replace('_', ' ')} ({len(of_class)} events)",
        )  # fmt: skip
    if {"station_latitude_deg", "station_longitude_deg"} <= set(metadata):
        stations = metadata.dropna(subset=["station_latitude_deg"]).drop_duplicates("station_code")
        axes.plot(
            stations["station_longitude_deg"], stations["station_latitude_deg"], "^", color=INK, markersize=7,
            markerfacecolor="none", label=f"stations ({len(stations)})" if len(stations) > 1 else "station",
        )  # fmt: skip
    axes.set_aspect(1 / max(0.05, np.cos(np.radians(events["source_latitude_deg"].mean()))))
    axes.set_xlabel("Longitude (°)")
    axes.set_ylabel("Latitude (°)")
    axes.ticklabel_format(useOffset=False)
    tidy(axes)
    add_legend(axes, loc="best")
    add_title(figure, f"{len(events)} earthquakes in {len(names)} clusters")
    return figure
