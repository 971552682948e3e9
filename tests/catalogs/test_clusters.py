from __future__ import annotations

import numpy as np
import pytest

from seisml.catalogs.clusters import find_clusters
from seisml.errors import UserError


def test_groups_are_found_and_named_from_west_to_east():
    generator = np.random.default_rng(0)
    centres = np.array([[40.0, 11.0], [41.0, 10.0], [40.0, 12.5]])
    which = np.repeat([0, 1, 2], 20)
    places = centres[which] + 0.05 * generator.standard_normal((60, 2))
    found = find_clusters(places[:, 0], places[:, 1], 3)
    assert found.label.tolist() == [1] * 20 + [0] * 20 + [2] * 20
    np.testing.assert_allclose(found.longitude, [10.0, 11.0, 12.5], atol=0.05)
    np.testing.assert_allclose(found.latitude, [41.0, 40.0, 40.0], atol=0.05)
    assert found.names == ["cluster_1", "cluster_2", "cluster_3"]


def test_distances_are_in_kilometres():
    # at 80 degrees north 2 degrees of longitude are 39 km, less than 1 degree of latitude
    found = find_clusters([80, 80, 81, 81], [0, 2, 0, 2], 2)
    assert found.label[0] == found.label[1] != found.label[2] == found.label[3]


def test_date_line():
    found = find_clusters([-20, -20, -20, -20], [179.9, -179.9, 175.0, 175.2], 2)
    assert found.label.tolist() == [1, 1, 0, 0]
    assert abs(found.longitude[1]) == pytest.approx(180) and found.longitude[0] == pytest.approx(175.1)


def test_too_few_places():
    with pytest.raises(UserError, match="--clusters 3: there are 2 epicentres"):
        find_clusters([1, 1, 2], [1, 1, 2], 3)
