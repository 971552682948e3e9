"""The parts of seisml prepare catalog: entries, sensors, stations, worker processes."""

from __future__ import annotations

import pytest
from obspy import UTCDateTime
from obspy.core.inventory import Inventory, Network, Station

from seisml.catalogs.events import CatalogEvent, Pick, merge_entries, unite_events
from seisml.catalogs.stations import read_stations
from seisml.waveforms.components import choose_sensor

START = UTCDateTime(2020, 1, 1, 12)


def test_entries_of_one_event_are_united():
    def entry(second: float, latitude: float, *picks: Pick) -> CatalogEvent:
        return CatalogEvent(f"e{second:g}", START + second, latitude=latitude, longitude=8.0, picks=picks)

    pick = Pick("P", "P", START + 5, "", "AAA")
    other = Pick("P", "P", START + 6, "", "BBB")
    entries = [entry(0, 46.0, other), entry(1.5, 46.1, pick, other), entry(3.0, 46.0), entry(3.1, 50.0)]
    entries.append(entry(60, 46.0))
    united = unite_events(entries, seconds=2.0, kilometres=50.0)
    assert [event.source_id for event in united] == ["e0", "e0", "e0", "e3.1", "e60"]
    merged = merge_entries(united[:3])
    assert merged.latitude == 46.1 and merged.picks == (pick, other)


def test_the_sensor_that_was_picked_on_is_taken():
    assert choose_sensor("123ZNE", "ZNE", {"2": 18, "3": 6}) == {"Z": "1", "N": "2", "E": "3"}
    assert choose_sensor("123ZNE", "ZNE", {}) == {"Z": "Z", "N": "N", "E": "E"}
    assert choose_sensor("21Z", "ZNE", {"Z": 5}) == {"Z": "Z", "N": "1", "E": "2"}
    assert choose_sensor("ZE", "ZNE", {}) == {"Z": "Z", "E": "E"}
    assert choose_sensor("HZ", "ZH", {}) == {"Z": "Z", "H": "H"}
    assert choose_sensor("RT", "ZNE", {}) == {}


def test_station_files(tmp_path):
    (tmp_path / "STATION0.HYP").write_text(
        "RESET TEST(02)=9.0\n\n  FRAN4322806S170 9624E 129\n WHAT24316758S17021623E  95\n .WV014316.85S17023.73E  88\n"
        "  BOB 4124.49N17452.27W 101\n- NZ014429880S165  119E4682\n\n  5.500     0.00\n"
    )
    table = read_stations(tmp_path / "STATION0.HYP")
    assert len(table) == 4 and table.find("AF", "WV01", "") is None
    place = table.find("AF", "FRAN", "10")
    assert (place.latitude, place.longitude, place.elevation) == pytest.approx((-43.3801, 170.1604, 129.0))
    bob, deep = table.find("", "BOB", ""), table.find("", "NZ01", "")
    assert (bob.latitude, bob.longitude) == pytest.approx((41.408167, -174.871167)) and deep.elevation == -4682.0

    station = Station("AAA", latitude=46.0, longitude=9.0, elevation=500.0)
    inventory = Inventory(networks=[Network("XX", stations=[station])], source="test")
    inventory.write(str(tmp_path / "stations.xml"), format="STATIONXML")
    assert read_stations(tmp_path / "stations.xml").find("XX", "AAA", "00").longitude == 9.0
