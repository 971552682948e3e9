import argparse
import subprocess
import sys

import numpy as np
import pytest
from scipy import signal
from scipy.ndimage import uniform_filter1d
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from seisml.datasets.demo import data_module as demo
from seisml.datasets.demo.data_module import prepare_demo
from seisml.datasets.demo.events import CLASSES, SAMPLING_RATE
from seisml.errors import UserError
from seisml.store.store import Store

CHANCE = 1 / len(CLASSES)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(prepare_demo(tmp_path_factory.mktemp("demo") / "store", n_per_class=50, n_unlabeled=16))


@pytest.fixture(scope="module")
def labelled(store) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(store.metadata["trace_category"] != "Unlabeled")
    return store.read_records(rows)[0], store.metadata["trace_category"].to_numpy()[rows].astype(str)


def test_store_has_what_was_asked_for(store):
    metadata = store.metadata
    counts = metadata["trace_category"].value_counts()
    assert counts.to_dict() == {**dict.fromkeys(CLASSES, 50), "Unlabeled": 16}
    assert metadata["source_id"].is_unique
    assert set(store.n_traces) == {6} and set(store.n_samples) == {2000} and set(store.sampling_rate) == {250.0}
    assert metadata["trace_start_time"].str.fullmatch(r"2024-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").all()


def test_same_seed_same_events_and_a_larger_set_holds_a_smaller(store, tmp_path):
    small = Store(prepare_demo(tmp_path / "small", n_per_class=2, n_unlabeled=2))
    waveforms, _ = small.read_records(np.arange(len(small)))
    rows = store.metadata.reset_index().set_index("source_id").loc[small.metadata["source_id"], "index"].to_numpy()
    np.testing.assert_array_equal(store.read_records(rows)[0], waveforms)
    other = Store(prepare_demo(tmp_path / "other", n_per_class=2, n_unlabeled=2, seed=1))
    assert not set(other.metadata["source_id"]) & set(small.metadata["source_id"])
    assert not np.array_equal(other.read_records(np.arange(4))[0], waveforms[:4])


def cross_validated(features: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of the better of a forest and a linear classifier, 5-fold."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    models = (
        RandomForestClassifier(20, min_samples_leaf=3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
    )
    return max(cross_val_score(model, features, labels, cv=folds).mean() for model in models)


def test_trivial_cues_stay_near_chance(labelled):
    """Amplitude and position say next to nothing; only the ratio of peak to RMS, a matter of shape, is left out."""
    waveforms, labels = labelled
    power = (waveforms**2).mean(axis=1)
    peak, rms = np.log10(abs(waveforms).max(axis=(1, 2))), 0.5 * np.log10(power.mean(axis=1))
    strongest = uniform_filter1d(power, int(0.2 * SAMPLING_RATE), axis=1).argmax(axis=1)
    before, after = int(0.8 * SAMPLING_RATE), int(0.4 * SAMPLING_RATE)
    total = np.pad(np.cumsum(power, axis=1), ((0, 0), (1, 0)))
    at = np.arange(before, power.shape[1] - after)
    rise = (total[:, at + after] - total[:, at]) / (total[:, at] - total[:, at - before])
    onset = rise.argmax(axis=1)  # where the short-term over the long-term average is largest, as a trigger has it
    for cue in (peak, rms, strongest, onset):
        assert cross_validated(cue[:, None], labels) < 1.8 * CHANCE
    for pair in ((peak, strongest), (rms, strongest), (peak, onset), (rms, onset)):
        assert cross_validated(np.stack(pair, axis=1), labels) < 2.2 * CHANCE


def test_spectra_tell_the_classes_but_not_without_error(labelled):
    waveforms, labels = labelled
    _, _, power = signal.spectrogram(waveforms, SAMPLING_RATE, nperseg=64)
    logarithm = np.log10(power + 1e-3 * power.mean(axis=(2, 3), keepdims=True)).mean(axis=1)
    features = np.concatenate([logarithm.mean(axis=2), logarithm.max(axis=2), logarithm.std(axis=2)], axis=1)
    accuracy = cross_validated(features, labels)
    assert 5 * CHANCE < accuracy < 0.95


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(words)


def test_second_run_does_nothing_and_overwrite_makes_it_again(tmp_path, capsys):
    options = ("--out", str(tmp_path / "store"), "--n-per-class", "1", "--n-unlabeled", "1")
    assert demo.run(arguments(*options)) == 0
    made = (tmp_path / "store" / "waveforms.hdf5").stat().st_mtime_ns
    assert demo.run(arguments(*options)) == 0
    assert "up to date" in capsys.readouterr().out
    assert (tmp_path / "store" / "waveforms.hdf5").stat().st_mtime_ns == made
    with pytest.raises(UserError, match="--overwrite"):
        demo.run(arguments(*options, "--seed", "3"))
    assert demo.run(arguments(*options, "--seed", "3", "--overwrite")) == 0
    assert "demo3_Noise_00000" in set(Store(tmp_path / "store").metadata["source_id"])


def test_bad_counts_are_refused(tmp_path):
    with pytest.raises(UserError, match="n_per_class"):
        prepare_demo(tmp_path / "store", n_per_class=0)
    assert not (tmp_path / "store").exists()


def test_generating_needs_no_torch():
    code = "import sys, seisml.datasets.demo.events; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
