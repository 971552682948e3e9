from __future__ import annotations

import resource
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from seisml.config.compose import compose
from seisml.data.balanced import BalancedDataModule
from seisml.data.datamodule import StoreDataModule
from seisml.data.dataset import StoreDataset
from seisml.data.sampling import EpochSampler, Key
from seisml.data.windows import Windows
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.train import train
from seisml.store.writer import StoreWriter
from tests.run.test_train import PRETRAIN, SMALL

HOUR = 360_000  # samples at 100 Hz


def write_long(folder, labels=("Unlabeled",), n_samples=HOUR, n_traces=2):
    """Long records in which every sample tells its place; records of class b hum at 20 Hz, others at 5 Hz."""
    generator = np.random.default_rng(0)
    time = np.arange(n_samples) / 100.0
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number, label in enumerate(labels):
            tone = 3 * np.sin(2 * np.pi * (20 if label == "b" else 5) * time)
            waveform = tone + generator.standard_normal((n_traces, n_samples)) + np.arange(n_samples) * 1e-3
            row = {"trace_category": label, "source_id": f"day{number}", "trace_sampling_rate_hz": 100.0}
            writer.add(waveform, row)
    return folder


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    return write_long(tmp_path_factory.mktemp("windows") / "hour")


def module(root, kind=StoreDataModule, **kwargs):
    data = kind(str(root), **{"batch_size": 32, "window_length": 30.0, **kwargs})
    data.setup()
    return data


def test_windows_are_numbered_along_the_stretches():
    windows = Windows.within(np.array([4, 4, 7, 9]), np.array([0, 100, 5, 0]), np.array([25, 140, 14, 10]), 10, 5)
    rows, starts = windows.keys(np.arange(len(windows)))
    assert list(zip(rows, starts, strict=True)) == [
        *((4, start) for start in (0, 5, 10, 15)), *((4, start) for start in range(100, 131, 5)), (9, 0)
    ]  # fmt: skip
    assert windows.to_frame().to_numpy().tolist() == [[4, 0, 15, 4], [4, 100, 130, 7], [9, 0, 0, 1]]
    assert len(Windows.within([0], [0], [5], 10, 1)) == 0


def test_shifted_windows_cover_a_stretch_evenly_and_stay_in_it():
    windows = Windows.within(np.array([0, 1]), np.array([0, 50]), np.array([107, 80]), 10, 7)
    numbers = np.arange(len(windows)).repeat(2000)
    rows, starts = windows.shifted(numbers, np.random.default_rng(0).random(len(numbers)))
    for row, low, high in ((0, 0, 97), (1, 50, 70)):
        found = np.bincount(starts[rows == row], minlength=high + 1)
        assert found[:low].sum() == 0 and len(found) == high + 1
        assert found[low:].min() > 0.7 * found[low:].mean() and found[low:].max() < 1.3 * found[low:].mean()
    assert windows.shifted(np.array([len(windows) - 1]), np.array([1 - 1e-16]))[1] <= 70


def test_the_stretch_of_a_window_is_found_again():
    windows = Windows.within(np.array([7, 4, 4, 9]), np.array([5, 100, 0, 0]), np.array([30, 140, 25, 10]), 10, 5)
    low, high = windows.bounds(*windows.keys(np.arange(len(windows))))
    stretch = np.repeat(np.arange(4), windows.counts)
    assert (low == np.array([5, 100, 0, 0])[stretch]).all() and (high == np.array([20, 130, 15, 0])[stretch]).all()


@pytest.mark.parametrize(("overlap", "n"), [(0.0, 120), (0.5, 239)])
def test_every_window_of_an_hour_comes_once_per_epoch(hour, overlap, n):
    data = module(hour, is_ssl=True, window_overlap=overlap, batch_size=1)
    sampler = data.train_dataloader().sampler
    keys = list(sampler)
    step = round(3000 * (1 - overlap))
    assert len(keys) == len(sampler) == n and sorted(key.start for key in keys) == list(range(0, HOUR - 2999, step))
    sampler.set_epoch(1)
    again = list(sampler)
    assert [key.start for key in again] != [key.start for key in keys] and {key.epoch for key in again} == {1}


def test_a_window_is_that_stretch_of_its_record(hour):
    data = module(hour, is_ssl=True)
    whole, _ = data.ready_store.read_records(np.array([0]))
    for batch in (next(iter(data.train_dataloader())), next(iter(data.evaluation_loader(np.array([0]))))):
        for waveform, traces, start in zip(batch["waveform"], batch["trace"], batch["start"], strict=True):
            np.testing.assert_array_equal(waveform, whole[0, traces, start : start + 3000])
    assert data.facts.n_samples == 3000


@pytest.mark.parametrize("random_starts", [False, True])
def test_workers_do_not_change_windows(hour, random_starts):
    one, two = (
        module(hour, is_ssl=True, num_workers=n, random_starts=random_starts, window_overlap=0.5) for n in (0, 2)
    )
    for epoch in (0, 1):
        loaders = [data.train_dataloader() for data in (one, two)]
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        for left, right in zip(*loaders, strict=True):
            assert set(left) == set(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_random_starts_are_new_each_epoch_and_for_training_only(hour):
    data = module(hour, is_ssl=True, random_starts=True)
    sampler = data.train_dataloader().sampler
    first = sorted(key.start for key in sampler)
    sampler.set_epoch(1)
    second = sorted(key.start for key in sampler)
    assert first != second and max(first + second) <= HOUR - 3000
    share = (HOUR - 2999) / 120  # one window in each share of the possible starts
    assert [int(start / share) for start in second] == list(range(120))
    fixed = data.evaluation_loader(np.array([0])).sampler
    assert [key.start for key in fixed] == list(range(0, HOUR, 3000))


def test_draws_differ_from_window_to_window(hour):
    dataset = module(hour, is_ssl=True).train_dataloader().dataset
    draws = [tuple(dataset[Key(0, 0, start)]["trace"][0].tolist()) for start in range(0, 90_000, 3000)]
    assert set(draws) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_stretches_keep_windows_from_crossing_a_place(hour):
    class WithFailures(StoreDataModule):
        def stretches(self, rows):
            return np.repeat(rows, 2), np.array([0, 10_000]), np.array([10_000, 22_500])

    data = module(hour, WithFailures, is_ssl=True, batch_size=1)
    assert sorted(key.start for key in data.train_dataloader().sampler) == [
        0, 3000, 6000, 10_000, 13_000, 16_000, 19_000
    ]  # fmt: skip


def test_a_target_of_its_own_for_each_window(hour):
    class LastSample(StoreDataset):
        def target(self, rows, starts):
            return starts + self.n_samples - 1

    class Dated(StoreDataModule):
        def dataset(self, n_draws):
            return LastSample(self.ready_store, self.labels, self.facts.n_samples, self.seed, n_draws)

    batch = next(iter(module(hour, Dated, is_ssl=True).train_dataloader()))
    assert torch.equal(batch["label"], batch["start"] + 2999)


def test_balanced_batches_of_windows(tmp_path):
    root = write_long(tmp_path / "store", "aaaabb", n_samples=12_000)
    data = module(root, BalancedDataModule, batch_size=4, split_procedure="fixed_test", random_starts=True,
                  train_data_ratio=0.6, test_data_ratio=0.4)  # fmt: skip
    for batch in data.train_dataloader():
        assert sorted(batch["label"].tolist()) == [0, 0, 1, 1] and batch["waveform"].shape == (4, 1, 3000)


def test_only_the_windows_asked_for_are_read(tmp_path):
    """A record of 1.5 billion samples, most of them holes in the file: 6 GB that no reading could hold or wait for."""
    root = write_long(tmp_path / "store", n_samples=1000, n_traces=1)
    n_samples = 1_500_000_000
    with h5py.File(root / "waveforms.hdf5", "r+") as file:
        del file["data/bucket0"]
        block = file["data"].create_dataset("bucket0", (1, 1, n_samples), np.float32)
        block[0, 0, 7_000_000:7_003_000] = np.arange(3000)
        block[0, 0, -3000:] = np.arange(3000)
    table = (root / "metadata.csv").read_text()
    (root / "metadata.csv").write_text(table.replace(":1000", f":{n_samples}"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    data = module(root, is_ssl=True, window_overlap=0.5, batch_size=8)
    windows = data.windows(data.split.train)
    assert len(windows) == 999_999 and windows.keys(np.array([999_998]))[1] == [n_samples - 3000]
    dataset = data.train_dataloader().dataset
    batch = dataset.__getitems__([Key(0, 0, 7_000_000), Key(0, 0, n_samples - 3000)])
    assert torch.equal(batch["waveform"][:, 0], torch.arange(3000.0).expand(2, 3000))
    for _, key in zip(range(1000), data.train_dataloader().sampler, strict=False):
        assert key.start % 1500 == 0
    assert tracemalloc.get_traced_memory()[1] < 50e6  # the order of a million windows, and no samples
    tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_bad_windows_get_one_line(hour, tmp_path, capsys):
    with pytest.raises(UserError, match="window_length.*no record of .* lasts 4000 s.*3600 s"):
        module(hour, is_ssl=True, window_length=4000.0)
    with pytest.raises(UserError, match="window_overlap: 1 "):
        module(hour, is_ssl=True, window_overlap=1.0)
    with pytest.raises(UserError, match="window_length: 0 s"):
        module(hour, is_ssl=True, window_length=0.0)
    with pytest.raises(UserError, match="n_samples and dataset.window_length"):
        module(hour, is_ssl=True, n_samples=300)
    root = write_long(tmp_path / "store", n_samples=5000)
    with h5py.File(root / "waveforms.hdf5", "r+") as file:
        file["data"].create_dataset("bucket1", (1, 2, 100), np.float32)
    table = pd.read_csv(root / "metadata.csv")
    table = pd.concat([table, table.assign(trace_name="bucket1$0,:2,:100", source_id="short")])
    table.to_csv(root / "metadata.csv", index=False)
    data = module(root, is_ssl=True)
    assert "1 of 2 records are shorter than a window of 30 s" in capsys.readouterr().out
    assert {key.record for key in EpochSampler(data.windows(data.split.train), 0, False)} == {0}
    with pytest.raises(UserError, match="records of 100 to 5000 samples; set dataset.window_length"):
        module(root, is_ssl=True, window_length=None)


def test_pretraining_and_fine_tuning_on_windows_of_long_records(tmp_path, capsys):
    minutes = write_long(tmp_path / "minutes", n_samples=60_000)
    windows = ["+dataset.window_length=10", "+dataset.window_overlap=0.5", "figures=false"]
    cfg = compose("configs/ssl.yaml", [
        *PRETRAIN, f"dataset.root={minutes}", *windows, "+dataset.random_starts=true", "trainer_params.max_epochs=1",
        f"encoder_folder={tmp_path / 'encoders'}", "dataset.batch_size=64",
    ])  # fmt: skip
    metrics = train(cfg, tmp_path / "pretrained").metrics
    assert metrics["train/loss"] > 0 and "train 1 records of 1 events in 119 windows" in capsys.readouterr().out
    split = pd.read_csv(tmp_path / "pretrained" / "split.csv")
    assert split[["part", "row", "first_start", "last_start", "n_windows"]].to_numpy().tolist() == [
        ["train", 0, 0, 59_000, 119]
    ]
    (encoder,) = (tmp_path / "encoders").iterdir()
    root = write_long(tmp_path / "store", "abababab", n_samples=12_000)
    cfg = compose("configs/finetune.yaml", [
        *SMALL, f"dataset.root={root}", *windows[:2], "dataset.test_data_ratio=0.25", "dataset.train_data_ratio=0.75",
        f"load_encoder.ckpt_fname={encoder}", "trainer_params.max_epochs=3",
    ])  # fmt: skip
    metrics = train(cfg, tmp_path / "tuned").metrics
    assert metrics["test/n"] == 2 * 23 and metrics["test/acc"] > 0.9
    assert load_method(tmp_path / "tuned" / "checkpoints" / "last.ckpt").facts.n_samples == 1000
