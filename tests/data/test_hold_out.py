"""What pretraining must not see: events by name, moments by time, of splits and of whole stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from obspy import UTCDateTime

from seisml.data.datamodule import StoreDataModule
from seisml.data.hold_out import HoldOut
from seisml.datasets.mixture import MixtureDataModule
from seisml.errors import UserError
from seisml.store.writer import StoreWriter

RATE, BEGIN = 100.0, UTCDateTime(2013, 1, 1)


def write(folder: Path, records: list[tuple[str, float, int]], label: str = "") -> Path:
    """Records (event, start in s, samples) of noise; a start that is not a number is no time."""
    generator = np.random.default_rng(0)
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number, (event, start, n_samples) in enumerate(records):
            row = {
                "source_id": event or None,
                "trace_category": label and f"{label}{number % 2}",
                "trace_sampling_rate_hz": RATE,
                "trace_start_time": None if np.isnan(start) else str(BEGIN + start),
            }
            writer.add(generator.standard_normal((1, n_samples)).astype(np.float32), row)
    return folder


def module(root: Path, kind: type = StoreDataModule, **kwargs) -> StoreDataModule:
    data = kind(str(root) if kind is StoreDataModule else root, **{"is_ssl": True, "batch_size": 2, **kwargs})
    data.setup()
    return data


def trained_rows(data: StoreDataModule) -> list[int]:
    return data.split.train.tolist()


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Path:
    """20 labelled windows of 2 s, one every 100 s."""
    records = [(f"quake{number}", 100.0 * number, 200) for number in range(20)]
    return write(tmp_path_factory.mktemp("held") / "task", records, "class")


@pytest.fixture(scope="module")
def split(task, tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A split of them, and the numbers of its test records."""
    data = module(task, is_ssl=False, split_procedure="fixed_test", split_by="event", dev_data_ratio=0.2)
    path = tmp_path_factory.mktemp("split") / "split.csv"
    data.write_split(path)
    return path, np.sort(np.concatenate([data.split.test, data.split.dev]))


def test_stretches_of_time_are_joined():
    time, seconds = np.array([50, 0, 11, 4]) * 1_000_000, np.array([5.0, 10.0, 1.0, 2.0])
    held = HoldOut.of(np.array(["b", "", "a", "b"], object), time, seconds)
    assert held.events.tolist() == ["a", "b"]
    assert (held.begin // 1_000_000).tolist() == [0, 11, 50] and (held.end // 1_000_000).tolist() == [10, 12, 55]
    nothing = HoldOut.of(np.array([], object), np.array([], np.int64), np.array([]))
    assert len(nothing.events) == len(nothing.begin) == len(nothing.end) == 0


def test_records_of_held_out_events_and_times_do_not_train(split, tmp_path, capsys):
    path, tested = split
    by_name = [(f"quake{number}", 1e6 + 100 * number, 200) for number in range(20)]  # another place in time
    by_time = [(f"other{number}", 100.0 * number + (3.0 if number % 2 else 1.9), 200) for number in range(20)]
    unknown = [("", np.nan, 200)]
    data = module(write(tmp_path / "store", by_name + by_time + unknown), hold_out=[str(path)])
    left = [number for number in range(20) if number not in tested]
    near = [20 + number for number in range(20) if number in left or number % 2]
    assert trained_rows(data) == [*left, *near, 40]
    assert f"hold_out leaves {len(left) + len(near) + 1} of 41 training records" in capsys.readouterr().out


@pytest.mark.parametrize("jitter", [0.0, 1.5])
def test_windows_of_long_records_keep_away_from_held_out_times(split, tmp_path, jitter):
    path, tested = split
    root = write(tmp_path / "hours", [("day", -30.0, 150_000), ("day", 1469.0, 60_000), ("far", 1e6, 5000)])
    settings = {"window_length": 4.0, "random_starts": True, "onset_share": 0.5, "view_jitter": jitter}
    settings["batch_size"] = 64
    data = module(root, hold_out=[str(path)], drop_last=False, **settings)
    free = module(root, drop_last=False, **settings)
    assert trained_rows(data) == [0, 1, 2]
    begins = np.array([-30.0, 1469.0, 1e6])
    held = 100.0 * tested
    found = []
    for number in range(3):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(number)
        for batch in loader:
            rows, starts = ((batch[name].numpy().ravel()) for name in (("view_index", "view_start") if jitter else
                                                                        ("index", "start")))  # fmt: skip
            found.append(begins[rows] + starts / RATE)
    begin = np.concatenate(found)
    overlap = (begin[:, None] < held + 2.0) & (begin[:, None] + 4.0 > held)
    assert not overlap.any() and len(begin) > 1000
    lost = len(free.windows(free.split.train)) - len(data.windows(data.split.train))
    assert 0 < lost < 4 * (len(tested) + 3)  # and no more than that is lost
    written = tmp_path / "written.csv"
    data.write_split(written)
    assert len(written.read_text().splitlines()) > 4  # a line for each stretch that is left


def test_a_store_is_held_out_as_a_whole_and_a_mixture_leaves_it_out(task, tmp_path):
    root = write(tmp_path / "one", [(f"quake{number}", 1e6 + 10 * number, 500) for number in range(8)])
    other = write(tmp_path / "two", [(f"x{number}", 100.0 * number + 1, 500) for number in range(25)])
    data = module([str(root), str(other)], MixtureDataModule, hold_out=[str(task)], window_length=2.0)
    assert trained_rows(data) == list(range(8, 33))
    windows = data.windows(data.split.train)
    rows, starts = windows.keys(np.arange(len(windows)))
    assert (starts[rows < 28] > 100).all() and set(starts[rows >= 28].tolist()) == {0, 200}


def test_nothing_left_and_what_is_no_split(task, tmp_path):
    with pytest.raises(UserError, match="leaves no record to train on"):
        module(task, hold_out=[str(task)])
    (tmp_path / "table.csv").write_text("part,row\ntest,1\n")
    for path in (tmp_path / "table.csv", tmp_path / "absent.csv"):
        with pytest.raises(UserError, match=r"hold_out: .* neither a prepared store nor a table") as error:
            module(task, hold_out=[str(path)])
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"^dataset\.hold_out: .*metadata"):
        module(task, hold_out=[str(tmp_path)])
