"""seisml prepare catalog on real S-files and miniSEED."""

from __future__ import annotations

from collections import Counter

import pytest

from seisml.cli import main
from seisml.store.store import Store


def test_nz_2013_completely(shared_data, tmp_path, capsys):
    root = shared_data / "nz_2013"
    arguments = [str(root), str(root / "REA"), "--stations", str(root / "STATION0.HYP"), "--out", str(tmp_path / "nz")]
    assert main(["prepare", "catalog", *arguments, "--workers", "1"]) == 0
    said = capsys.readouterr().out
    table = Store(tmp_path / "nz").metadata
    p, s = table.trace_p_arrival_sample, table.trace_s_arrival_sample
    assert (len(table), p.notna().sum(), (p.notna() & s.notna()).sum()) == (493, 196, 94)
    assert (table.trace_source_file.nunique(), table.source_id.nunique()) == (61, 53)
    files = table[table.trace_category == "earthquake"].groupby("source_id").trace_source_file.nunique()
    assert (files > 1).sum() == 8
    codes = ["source_id", "station_network_code", "station_code", "station_location_code"]
    assert not table[table.trace_category == "earthquake"].duplicated(codes).any()  # 50 were cut from two files each
    similar = table[table.trace_source_file.str.startswith("similar_events")]
    assert set(similar.trace_category) == {"Unlabeled"} and similar.source_id.nunique() == 14
    assert set(table.trace_component_order) == {"ZNE"}
    assert set(table.trace_channels[table.station_code == "FRAN"]) == {"AF.FRAN..SH1;AF.FRAN..SH2;AF.FRAN..SH3"}
    assert ((p / table.trace_sampling_rate_hz).dropna().between(40, 48)).all()
    assert (s - p).dropna().gt(0).all()
    assert table.path_ep_distance_km.notna().sum() == (table.trace_category == "earthquake").sum()
    assert "3 flat traces, kept: ZT.WZ02..ELE (1), ZT.WZ02..ELN (1), ZT.WZ02..ELZ (1)" in said
    assert "LICENCE.txt: not a waveform format" in said
    # the S-file's own distances (km, column 70-75)
    own = table[table.source_id == "20130920T084947.30"].set_index("station_code").path_ep_distance_km
    assert own[["GCSZ", "WZ04", "WHYM", "FRAN", "LABE"]].tolist() == pytest.approx([4, 9, 10, 13, 21], abs=1.01)


def test_nz_2013_windows(shared_data, tmp_path):
    root = shared_data / "nz_2013"
    arguments = [str(root / "WAV/TEST_/2013"), str(root / "REA/TEST_/2013"), "--out", str(tmp_path / "nz")]
    assert main(["prepare", "catalog", *arguments, "--windows", "--sampling-rate", "100", "--workers", "1"]) == 0
    table = Store(tmp_path / "nz").metadata
    counts = Counter(table.trace_category)
    assert counts["event"] == counts["noise"] == 25 and counts["Unlabeled"] == 4 * (37 - 25)
    assert table[table.trace_category == "event"].trace_p_arrival_sample.between(200, 1000).all()
    assert set(table.trace_npts) == {2000}
    kinds = table.groupby("source_id").trace_category.agg(set)
    assert all({"event", "noise"} <= kind for kind in kinds)
