"""Geographic clusters of epicentres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from seisml.errors import UserError

KM_PER_DEGREE = 111.195


@dataclass(frozen=True)
class Clusters:
    """Clusters of epicentres, from west to east.

    Attributes:
        label: Number of the cluster of each epicentre, from 0 on, (N,).
        latitude: Of the centres, (K,).
        longitude: Of the centres, (K,).
    """

    label: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray

    @property
    def names(self) -> list[str]:
        """Class names, ``cluster_1`` on."""
        return [f"cluster_{number + 1}" for number in range(len(self.latitude))]


def find_clusters(latitude: Sequence[float], longitude: Sequence[float], n_clusters: int, seed: int = 0) -> Clusters:
    """Divide epicentres into clusters by k-means on their places in km.

    Args:
        latitude: In degrees, (N,).
        longitude: In degrees, (N,); the date line may run through.
        n_clusters: Number of clusters K.
        seed: Seed of the first centres.

    Raises:
        UserError: Fewer different epicentres than clusters.
    """
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    n_places = len(np.unique(np.stack([latitude, longitude]), axis=1).T)
    if n_clusters < 1 or n_places < n_clusters:
        raise UserError(f"--clusters {n_clusters}: there are {n_places} epicentres to divide; lower it")
    west = (longitude - longitude[0] + 180) % 360 - 180  # degrees east of the first one
    scale = KM_PER_DEGREE * np.cos(np.radians(latitude.mean()))
    places = np.stack([west * scale, latitude * KM_PER_DEGREE], axis=1)
    found = KMeans(n_clusters, n_init=10, random_state=seed).fit(places)
    order = np.argsort(found.cluster_centers_[:, 0], kind="stable")
    centres = found.cluster_centers_[order]
    east = centres[:, 0] / scale + longitude[0]
    return Clusters(np.argsort(order)[found.labels_], centres[:, 1] / KM_PER_DEGREE, (east + 180) % 360 - 180)
