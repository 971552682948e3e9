"""Tables of events and stations, as people write them."""

from __future__ import annotations

import pytest

from seisml.catalogs.distance import epicentral_distance
from seisml.catalogs.event_tables import read_events, read_station_table
from seisml.catalogs.stations import StationPlace
from seisml.errors import UserError


def test_columns_may_be_missing_or_empty(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text("lat, lon, origin_time\n-17.5, 66, 2012-04-11T08:38:36\n1,2,2012-04-12\n")
    first, second = read_events(events).events
    assert (first.latitude, first.longitude, first.magnitude, first.source_id) == (-17.5, 66.0, None, "20120411T083836")
    assert second.time.ns > first.time.ns
    events.write_text("time,latitude,longitude,mag,id\n2012-04-11,1,2,8.6,a\n2012-04-12,1,2,,\n")
    assert [(it.source_id, it.magnitude) for it in read_events(events).events] == [
        ("a", 8.6),
        ("20120412T000000", None),
    ]
    stations = tmp_path / "stations.csv"
    stations.write_text("sta,lat,lon\nABC,1,2\n")
    assert read_station_table(stations).find("XX", "ABC", "00") == StationPlace(1.0, 2.0, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2012-04-11,91,2,5", "line 2: latitude is '91'; give degrees, up to 90"),
        ("2012-04-11,1,east,5", "line 2: longitude is 'east'; give degrees, up to 360"),
        ("2012-04-11,1,2,large", "line 2: magnitude is 'large'; give a number, or nothing"),
        ("2012-04-11,1,2,inf", "line 2: magnitude is 'inf'"),
        ("yesterday,1,2,5", "line 2: 'yesterday' is not a time"),
    ],
)
def test_wrong_cells_are_named(tmp_path, row, said):
    events = tmp_path / "events.csv"
    events.write_text(f"time,latitude,longitude,magnitude\n{row}\n")
    with pytest.raises(UserError, match=said):
        read_events(events)


def test_epicentral_distance():
    equator, degree = StationPlace(0.0, 10.0, None), StationPlace(0.0, 11.0, None)
    assert epicentral_distance(equator, degree) == pytest.approx(111.3195, abs=1e-3)  # WGS84: 6378.137 km * pi / 180
    assert epicentral_distance(equator, None) is None
