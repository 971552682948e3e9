"""Training windows around onsets: what is found, and where windows come to lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from seisml.cli import main
from seisml.data.datamodule import StoreDataModule
from seisml.data.onsets import largest_jumps
from seisml.datasets.mixture import MixtureDataModule
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.store.writer import StoreWriter

LENGTH, BLOCK = 800, 10  # samples of a window and of a block of it


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n_samples).astype(np.float32)


def jump(waveform: np.ndarray, n_samples: int | None = None) -> tuple[int, float]:
    place, ratio = largest_jumps(waveform[None], np.array([n_samples or len(waveform)]), BLOCK)
    return int(place[0]), float(ratio[0])


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Records of noise with one onset each, at sample 3000 + 1000 * row; the last has none."""
    folder = tmp_path_factory.mktemp("onsets") / "store"
    with StoreWriter(folder, {"test": True}, None) as writer:
        for row in range(4):
            waveform = np.stack([noise(12_000, 2 * row), noise(12_000, 2 * row + 1)])
            if row < 3:
                waveform[:, 3000 + 1000 * row :] *= 10 * np.exp(-np.arange(9000 - 1000 * row) / 500) + 1
            writer.add(waveform.astype(np.float32), {"source_id": f"event{row}", "trace_sampling_rate_hz": 100.0})
    return folder


def module(root: Path, kind: type = StoreDataModule, **kwargs) -> StoreDataModule:
    settings = {"is_ssl": True, "batch_size": 8, "window_length": 8.0, "random_starts": True, "drop_last": False}
    data = kind(str(root), **{**settings, "onset_share": 1.0, **kwargs})
    data.setup()
    return data


def epoch(data: StoreDataModule, number: int = 0) -> dict[str, torch.Tensor]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    batches = list(loader)
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


@pytest.mark.parametrize("onset", [400, 1234, 3000])
def test_the_largest_jump_is_found(onset):
    waveform = noise(4000) + 50 * np.sin(np.arange(4000) / 800)  # of slow noise as of an offset nothing is seen
    waveform[onset:] += 5 * noise(4000 - onset, 1)
    place, ratio = jump(waveform.astype(np.float32))
    assert abs(place - onset) <= BLOCK and 10 < ratio < 60


def test_what_is_no_onset():
    still = noise(4000)
    assert jump(still)[1] < 4
    gap = still.copy()
    gap[500:1500] = 3.0
    assert jump(gap)[1] < 4  # neither is its end one
    counts = np.rint(0.6 * still)  # of few counts, most of which repeat the one before
    assert jump(counts)[1] < 4
    assert jump(np.zeros(4000, np.float32)) == (400, 0.0)
    broken = still.copy()
    broken[0] = np.nan
    assert jump(broken)[1] == 0.0
    assert jump(noise(300))[1] == 0.0
    padded = np.concatenate([still[:1000] * 1e-6, np.full(3000, 7.0, np.float32)])
    assert jump(padded, 1000)[1] < 4


def test_windows_come_to_lie_around_onsets(root):
    epochs = [epoch(module(root), number) for number in range(2)]
    batch = {name: torch.cat([part[name] for part in epochs]) for name in epochs[0]}
    near = batch["index"] < 3
    onset = 3000 + 1000 * batch["index"]
    place = (onset - batch["start"]) / LENGTH  # of the onset in its window
    # the stretch around a window reaches two windows to either side, less where the record ends
    reached = near & (place > 0.03) & (place < 0.61)
    assert 20 <= reached.sum() and place[reached].min() < 0.15 and place[reached].max() > 0.5
    assert reached.sum() < near.sum() and batch["start"].min() >= 0 and batch["start"].max() <= 12_000 - LENGTH
    found = batch["waveform"][reached]
    for waveform, at in zip(found[:, 0], (onset - batch["start"])[reached], strict=True):
        assert waveform[at:].square().mean() > 8 * waveform[:at].square().mean()


def test_the_share_of_windows_and_those_without_an_onset(root):
    still, some = epoch(module(root, onset_share=0.0)), epoch(module(root, onset_share=0.5))
    whole = epoch(module(root))
    assert (whole["index"] == still["index"]).all()
    moved, all_moved = some["start"] != still["start"], whole["start"] != still["start"]
    assert (some["start"][moved] == whole["start"][moved]).all()
    assert 0.3 < moved.sum() / all_moved.sum() < 0.7
    assert not all_moved[whole["index"] == 3].any()  # a record of noise stays as it was drawn


def test_windows_depend_on_the_key_alone(root):
    once = epoch(module(root))
    for other in (module(root, num_workers=2), module(root, batch_size=3)):
        again = epoch(other)
        assert all((once[name] == again[name]).all() for name in once)
    assert (epoch(module(root), 1)["start"] != once["start"]).any()
    evaluated = next(iter(module(root).evaluation_loader(np.array([0]))))
    assert evaluated["start"].tolist() == list(range(0, 6400, 800))


def test_windows_stay_in_their_stretch(root):
    class WithFailures(StoreDataModule):
        def stretches(self, rows):
            first = np.tile([0, 3300], len(rows))
            return np.repeat(rows, 2), first, np.tile([3300, 12_000], len(rows))

    start = epoch(module(root, WithFailures))["start"]
    assert ((start <= 3300 - LENGTH) | (start >= 3300)).all()


def test_a_mixture_moves_its_windows_too(root, tmp_path):
    with StoreWriter(tmp_path / "other", {"test": True}, None) as writer:
        waveform = noise(5000)
        waveform[2500:] *= 20
        writer.add(waveform[None], {"source_id": "other", "trace_sampling_rate_hz": 100.0})
    data = MixtureDataModule(
        [str(root), str(tmp_path / "other")], is_ssl=True, batch_size=8, window_length=8.0, onset_share=1.0,
        weights=[1, 1], drop_last=False,
    )  # fmt: skip
    data.setup()
    batch = epoch(data)
    other = batch["index"] == 4
    assert 10 < other.sum() < 60 and ((batch["start"] + 40 <= 2500) & (2500 <= batch["start"] + 500))[other].all()


def test_second_views_follow_the_moved_window(root):
    batch = epoch(module(root, view_jitter=0.5))
    assert (batch["view_start"][:, 0] == batch["start"]).all()
    assert (batch["view_start"][:, 1] - batch["start"]).abs().max() <= 50


def test_any_window_may_be_noise(root):
    batch = epoch(module(root, recorded_noise="any", onset_share=0.0))
    assert batch["noise"].shape == batch["waveform"].shape and (batch["noise"] != batch["waveform"]).any()
    whole = Store(root).read_records(np.arange(4))[0]
    for noise in batch["noise"][:4, 0].numpy():
        assert any((whole[row, trace] == noise[0]).any() for row in range(4) for trace in range(2))
    with pytest.raises(UserError, match="no window of class 'Noise'"):
        module(root, recorded_noise="Noise").train_dataloader()


def test_whole_records_cannot_be_moved(root):
    with pytest.raises(UserError, match=r"onset_share=1 moves windows.*dataset\.window_length"):
        module(root, window_length=None).train_dataloader()


def test_p_picks_of_people_are_found(shared_data, tmp_path):
    source = shared_data / "nz_2013"
    (tmp_path / "some").mkdir()
    for path in sorted((source / "WAV/TEST_/2013").rglob("*DFDPC*"))[:10]:
        shutil.copy(path, tmp_path / "some")
    arguments = [str(tmp_path / "some"), str(source / "REA/TEST_/2013"), "--sampling-rate", "100"]
    assert main(["prepare", "catalog", *arguments, "--out", str(tmp_path / "nz"), "--workers", "1"]) == 0
    store = Store(tmp_path / "nz")
    pick = store.metadata["trace_p_arrival_sample"].to_numpy(float)
    rows = np.flatnonzero(np.isfinite(pick))
    waveform = store.read_traces(rows, np.zeros((len(rows), 1), int), 0, 9000)[:, 0]  # 90 s of Z
    place, ratio = largest_jumps(waveform, np.full(len(rows), 9000), 25)
    after = (place - pick[rows]) / 100
    assert len(rows) >= 20 and (ratio > 4).mean() > 0.7
    assert ((after > -1) & (after < 6)).mean() > 0.7  # P, or the S behind it
