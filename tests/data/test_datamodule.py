from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.data.dataset import StoreDataset
from seisml.data.sampling import EpochSampler, Key
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import detrend
from tests.stores import write_store


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "store", unlabelled=8)


def module(root, **kwargs):
    data = StoreDataModule(str(root), **{"batch_size": 8, **kwargs})
    data.setup()
    return data


def test_facts_come_from_the_store(root):
    facts = module(root).facts
    assert (facts.classes, facts.sampling_rate, facts.n_samples) == (("a", "b"), 100.0, 1000)
    assert type(facts).from_dict(facts.to_dict()) == facts


def test_class_weights_are_balanced_over_all_labelled_records(tmp_path):
    data = module(write_store(tmp_path / "store", n_events=9, classes="aab"), batch_size=2)
    assert data.facts.class_weights == pytest.approx((9 / (2 * 6), 9 / (2 * 3)))
    data = module(tmp_path / "store", batch_size=2, zero_weight_classes=["b", "not in this store"])
    assert data.facts.class_weights == (1.0, 0.0)  # b is left out of n and k


def test_pretraining_draws_two_traces_and_uses_unlabelled_events(root):
    data = module(root, is_ssl=True)
    batches = list(data.train_dataloader())
    assert all(batch["waveform"].shape == (8, 2, 1000) for batch in batches)
    assert len(data.split.train) == 32 + 8
    assert (torch.cat([batch["label"] for batch in batches]) == -1).any()
    assert not set(data.split.test) & set(data.split.train)


def test_the_first_samples_are_those_of_all_processes_however_far_a_run_is(root, monkeypatch):
    data = module(root, is_ssl=True)
    expected = list(data.train_dataloader())[:3]
    monkeypatch.setattr("seisml.data.datamodule.this_process", lambda: (1, 2))
    data.done = (1, 3)
    for batch, other in zip(expected, data.first_samples(20), strict=True):
        n = len(other["index"])
        assert all(torch.equal(values[:n], other[name]) for name, values in batch.items())
    assert n == 4 and len(next(iter(data.train_dataloader()))["index"]) == 4  # this process's half


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [({}, [12, 12, 8]), ({"drop_last": True}, [12, 12]), ({"drop_last": True, "batch_size": 40}, [32]),
     ({"is_ssl": True}, [12, 12, 12]), ({"is_ssl": True, "drop_last": False}, [12, 12, 12, 4])],
)  # fmt: skip
def test_the_last_incomplete_batch(root, settings, sizes):
    loader = module(root, **{"batch_size": 12, **settings}).train_dataloader()
    assert [len(batch["index"]) for batch in loader] == sizes


def test_published_numbers_of_steps(tmp_path):
    """1,818 labelled events at 80, 10 and 5 %: 22, 2 and 1 batches of 64 an epoch, 2,200, 200 and 100 in all."""
    with StoreWriter(tmp_path / "store", {}, None) as writer:
        for number in range(1818):
            row = {"trace_category": "ab"[number % 2], "source_id": str(number), "trace_sampling_rate_hz": 100.0}
            writer.add(np.ones((1, 2), np.float32), row)
    for ratio, steps, kept in ((0.8, 22, 23), (0.1, 2, 3), (0.05, 1, 2)):
        data = module(tmp_path / "store", train_data_ratio=ratio, batch_size=64, drop_last=True)
        assert len(data.train_dataloader()) == steps
        assert len(module(tmp_path / "store", train_data_ratio=ratio, batch_size=64).train_dataloader()) == kept


def test_supervised_batches(root):
    data = module(root)
    batch = next(iter(data.train_dataloader()))
    assert batch["waveform"].shape == (8, 1, 1000) and "trace_mask" not in batch
    batch = next(iter(data.test_dataloader()))
    assert batch["waveform"].shape == (8, 3, 1000) and batch["trace_mask"].all()
    whole, _ = Store(root).read_records(batch["index"].numpy())
    np.testing.assert_array_equal(batch["waveform"].numpy(), whole)


def test_what_is_drawn_depends_on_epoch_and_row_alone(root):
    data = module(root, is_ssl=True)
    dataset = data.train_dataloader().dataset
    together = dataset.__getitems__([Key(3, 5), Key(3, 7), Key(3, 2)])
    alone = dataset[Key(3, 7)]
    assert torch.equal(together["waveform"][1], alone["waveform"][0])
    draws = {tuple(dataset[Key(epoch, 7)]["trace"][0].tolist()) for epoch in range(60)}
    assert draws == {(i, j) for i in range(3) for j in range(3)}  # with replacement, every pair


def test_workers_do_not_change_batches(root):
    one, two = module(root, is_ssl=True), module(root, is_ssl=True, num_workers=2)
    for left, right in zip(one.train_dataloader(), two.train_dataloader(), strict=True):
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_order_is_new_each_epoch_and_shared_out_among_processes():
    rows = np.arange(100, 120)
    windows = Windows.at(rows)
    sampler = EpochSampler(windows, seed=1, shuffle=True)
    first = list(sampler)
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert [key.record for key in sampler] != [key.record for key in first] and {key.epoch for key in sampler} == {1}
    shares = [list(EpochSampler(windows, 1, True, rank, 3)) for rank in range(3)]
    assert sorted(sum(shares, [])) == sorted(first)
    assert [len(EpochSampler(windows, 1, True, rank, 3)) for rank in range(3)] == [len(share) for share in shares]


def test_three_channels_are_drawn_as_one_geophone(tmp_path):
    store = Store(write_store(tmp_path / "store", n_events=4, n_traces=6))
    dataset = StoreDataset(store, np.zeros(4, np.int64), 1000, seed=0, n_draws=2, in_channels=3)
    traces = dataset.__getitems__([Key(epoch, epoch % 4) for epoch in range(50)])["trace"]
    assert set(map(tuple, traces.reshape(-1, 3).tolist())) == {(0, 1, 2), (3, 4, 5)}


def test_bad_stores_get_one_line(root, tmp_path):
    with pytest.raises(UserError, match="no store at .*nowhere.*seisml prepare"):
        module(tmp_path / "nowhere")
    with pytest.raises(UserError, match="batch_size is 99 but there are only 40"):
        module(root, is_ssl=True, batch_size=99).train_dataloader()
    with pytest.raises(UserError, match="has 3 trace.*in_channels=4"):
        module(root, in_channels=4)
    with pytest.raises(UserError, match="dataset.classes lacks b"):
        module(root, classes=["a", "c"])
    with pytest.raises(UserError, match="no column 'kind'.*label_column"):
        module(root, label_column="kind")


def test_a_sample_that_is_not_a_number_is_named(tmp_path):
    root = write_store(tmp_path / "store", n_events=10)
    with h5py.File(root / "waveforms.hdf5", "r+") as file:
        file["data/bucket0"][4, 1, 7] = np.nan
    dataset = module(root).test_dataloader().dataset
    with pytest.raises(UserError, match=r"bucket0\$4.*row 4.*not numbers"):
        StoreDataset(dataset.store, dataset.labels, 1000, 0, None)[Key(0, 4)]


def test_mixed_rates_and_lengths_are_refused(tmp_path):
    root = write_store(tmp_path / "store", n_events=10)
    table = (root / "metadata.csv").read_text()
    (root / "metadata.csv").write_text(table.replace("100.0", "200.0", 1))
    with pytest.raises(UserError, match="mixes sampling rates.*--sampling-rate"):
        module(root)


def write_prepared(root, options):
    with StoreWriter(root, options, None) as writer:
        for event in range(10):
            writer.add(
                np.ones((3, 100), np.float32),
                {"trace_category": "ab"[event % 2], "source_id": str(event), "trace_sampling_rate_hz": 100.0},
            )
    return root


def test_preprocessing_is_what_prepare_did(root, tmp_path):
    unknown = module(root).preprocessing
    assert not unknown.known and unknown == Preprocessing(unit="counts", known=False)
    done = Preprocessing(components="ZNE", bandpass=(2.0, 20.0), detrend="linear", gaps="zero", unit="m/s")
    store = write_prepared(tmp_path / "now", {"command": "folder", "preprocessing": done.to_dict()})
    assert module(store, batch_size=2).preprocessing == done


def test_preprocessing_of_stores_of_earlier_versions(tmp_path):
    done = {"components": "ZNE", "bandpass": [2.0, 20.0], "detrend": "constant"}
    for number, options in enumerate((done, {"reading": done, "windows": 3})):
        store = write_prepared(tmp_path / str(number), options)
        expected = Preprocessing(components="ZNE", bandpass=(2.0, 20.0), detrend="constant")
        assert module(store, batch_size=2).preprocessing == expected


@pytest.mark.parametrize("said", [{"detrend": "cubic"}, {"bandpass": [1e-9, 1], "sampling_rate": 100.0}, [], {"a": 1}])
def test_a_store_with_a_senseless_preprocessing_is_refused(tmp_path, said):
    store = write_prepared(tmp_path / "store", {"preprocessing": said})
    with pytest.raises(UserError, match=r"prepare.json.*preprocessing") as caught:
        module(store, batch_size=2)
    assert "\n" not in str(caught.value)


def test_the_trend_goes_from_windows_that_are_parts_of_their_records(tmp_path, monkeypatch):
    time = np.linspace(-1, 1, 100)
    x = np.stack([time, time**2, np.cos(5 * time)]).astype(np.float32)  # each stored without its mean
    options = {"preprocessing": Preprocessing(detrend="linear").to_dict()}
    with StoreWriter(tmp_path / "store", options, None) as writer:
        for event in range(10):
            row = {"trace_category": "ab"[event % 2], "source_id": str(event), "trace_sampling_rate_hz": 100.0}
            writer.add(x, row)
    whole = module(tmp_path / "store", batch_size=2).dataset(None)[(0, 4, 0)]["waveform"][0]
    assert np.array_equal(whole, x)
    part = module(tmp_path / "store", batch_size=2, n_samples=40).dataset(None)
    for start in (0, 30):
        np.testing.assert_allclose(
            part[(0, 4, start)]["waveform"][0], detrend(x[:, start : start + 40], "linear"), atol=1e-6
        )
    last = part[(0, 4, 80)]["waveform"][0]  # 20 samples, and zeros
    np.testing.assert_allclose(last[:, :20], detrend(x[:, 80:], "linear"), atol=1e-6)
    assert not last[:, 20:].any()
    monkeypatch.setattr("seisml.data.dataset.SAMPLES_IN_CACHE", 300)  # two windows of three traces at a time
    keys = [(0, row, start) for row, start in ((4, 0), (1, 30), (5, 7), (2, 80), (4, 1))]
    together = part.__getitems__([Key(*key) for key in keys])["waveform"]
    assert all(torch.equal(x, part[key]["waveform"][0]) for x, key in zip(together, keys, strict=True))


def test_seisbench_stores_open(shared_data):
    data = module(shared_data / "seisbench_dummy", is_ssl=True, label_column="split", batch_size=16)
    assert data.facts.sampling_rate == 20.0 and next(iter(data.train_dataloader()))["waveform"].shape == (16, 2, 1200)


def test_recorded_noise_travels_beside_each_view(tmp_path):
    root = write_store(tmp_path / "store", n_events=40, n_traces=6, classes=["Noise", "a"])
    for kwargs, shape in (
        ({"is_ssl": True}, (8, 2, 1000)), ({"is_ssl": True, "in_channels": 3}, (8, 6, 1000)), ({}, (8, 1, 1000)),
        ({"return_single_spectrogram_train": False, "in_channels": 3}, (8, 6, 1000)),
    ):  # fmt: skip
        one, two = (module(root, recorded_noise="Noise", num_workers=n, **kwargs) for n in (0, 2))
        noise = one.split.train[one.labels[one.split.train] == 0]
        recorded, _ = one.ready_store.read_records(noise)
        for left, right in zip(one.train_dataloader(), two.train_dataloader(), strict=True):
            assert left["noise"].shape == shape and torch.equal(left["noise"], right["noise"])
            traces = left["noise"].flatten(0, 1).numpy()
            assert all((recorded == trace).all(-1).any() for trace in traces)  # of noise records of the training part
        assert "noise" not in next(iter(one.test_dataloader()))
        c = kwargs.get("in_channels", 1)
        units = left["noise"].reshape(-1, c, 1000).numpy()
        assert all((recorded.reshape(len(noise), -1, c, 1000) == unit).all((-1, -2)).any() for unit in units)
    with pytest.raises(UserError, match="recorded_noise.*no window of class 'noise'.*'Noise'"):
        module(root, recorded_noise="noise").train_dataloader()
