"""Second views from other records of an event: the samples encode the time at which they were taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from obspy import UTCDateTime

from seisml.data.datamodule import StoreDataModule
from seisml.data.pairs import Partners
from seisml.data.slices import search_slices
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.store.writer import StoreWriter

RATE, BEGIN = 100.0, UTCDateTime(2013, 1, 1)


def write_network(
    folder: Path,
    records: list[tuple[str, float, int]],
    n_traces: int = 2,
    dead: tuple = (),
    known: tuple[dict[str, object], ...] = (),
) -> Path:
    """Records (event, start in s, samples) whose samples count from ``BEGIN`` on, the traces 0.25 apart.

    Those numbered in ``dead`` hold zeros alone. An empty event is none, a start that is not a number no time. ``known``
    are further columns of each record.
    """
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number, (event, start, n_samples) in enumerate(records):
            first = 0 if np.isnan(start) else round(start * RATE)
            waveform = (first + np.arange(n_samples) + 0.25 * np.arange(n_traces)[:, None]).astype(np.float32)
            writer.add(
                np.zeros_like(waveform) if number in dead else waveform,
                {
                    "source_id": event or None,
                    "station_code": f"S{number}",
                    "trace_sampling_rate_hz": RATE,
                    "trace_start_time": None if np.isnan(start) else str(BEGIN + start),
                    **(known[number] if known else {}),
                },
            )
    return folder


def module(root: Path, **kwargs) -> StoreDataModule:
    settings = {"is_ssl": True, "batch_size": 4, "window_length": 1.0, "random_starts": True, "views_from": "event"}
    data = StoreDataModule(str(root), **{**settings, "drop_last": False, **kwargs})
    data.setup()
    return data


def epoch(data: StoreDataModule, number: int = 0) -> dict[str, torch.Tensor]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    batches = list(loader)
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def covering(partners: Partners, row: int, start: int, n_samples: int = 100) -> tuple[np.ndarray, np.ndarray]:
    return partners.covering(np.array([row]), np.array([start]), np.array([n_samples]))[1:]


NETWORK = [
    (f"event{event}", 100.0 * event + lead, 1000 + 100 * station)
    for event in range(6)
    for station, lead in enumerate((0.0, 1.31, -2.4))
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("pairs") / "store", NETWORK)


@pytest.mark.parametrize("in_channels", [1, 2])
def test_both_views_hold_the_same_times(root, in_channels):
    batch = epoch(module(root, in_channels=in_channels))
    first, second = batch["waveform"].floor().chunk(2, dim=1)
    assert first.shape[1:] == (in_channels, 100)
    assert (first[:, :1] == second).all()
    assert (batch["view_index"][:, 0] == batch["index"]).all() and (batch["view_start"][:, 0] == batch["start"]).all()
    other = batch["view_index"][:, 1]
    assert (other // 3 == batch["index"] // 3).all()  # of one event
    assert (other != batch["index"]).float().mean() > 0.8
    assert other.unique().numel() == len(NETWORK)


def test_noise_is_paired_within_its_record(tmp_path):
    """Two stations have nothing in common before the P wave, nor in records of noise."""
    network = [(f"event{event}", 100.0 * event, 1000) for event in range(10) for _ in range(3)]
    names = ("Unlabeled", "noise", "event", "Noise", "event")
    arrivals = (500.0, None, None, None, None)
    known = tuple({"trace_category": names[n // 6], "trace_p_arrival_sample": arrivals[n // 6]} for n in range(30))
    root = write_network(tmp_path / "store", network, known=known)
    batches = [epoch(module(root, split_by="event"), number) for number in range(3)]
    record, start, other = (
        torch.cat([batch[name][:, column] for batch in batches])
        for name, column in (("view_index", 0), ("view_start", 0), ("view_index", 1))
    )
    kind, apart = record // 6, other != record
    before = (kind == 0) & (start + 100 <= 500)
    noise = (kind == 1) | (kind == 3)
    assert before.any() and noise.any() and not apart[before | noise].any()
    assert apart[~before & ~noise].all()


def test_every_record_that_covers_a_window_is_drawn(root):
    partners = Partners(Store(root), np.arange(len(NETWORK)), RATE)
    rows, starts = covering(partners, 3, 500)  # 5 s after the start of the event's first record
    assert sorted(zip(rows.tolist(), starts.tolist(), strict=True)) == [(4, 369), (5, 740)]
    assert covering(partners, 3, 100)[0].tolist() == [5]  # before the second one begins
    assert covering(partners, 5, 0)[0].tolist() == []
    assert len(covering(partners, 3, 500, 5000)[0]) == 0


def test_a_window_that_no_other_record_covers_has_both_views(tmp_path):
    network = [("a", 0.0, 400), ("a", 3.0, 400), ("b", 0.0, 400)]
    batch = epoch(module(write_network(tmp_path / "store", network), random_starts=False))
    same = batch["view_index"][:, 0] == batch["view_index"][:, 1]
    shared = {(0, 300), (1, 0)}
    keys = list(zip(batch["index"].tolist(), batch["start"].tolist(), strict=True))
    assert [key in shared for key in keys] == (~same).tolist() and shared <= set(keys)
    assert (batch["view_start"][same][:, 0] == batch["view_start"][same][:, 1]).all()


def test_records_of_an_event_at_other_times_are_no_pair(tmp_path):
    network = [("a", 0.0, 300), ("a", 3.0, 300), ("b", 100.0, 300), ("b", 103.0, 300)]
    root = write_network(tmp_path / "store", network)
    with pytest.raises(UserError, match=r"views_from=event.*share 1 s.*views_from=record") as error:
        module(root).train_dataloader()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("channels", "is_taken"), [("N.A..HHZ;N.B..HHZ", True), ("N.A..HHZ;N.A..HHN", False)])
def test_stations_of_one_record_are_a_pair_by_themselves(tmp_path, channels, is_taken):
    network = [(f"event{event}", 100.0 * event, 300) for event in range(4)]
    known = tuple({"trace_channels": channels} for _ in network)
    data = module(write_network(tmp_path / "store", network, known=known))
    if is_taken:
        batch = epoch(data)
        assert (batch["view_index"][:, 0] == batch["view_index"][:, 1]).all() and len(batch["trace"].unique()) == 2
    else:
        with pytest.raises(UserError, match="views_from=event"):
            data.train_dataloader()


def test_neither_events_nor_times_are_made_up(tmp_path):
    network = [("", 0.0, 300), ("", 0.0, 300), ("a", np.nan, 300), ("a", np.nan, 300), ("b", 0.0, 300), ("b", 0.0, 300)]
    batch = epoch(module(write_network(tmp_path / "store", network)))
    paired = batch["view_index"][:, 0] != batch["view_index"][:, 1]
    assert set(batch["index"][paired].tolist()) == {4, 5} and len(batch["index"].unique()) == 6


def test_records_outside_the_training_part_are_no_partners(root):
    partners = Partners(Store(root), np.array([0, 1, 3]), RATE)
    assert covering(partners, 0, 500)[0].tolist() == [1]
    assert len(covering(partners, 3, 500)[0]) == 0


def test_an_event_of_very_many_records_is_searched_by_time(tmp_path):
    store = Store(write_network(tmp_path / "store", [("a", 2.0 * number, 300) for number in range(200)], n_traces=1))
    partners = Partners(store, np.arange(200), RATE)
    assert covering(partners, 100, 200)[0].tolist() == [101]
    assert covering(partners, 100, 0)[0].tolist() == [99]


def test_pairs_depend_on_the_key_alone(root):
    data = module(root)
    once = epoch(data)
    for other in (module(root, num_workers=2), module(root, batch_size=3)):
        again = epoch(other)
        assert all((once[name] == again[name]).all() for name in once)
    assert (epoch(data, 1)["view_index"] != once["view_index"]).any()


def test_jitter_moves_the_second_view_within_its_record(root):
    for views_from in ("record", "event"):
        batch = epoch(module(root, views_from=views_from, view_jitter=0.5))
        shift = (batch["waveform"][:, 1] - batch["waveform"][:, 0])[:, 0]
        assert shift.abs().max() < 51 and (shift.abs() > 10).any() and (shift < 0).any() and (shift > 0).any()
        length = torch.tensor([n for _, _, n in NETWORK])[batch["view_index"]]
        assert (batch["view_start"] >= 0).all() and (batch["view_start"] + 100 <= length).all()
    with pytest.raises(UserError, match=r"view_jitter: -1 s is below 0"):
        module(root, view_jitter=-1.0).train_dataloader()


def test_a_share_of_the_samples_has_both_views_in_one_record(root):
    index = epoch(module(root, pair_share=0.4))["view_index"]
    other = (index[:, 0] != index[:, 1]).float().mean()
    assert 0.25 < other < 0.45
    always = epoch(module(root))["view_index"]
    moved = index[:, 0] != index[:, 1]
    assert (index[moved] == always[moved]).all()
    assert (epoch(module(root, pair_share=0.0))["view_index"].diff(dim=1) == 0).all()


def test_slices_are_searched_like_one_by_one():
    generator = np.random.default_rng(0)
    values = np.concatenate([np.sort(generator.integers(0, 20, n)) for n in (5, 0, 1, 30)])
    low, high = np.array([0, 5, 5, 6, 6, 8]), np.array([5, 5, 6, 36, 36, 36])
    for _ in range(20):
        wanted = generator.integers(-1, 21, 6)
        expected = [a + np.searchsorted(values[a:b], w) for a, b, w in zip(low, high, wanted, strict=True)]
        assert search_slices(values, low, high, wanted).tolist() == expected
    assert search_slices(values[:0], np.zeros(2, int), np.zeros(2, int), np.zeros(2)).tolist() == [0, 0]


def test_a_dead_partner_gives_way_to_the_record_itself(tmp_path):
    network = [("a", 0.0, 300), ("a", 0.0, 300), ("b", 0.0, 300)]
    batch = epoch(module(write_network(tmp_path / "store", network, dead=(1,))))
    assert set(batch["index"].tolist()) == {0, 2}
    assert (batch["view_index"][:, 1] == batch["index"]).all() and (batch["view_start"][:, 1] == batch["start"]).all()
    assert (batch["waveform"].diff(dim=-1) == 1).all()


def test_only_what_is_drawn_is_read(root, monkeypatch):
    data = module(root)
    dataset, sizes = data.train_dataloader().dataset, []
    read_traces = dataset.store.read_traces

    def measured(*args):
        found = read_traces(*args)
        sizes.append(found.size)
        return found

    monkeypatch.setattr(dataset.store, "read_traces", measured)
    _ = dataset.__getitems__(list(data.train_sampler())[:4])
    assert sizes == [4 * 2 * 100]
