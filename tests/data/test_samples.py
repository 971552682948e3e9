"""Batches of the pairs recipe, sample by sample, and how training reads them ahead."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from seisml.data import onsets
from seisml.data.datamodule import StoreDataModule
from seisml.data.loaders import ReadAhead, keep_batch
from seisml.data.onsets import LONG, SHORT, largest_jumps
from seisml.store.writer import StoreWriter
from seisml.transforms.randomness import uniform

LENGTH, SEED = 400, 3
BEGIN = ("2013-01-01T00:00:00", "2013-01-01T00:00:01.5", "2012-12-31T23:59:58")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Six events of three stations, of one to three traces each, whose noise jumps in the middle."""
    folder = tmp_path_factory.mktemp("samples") / "store"
    random = np.random.default_rng(0)
    with StoreWriter(folder, {"preprocessing": {"detrend": "constant"}}, None) as writer:
        for row in range(18):
            waveform = 5 + random.standard_normal((1 + row % 3, 2400 + 100 * row)).astype(np.float32)
            waveform[:, 1000 + 50 * row :] *= 8
            about = {"source_id": f"event{row // 3}", "trace_start_time": BEGIN[row % 3]}
            writer.add(waveform, {**about, "trace_sampling_rate_hz": 100.0})
    return folder


def module(root: Path, **kwargs) -> StoreDataModule:
    data = StoreDataModule(
        str(root), is_ssl=True, batch_size=16, window_length=4.0, random_starts=True, onset_share=0.5, seed=SEED,
        views_from="event", pair_share=0.6, view_jitter=0.5, recorded_noise="any", **kwargs,
    )  # fmt: skip
    data.setup()
    return data


def test_samples_are_what_their_keys_draw_one_by_one(root):
    """Each stream of random numbers, each record and each trend by itself, whatever batches make of it together."""
    data = module(root)
    loader = data.train_dataloader()
    dataset, store = loader.dataset, data.ready_store
    assert store.preprocessing.detrend == "constant"

    def window(row: int, position: float, start: int) -> np.ndarray:
        record = store.read_records(np.array([row]))[0][0, int(position * store.n_traces[row])]
        x = record[start : start + LENGTH].astype(np.float64)
        x = x - x[0]
        return (x - x.mean()).astype(np.float32)

    moved = 0
    for epoch in (0, 4):
        loader.sampler.set_epoch(epoch)
        keys = list(loader.sampler)
        for first, batch in zip(range(0, len(keys), 16), loader, strict=False):
            for b, key in enumerate(keys[first : first + 16]):
                row, start = (int(batch[name][b]) for name in ("index", "start"))
                assert (int(batch["epoch"][b]), row) == key[:2]
                moved += start != key.start

                def draw(stream: str, n: int, key: tuple = (key.epoch, row, start)) -> np.ndarray:
                    e, r, s = (torch.tensor([value]) for value in key)
                    return uniform(SEED, e, r, stream, n, s)[0].double().numpy()

                which, shift = draw("second view", 2)
                place, others = (row, start), dataset.second_views.partners.covering(*np.array([[row], [start], [400]]))
                if len(others[0]) and draw("whether another record", 1)[0] < 0.6:
                    place = tuple(int(column[int(which * len(others[0]))]) for column in others[1:])
                shifted = place[1] + int(np.floor(shift * 101)) - 50
                place = place[0], int(np.clip(shifted, 0, max(place[1], store.n_samples[place[0]] - LENGTH)))
                assert batch["view_index"][b].tolist() == [row, place[0]]
                assert batch["view_start"][b].tolist() == [start, place[1]]
                for k, position in enumerate(draw("trace", 2)):
                    r, s = ((row, start), place)[k]
                    np.testing.assert_array_equal(batch["waveform"][b, k], window(r, position, s))
                numbers, positions = draw("noise", 4).reshape(2, 2)
                rows, starts = dataset.noise.keys((numbers * len(dataset.noise)).astype(np.int64))
                for k in range(2):
                    np.testing.assert_array_equal(batch["noise"][b, k], window(rows[k], positions[k], starts[k]))
    assert moved > 20


def test_jumps_of_many_traces_are_those_of_each(monkeypatch):
    """Also where the cache holds some of them only, and the last few are fewer."""
    random, block = np.random.default_rng(1), 7
    waveform = np.rint(2 * random.standard_normal((11, 60 * block + 3))).astype(np.float32)  # many samples repeat
    waveform[:, 300:] *= random.integers(1, 9, 11)[:, None]
    lengths = random.integers(50 * block, waveform.shape[1], 11)
    step = np.diff(waveform, axis=1, prepend=waveform[:, :1])[:, : 60 * block].reshape(11, 60, block).astype(float)
    energy, moves = np.square(step).sum(-1), (step != 0).sum(-1)
    for samples in (1, 1300, 10**9):
        monkeypatch.setattr(onsets, "SAMPLES_IN_CACHE", samples)
        places, ratios = largest_jumps(waveform, lengths, block)
        for b, (place, ratio) in enumerate(zip(places.tolist(), ratios.tolist(), strict=True)):
            found = {}
            for at in range(LONG, min(60, lengths[b] // block) - SHORT + 1):
                short, long = slice(at, at + SHORT), slice(at - LONG, at)
                power = [energy[b, part].sum() / moves[b, part].sum() for part in (short, long)]
                found[at * block] = power[0] / power[1]
            assert place == max(found, key=found.get) and ratio == pytest.approx(found[place])


class Counted(Dataset):
    """Numbers, each a batch; tells when the third is read, and cannot read the fifth."""

    def __init__(self) -> None:
        self.read, self.third = [], threading.Event()

    def __len__(self) -> int:
        return 6

    def __getitem__(self, number: int) -> int:
        if number == 4:
            raise ValueError("the fifth is broken")
        self.read.append(number)
        if number == 2:
            self.third.set()
        return number


def test_one_batch_is_read_while_training_learns():
    numbers = Counted()
    batches = iter(ReadAhead(numbers, batch_size=None, collate_fn=keep_batch))
    assert not numbers.read  # nothing before it is asked for: a resumed run says later where it begins
    assert [next(batches), next(batches)] == [0, 1]
    assert numbers.third.wait(60) and numbers.read == [0, 1, 2]  # not on demand, and no more than one
    assert [next(batches), next(batches)] == [2, 3]
    with pytest.raises(ValueError, match="the fifth is broken"):
        next(batches)


def test_what_reads_ahead_ends_with_the_loop(root):
    before = set(threading.enumerate())
    batches = iter(module(root).train_dataloader())
    next(batches)
    assert len(set(threading.enumerate()) - before) == 1
    del batches
    assert set(threading.enumerate()) == before
    list(module(root).train_dataloader())
    assert set(threading.enumerate()) == before


def test_worker_processes_read_ahead_by_themselves(root):
    here, there = (list(module(root, num_workers=n).train_dataloader()) for n in (0, 1))
    assert len(here) == len(there) > 3
    assert all(torch.equal(one[name], other[name]) for one, other in zip(here, there, strict=True) for name in one)
