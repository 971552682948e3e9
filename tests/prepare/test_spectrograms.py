"""Folders of classes to a MATLAB file, and back as a data set; files that claim what they are not."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from obspy import Stream, Trace
from scipy.io import loadmat, savemat
from scipy.signal import detrend, spectrogram

from seisml.cli import main
from seisml.datasets.labquakes import LabquakesDataModule, SpectrogramTable
from seisml.datasets.matlab_table import read_spectrograms
from seisml.errors import UserError

RATE = 1e6


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three classes of four events, each seen by two sensors; one file is longer, one broken."""
    folder = tmp_path_factory.mktemp("lab")
    generator = np.random.default_rng(0)
    for k, name in enumerate(("AE", "UP", "noise")):
        (folder / name).mkdir()
        for event in range(4):
            for sensor in (1, 2):
                n = 1020 if (name, event, sensor) == ("UP", 1, 2) else 1000
                x = generator.standard_normal(n) + 10 * k * np.sin(np.arange(n) * 0.3 * k) + 0.01 * np.arange(n)
                trace = Trace(x.astype(np.float32), {"sampling_rate": RATE, "station": f"S{sensor}", "channel": "Z"})
                Stream([trace]).write(str(folder / name / f"{name}{event}_OL{sensor}.mseed"), format="MSEED")
    (folder / "AE" / "broken_OL1.mseed").write_bytes(b"no waveform")
    return folder


@pytest.fixture(scope="module")
def made(recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("mat") / "lab.mat"
    words = ["prepare", "spectrograms", str(recordings), "--out", str(out), "--event", r"(?P<event>.+)_OL\d+"]
    assert main(words) == 0
    return out


def test_the_matrix_is_scipys_with_the_label_last(recordings, made):
    values = loadmat(made)
    assert values["mSpec"].shape == (65 * 99 + 1, 24) and [str(name).rstrip() for name in values["classes"]] == [
        "AE", "UP", "noise"
    ]  # fmt: skip
    from obspy import read

    for column in (0, 11, 23):
        name = str(values["files"][column]).rstrip()
        x = detrend(read(str(recordings / name))[0].data[:1000].astype(float))
        _, _, expected = spectrogram(x, RATE, nperseg=20, noverlap=10, nfft=128)
        found = values["mSpec"][:-1, column].reshape(65, 99)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 * expected.max())
        assert ["AE", "UP", "noise"][int(values["mSpec"][-1, column])] == name.split("/")[0]
    assert int(values["nx"][0, 0]) == 99 and int(values["ny"][0, 0]) == 65 and values["sampling_rate"][0, 0] == RATE


def test_options_are_kept_and_an_existing_file_too(recordings, made, tmp_path, capsys):
    words = ["prepare", "spectrograms", str(recordings), "--out", str(tmp_path / "log.mat")]
    assert main([*words, "--log", "--nperseg", "40", "--noverlap", "0", "--nfft", "64", "--length", "0.0005"]) == 0
    values = loadmat(tmp_path / "log.mat")
    assert values["mSpec"].shape == (33 * 12 + 1, 24) and values["mSpec"].min() < 0 and values["log"][0, 0] == 1
    assert "skipped AE/broken_OL1.mseed" in capsys.readouterr().out
    for wrong, said in [
        ([], "exists; give another name or --overwrite"),
        (["--overwrite", "--nfft", "10"], "want 0 <= noverlap < nperseg <= nfft"),
        (["--overwrite", "--nperseg", "2000", "--nfft", "4096", "--noverlap", "0"], "fewer than --nperseg 2000"),
    ]:
        assert main([*words, *wrong]) == 2 and said in capsys.readouterr().err
    assert loadmat(tmp_path / "log.mat")["log"][0, 0] == 1


def test_octave_reads_it(made):
    octave = shutil.which("octave-cli") or shutil.which("octave")
    if octave is None:
        pytest.skip("needs Octave, which is not installed")
    code = f"s = load('{made}'); printf('%d %d %s', size(s.mSpec), strtrim(s.classes(1, :)));"
    done = subprocess.run([octave, "--eval", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "6436 24 AE", done.stderr


def test_it_is_a_data_set_grouped_by_event(made):
    data = LabquakesDataModule(str(made), split_by="event", split_procedure="fixed_test")
    data.setup()
    assert data.facts.classes == ("AE", "UP", "noise") and data.facts.n_samples == 65 * 99
    events = data.ready_store.metadata["source_id"].to_numpy()
    assert not set(events[data.split.train]) & set(events[data.split.test]) and len(np.unique(events)) == 12
    batch = next(iter(data.test_dataloader()))
    column = int(batch["index"][0])
    np.testing.assert_allclose(batch["waveform"][0, 0], loadmat(made)["mSpec"][:-1, column], rtol=1e-6)


def test_files_without_names_will_do(tmp_path):
    """As the exercise asks for: the matrix alone."""
    savemat(tmp_path / "plain.mat", {"mSpec": np.vstack([np.random.rand(6, 8), np.arange(8) % 2])})
    table = SpectrogramTable(tmp_path / "plain.mat")
    assert table.metadata["trace_category"].tolist() == ["0", "1"] * 4 and len(table) == 8


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"other": np.zeros((3, 3))}, "holds no matrix 'mSpec'"),
        ({"mSpec": np.zeros((3, 3, 3))}, "not a matrix of numbers"),
        ({"mSpec": np.array([["a", "b"]], dtype=object)}, "not a matrix of numbers"),
        ({"mSpec": np.full((3, 4), 0.5)}, "is 0.5, not the number of a class"),
        ({"mSpec": np.full((3, 4), np.nan)}, "is nan, not the number of a class"),
        ({"mSpec": np.vstack([np.full((2, 4), np.inf), np.zeros(4)])}, "holds values that are not numbers"),
        ({"mSpec": np.ones((3, 4)), "classes": np.array(["one"])}, "names class 1, and 'classes' has 1"),
        ({"mSpec": np.zeros((3, 4)), "files": np.array(["a", "b"])}, "'files' has 2 names for 4"),
        ({"mSpec": np.zeros((3, 4)), "classes": np.zeros((2, 2))}, "'classes' is double of shape"),
    ],
)
def test_what_is_something_else_is_named(tmp_path, values, words):
    savemat(tmp_path / "bad.mat", values)
    with pytest.raises(UserError, match=words) as error:
        SpectrogramTable(tmp_path / "bad.mat")
    assert "\n" not in str(error.value) and "bad.mat" in str(error.value)


def test_sizes_that_a_file_cannot_hold_are_not_allocated(tmp_path):
    """The header's dimensions are changed to 40,000 x 40,000 numbers."""
    path = tmp_path / "huge.mat"
    savemat(path, {"mSpec": np.zeros((7, 9))})
    content = bytearray(path.read_bytes())
    place = content.index(np.array([7, 9], "<i4").tobytes())
    content[place : place + 8] = np.array([40_000, 40_000], "<i4").tobytes()
    path.write_bytes(content)
    with pytest.raises(UserError, match="declares 40000 x 40000 numbers, which a file of .* bytes does not hold"):
        read_spectrograms(path)
    path.write_bytes(bytes(content[:150]))
    with pytest.raises(UserError, match="huge.mat: "):
        read_spectrograms(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\x00" * 600)
    with pytest.raises(UserError, match="huge.mat: "):
        read_spectrograms(path)
    with pytest.raises(UserError, match="seisml prepare spectrograms SRC --out"):
        read_spectrograms(tmp_path / "none.mat")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process")
def test_packed_data_that_are_larger_than_they_say_meet_a_limit(tmp_path):
    """A matrix of 3 x 4 numbers whose packed data are 4 GiB of zeros, in 4 MB."""
    size = 2**32 - 8
    header = struct.pack("<II", 14, 56) + struct.pack("<4I", 6, 8, 6, 0) + struct.pack("<4I", 5, 8, 3, 4)
    header += struct.pack("<II8s", 1, 5, b"mSpec") + struct.pack("<II", 9, size)
    packer = zlib.compressobj(9)
    packed = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed += again * 256
    savemat(tmp_path / "bomb.mat", {"mSpec": np.zeros((3, 4))})
    start = (tmp_path / "bomb.mat").read_bytes()[:128]
    (tmp_path / "bomb.mat").write_bytes(start + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(UserError, match="bomb.mat: takes more memory than what it declares"):
        read_spectrograms(tmp_path / "bomb.mat")
