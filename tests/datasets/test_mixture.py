"""Several stores in one run: what an epoch takes from each, and what they must agree on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from seisml.data.joined import JoinedStores
from seisml.datasets.mixture import MixtureDataModule
from seisml.errors import UserError
from seisml.store.identity import event_hashes, event_ids
from seisml.store.store import Store
from seisml.store.writer import StoreWriter


def write(
    folder: Path, name: str, n_events: int, n_traces: int = 2, n_samples: int = 400, rate: float = 100.0,
    label: str = "Unlabeled", **options: object,
) -> Path:  # fmt: skip
    """Events of two stations each; the samples count from the event's time on, after 1000 for each record's number."""
    with StoreWriter(folder, {"test": True, **options}, None) as writer:
        for number in range(2 * n_events):
            first = 50 * (number % 2)
            waveform = np.tile(1000.0 * number + first + np.arange(n_samples), (n_traces, 1)).astype(np.float32)
            row = {
                "source_id": f"{name}{number // 2}",
                "station_code": f"S{number % 2}",
                "trace_category": label if number // 2 % 2 else "Unlabeled",
                "trace_sampling_rate_hz": rate,
                "trace_start_time": f"2013-01-{1 + number // 2:02d}T00:00:0{first / 100}",
            }
            writer.add(waveform, row)
    return folder


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("mixture")
    return [str(write(folder / name, name, n, channels)) for name, n, channels in (("a", 12, 1), ("b", 3, 3))]


def module(stores: list[str], **kwargs) -> MixtureDataModule:
    settings = {"is_ssl": True, "batch_size": 6, "window_length": 1.0, "drop_last": False, "split_by": "event"}
    data = MixtureDataModule(stores, **{**settings, "split_procedure": "fixed_test", **kwargs})
    data.setup()
    return data


def keys(data: MixtureDataModule, epoch: int = 0) -> list:
    sampler = data.train_sampler()
    sampler.set_epoch(epoch)
    return list(sampler)


def test_joined_stores_read_like_one(roots):
    stores = [Store(root) for root in roots]
    joined, rows = JoinedStores(stores), np.array([25, 3, 24, 3])
    traces, starts = np.array([[2, 0], [0, 0], [1, 1], [0, 0]]), np.array([0, 10, 20, 390])
    found = joined.read_traces(rows, traces, starts, 50)
    for b, row in enumerate(rows):
        store, own = (stores[0], row) if row < 24 else (stores[1], row - 24)
        assert (found[b] == store.read_traces([own], traces[b : b + 1], starts[b], 50)[0]).all()
        whole, exists = joined.read_records(rows, 50, starts)
        assert exists[b].sum() == store.n_traces[own] and (whole[b, ~exists[b]] == 0).all()
        assert (whole[b, exists[b]] == store.read_records([own], 50, starts[b])[0][0]).all()
    assert len(joined) == 30 and joined.metadata["source_id"].iloc[24] == "b0"
    assert joined.read_traces(rows[1:], traces[1:], starts[1:]).shape == (3, 2, 390)
    with pytest.raises(IndexError, match=r"rows 0..29, asked for 3..30"):
        joined.read_traces([3, 30], [[0], [0]])


@pytest.mark.parametrize(("weights", "share"), [([1, 1], 0.5), ([3, 1], 0.75), (None, 0.536), ([1, 0.0001], 1.0)])
def test_an_epoch_takes_each_stores_share(roots, weights, share):
    data = module(roots, weights=weights)
    for epoch in range(2):
        drawn = keys(data, epoch)
        assert len(drawn) == len(data.train_sampler()) == 30 * 4
        assert sum(key.record < 24 for key in drawn) == pytest.approx(share * len(drawn), abs=1)
        assert len(set(drawn)) == len(drawn)  # what is met again has another epoch in its key
        first = Counter(key[1:] for key in drawn if key.record >= 24)
        assert max(first.values(), default=0) - min(first.values(), default=0) <= 1


def test_batches_mix_the_stores(roots):
    data = module(roots, weights=[1, 1], batch_size=20)
    shares = [(batch["index"] < 24).float().mean() for batch in data.train_dataloader()]
    assert len(shares) == 6 and 0.1 < min(shares) and max(shares) < 0.9


def test_a_store_with_a_small_share_gives_other_windows_in_every_epoch(roots):
    data = module(roots, weights=[1, 3])
    first, second = ({key[1:] for key in keys(data, epoch) if key.record < 24} for epoch in (0, 1))
    assert len(first) == len(second) == 30 and first != second


def test_ranks_share_out_an_epoch(roots):
    sampler = module(roots).train_sampler()
    whole = list(sampler)
    sampler.world_size, parts = 2, []
    for sampler.rank in range(2):
        parts.append(list(sampler))
    assert [len(part) for part in parts] == [60, 60] and parts[0] == whole[::2] and parts[1] == whole[1::2]


def test_pairs_lie_in_one_store_and_do_not_depend_on_workers(roots):
    epochs = []
    for num_workers in (0, 2):
        data = module(roots, views_from="event", num_workers=num_workers)
        batches = list(data.train_dataloader())
        epochs.append({name: torch.cat([batch[name] for batch in batches]) for name in batches[0]})
    assert all((epochs[0][name] == epochs[1][name]).all() for name in epochs[0])
    index = epochs[0]["view_index"]
    assert (index[:, 0] // 2 == index[:, 1] // 2).all() and (index[:, 0] != index[:, 1]).any()
    assert (epochs[0]["waveform"][:, 0] % 1000 == epochs[0]["waveform"][:, 1] % 1000).all()


def test_each_store_is_split_and_an_event_that_tests_in_one_trains_in_none(tmp_path):
    folders = [str(write(tmp_path / name, "event", 10, label="a")) for name in ("one", "two")]  # the same events
    data = module(folders, train_test_split_rand_seed=1)
    events = event_ids(data.ready_store.metadata)
    assert {row // 20 for row in data.split.test} == {0, 1}
    assert not set(events[data.split.train]) & set(events[data.split.test])
    seen = event_hashes(np.unique(events[data.split.train]))
    assert len(seen) < 10 and set(seen) <= set(event_hashes(f"event{number}" for number in range(10)))


def test_what_the_stores_must_agree_on(roots, tmp_path, capsys):
    other_rate = str(write(tmp_path / "rate", "c", 3, rate=50.0))
    other_trend = str(write(tmp_path / "trend", "d", 3, preprocessing={"detrend": "linear"}))
    other_gaps = str(write(tmp_path / "gaps", "e", 3, preprocessing={"gaps": "zero"}))
    for stores, message in (
        ([roots[0], other_rate], r"has a sampling rate of 100 Hz and .*rate has 50 Hz; .* with --sampling-rate 100$"),
        ([roots[0], other_trend], r"has --detrend none and .*trend has linear; .* with --detrend none$"),
        ([roots[0], "nowhere"], r"no store at nowhere; make it with `seisml prepare folder"),
    ):
        with pytest.raises(UserError, match=r"^dataset\.stores: .*" + message):
            module(stores)
    assert capsys.readouterr().out == ""
    data = module([roots[0], other_gaps])
    assert "different steps: gaps." in capsys.readouterr().out and not data.preprocessing.known
    with pytest.raises(UserError, match=r"record a?.*has 1 trace\(s\), fewer than in_channels=3"):
        module(roots, in_channels=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"stores": []}, "there is none"), ({"weights": [1]}, "1 weights for 2 stores"), ({"twice": True}, "named twice"),
     ({"root": "x"}, r"dataset\.root: a mixture has several")],
)  # fmt: skip
def test_settings_that_make_no_mixture(roots, settings, message):
    stores = [roots[0], roots[0]] if settings.pop("twice", False) else settings.pop("stores", roots)
    with pytest.raises(UserError, match=message):
        MixtureDataModule(stores, **settings)


def test_a_store_that_cannot_be_split_is_named(roots, tmp_path):
    labelled = str(write(tmp_path / "labelled", "c", 10, label="quake"))
    with pytest.raises(UserError, match=rf"^{roots[0]}: no labelled record to split"):
        module([labelled, roots[0]], is_ssl=False)
