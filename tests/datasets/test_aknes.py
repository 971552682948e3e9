"""``seisml prepare aknes``: the published layout and its index, and the download of the archive."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import threading
import zipfile

import numpy as np
import pytest

from seisml.cli import main
from seisml.errors import UserError
from seisml.prepare import download as download_module
from seisml.prepare.download import DownloadError, fetch, unpack
from seisml.store.store import Store
from tests.waveforms.test_record import save, trace

CLASSES = {"Noise": 1, "Regional": 2, "Unlabeled": 3}


@pytest.fixture
def archive(tmp_path):
    """The published layout, with miniSEED in the place of SEG-2 (which ObsPy cannot write)."""
    samples = tmp_path / "raw" / "AknesDataFiles" / "DataSamples"
    number = 0
    for label, count in CLASSES.items():
        (samples / label).mkdir(parents=True)
        for _ in range(count):
            number += 1
            save(samples / label / f"2007_034_{number}_{1000 + number}.dat", trace(seed=number, n=200))
    return tmp_path / "raw"


def write_index(archive, *rows):
    path = archive / "AknesDataFiles" / "index.csv"
    path.write_bytes(("fname,event\r\n" + "".join(f"{name},{event}\r\n" for name, event in rows)).encode("utf-8-sig"))
    return path


def run(*arguments):
    return main(["prepare", "aknes", *map(str, arguments)])


@pytest.mark.parametrize("inside", ["", "AknesDataFiles", "AknesDataFiles/DataSamples"])
def test_layout(archive, tmp_path, inside, capsys):
    out = tmp_path / "store"
    assert run(archive / inside, "--out", out) == 0
    assert "6 files here, 3429 in the published archive" in capsys.readouterr().out
    metadata = Store(out).metadata
    assert metadata["trace_category"].tolist() == ["Noise", "Regional", "Regional"] + ["Unlabeled"] * 3
    assert metadata["trace_source_file"][1] == "Regional/2007_034_2_1002.dat"
    assert metadata["source_id"].tolist() == [f"2007_034_{i}_{1000 + i}" for i in range(1, 7)]
    assert run(archive / inside, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "up to date" in printed
    assert printed.count("\n") == 1


def test_the_labels_of_the_index_win(archive, tmp_path, capsys):
    write_index(
        archive,
        (r"DataSamples\Noise\2007_034_1_1001.dat", "Rockfall"),
        (r"C:\Users\me\AknesDataFiles\DataSamples\Regional\2007_034_2_1002.dat", "Regional"),
        ("2007_034_3_1003.dat", "Spike"),
        (r"DataSamples\Spike\2009_001_9_9999.dat", "Spike"),
        (r"DataSamples\Unlabeled\2007_034_4_1004.dat", ""),
    )
    assert run(archive, "--out", tmp_path / "store") == 0
    printed = capsys.readouterr().out
    metadata = Store(tmp_path / "store").metadata
    assert metadata["trace_category"].tolist() == ["Regional", "Rockfall", "Spike"] + ["Unlabeled"] * 3
    assert metadata["trace_source_file"].tolist()[:3] == [
        "Regional/2007_034_2_1002.dat",
        "Noise/2007_034_1_1001.dat",
        "Regional/2007_034_3_1003.dat",
    ]
    assert "4 labels from index.csv, 2 of them other than the folder's name" in printed
    assert "DataSamples/Spike/2009_001_9_9999.dat: listed in index.csv but not there" in printed
    assert "2 files are not in index.csv and take their folder's name: 2007_034_5_1005.dat" in printed


def test_a_changed_index_is_noticed(archive, tmp_path, capsys):
    write_index(archive, (r"DataSamples\Noise\2007_034_1_1001.dat", "Noise"))
    assert run(archive, "--out", tmp_path / "store") == 0
    write_index(archive, (r"DataSamples\Noise\2007_034_1_1001.dat", "Rockfall"))
    assert run(archive, "--out", tmp_path / "store") == 2
    assert "--overwrite" in capsys.readouterr().err


def test_an_index_that_contradicts_itself(archive, tmp_path, capsys):
    write_index(archive, (r"Noise\2007_034_1_1001.dat", "Noise"), (r"Noise\2007_034_1_1001.dat", "Spike"))
    assert run(archive, "--out", tmp_path / "store") == 2
    assert "is Spike here and Noise in another row" in capsys.readouterr().err


def test_no_archive(tmp_path, capsys):
    assert run(tmp_path, "--out", tmp_path / "store") == 2
    assert "add --download" in capsys.readouterr().err


def test_the_real_event(tmp_path, shared_data):
    folder = tmp_path / "AknesDataFiles" / "DataSamples" / "Regional"
    folder.mkdir(parents=True)
    file = next((shared_data / "aknes").glob("*.dat"))
    (folder / file.name).write_bytes(file.read_bytes())
    assert run(tmp_path, "--out", tmp_path / "store") == 0
    store = Store(tmp_path / "store")
    assert store.read_records([0])[0].shape == (1, 24, 16000)
    assert (store.metadata["trace_category"][0], store.metadata["source_id"][0]) == ("Regional", "2007_034_45_117472")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.data`` with byte ranges; drops the connection after ``server.drop_after`` bytes of an answer."""

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        if self.path in server.pages:
            body = server.pages[self.path].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        match = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        first = int(match[1]) if match and server.ranges else 0
        if first >= len(server.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.data)}")
            self.end_headers()
            return
        body = server.data[first:]
        self.send_response(206 if match and server.ranges else 200)
        if match and server.ranges:
            self.send_header("Content-Range", f"bytes {first}-{len(server.data) - 1}/{len(server.data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.drop_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.data, server.pages, server.requests = np.random.default_rng(0).bytes(1_000_000), {}, []
    server.drop_after, server.ranges = None, True
    server.url = f"http://127.0.0.1:{server.server_port}/archive.zip"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_fetch(server, tmp_path):
    assert fetch(server.url, tmp_path / "new" / "a.zip").read_bytes() == server.data
    assert os.listdir(tmp_path / "new") == ["a.zip"]
    fetch(server.url, tmp_path / "new" / "a.zip")
    assert len(server.requests) == 1


def test_fetch_continues_where_it_stopped(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(server.data[:123_456])
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == server.data
    assert server.requests == [("/archive.zip", "bytes=123456-")]


def test_fetch_of_a_part_that_was_complete(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(server.data)
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == server.data


@pytest.mark.parametrize("left", [1_200_000, 400_000])
def test_fetch_starts_over_where_it_must(server, tmp_path, left):
    """A part that is longer than the file, or a server without ranges."""
    server.ranges = left > len(server.data)
    (tmp_path / "a.zip.part").write_bytes(bytes(left))
    assert fetch(server.url, tmp_path / "a.zip", pause=0).read_bytes() == server.data


def test_fetch_over_a_connection_that_drops(server, tmp_path):
    server.drop_after = 140_000
    assert fetch(server.url, tmp_path / "a.zip", pause=0).read_bytes() == server.data
    assert len(server.requests) > download_module.ATTEMPTS  # every answer brought some bytes


def test_fetch_keeps_what_it_got(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(server.data[:300_000])
    server.drop_after = 0
    with pytest.raises(DownloadError, match="0.3 MiB are kept for the next run"):
        fetch(server.url, tmp_path / "a.zip", pause=0)
    server.drop_after = None
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == server.data
    assert server.requests[-1][1] == "bytes=300000-"


def test_fetch_answers_the_page_of_a_large_file(server, tmp_path):
    server.pages["/archive.zip"] = (
        '<form id="download-form" action="/real" method="get"><input type="submit" value="Download anyway">'
        '<input type="hidden" name="id" value="a&amp;b"><input type="hidden" name="uuid" value="77"></form>'
    ).replace("/real", server.url.replace("archive.zip", "real"))
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == server.data
    assert server.requests[-1][0] == "/real?id=a%26b&uuid=77"
    server.pages["/archive.zip"] = "<html>quota exceeded</html>"
    with pytest.raises(DownloadError, match="web page, not the archive"):
        fetch(server.url, tmp_path / "b.zip")


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_fetch_checks_the_checksum(server, tmp_path, kind):
    right = f"{kind}:{hashlib.new(kind, server.data).hexdigest()}"
    assert fetch(server.url, tmp_path / "a.zip", checksum=right).read_bytes() == server.data
    server.data = server.data[::-1]
    with pytest.raises(DownloadError, match=f"without the checksum {right}; it is removed"):
        fetch(server.url, tmp_path / "b.zip", checksum=right)
    assert os.listdir(tmp_path) == ["a.zip"]
    (tmp_path / "a.zip").write_bytes(b"damaged on disk")
    with pytest.raises(DownloadError, match="without the checksum"):
        fetch(server.url, tmp_path / "a.zip", checksum=right)
    with pytest.raises(UserError, match="^sha1999:77: .*write it as md5"):
        fetch(server.url, tmp_path / "c.zip", checksum="sha1999:77")


def test_fetch_of_what_is_not_there(server, tmp_path):
    with pytest.raises(DownloadError, match="answers 404"):
        fetch(server.url.replace("archive.zip", "gone"), tmp_path / "a.zip")


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_download_and_prepare(server, archive, tmp_path, capsys):
    members = {}
    for path in sorted((archive / "AknesDataFiles").rglob("*.dat")):
        members[str(path.relative_to(archive)).replace("/", "\\")] = path.read_bytes()  # as made on Windows
    server.data = zipped(tmp_path / "all.zip", members).read_bytes()
    arguments = (tmp_path / "fetched", "--download", "--url", server.url, "--out", tmp_path / "store")
    assert run(*arguments) == 0
    assert Store(tmp_path / "store").prepared["counts"] == CLASSES
    assert os.listdir(tmp_path / "fetched") == ["AknesDataFiles"]
    assert run(*arguments) == 0
    assert len(server.requests) == 1
    assert "up to date" in capsys.readouterr().out


def test_each_address_has_its_own_file(server, archive, tmp_path, capsys):
    path = next((archive / "AknesDataFiles" / "DataSamples" / "Noise").glob("*.dat"))
    good = zipped(tmp_path / "good.zip", {"AknesDataFiles/DataSamples/Spike/a.dat": path.read_bytes()}).read_bytes()
    server.data = zipped(tmp_path / "evil.zip", {"../a.txt": b"x"}).read_bytes()
    arguments = (tmp_path / "fetched", "--download", "--out", tmp_path / "store", "--url")
    assert run(*arguments, server.url) == 2
    assert "is refused" in capsys.readouterr().err
    server.data = good
    assert run(*arguments, server.url + "?other") == 0
    assert Store(tmp_path / "store").prepared["counts"] == {"Spike": 1}


def test_no_network_is_one_line(tmp_path, capsys):
    arguments = (tmp_path / "raw", "--download", "--url", "http://archive.invalid/a.zip", "--out", tmp_path / "store")
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("seisml: error: cannot download the archive (archive.invalid: ")
    assert "10.6084/m9.figshare.21340101" in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_refused_connection_is_one_line(server, tmp_path, capsys):
    server.shutdown()
    server.server_close()
    arguments = (tmp_path / "raw", "--download", "--url", server.url, "--out", tmp_path / "store")
    assert run(*arguments) == 2
    assert "connection refused" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../evil.dat", "/evil.dat", r"..\evil.dat", r"C:\evil.dat", "a/../../evil.dat"])
def test_no_member_outside_the_folder(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    archive = zipped(folder / "a.zip", {"fine.dat": b"1", name: b"2"})
    with pytest.raises(UserError, match="would be written outside") as caught:
        unpack(archive, folder)
    assert repr(name) in str(caught.value)
    assert os.listdir(folder) == ["a.zip"]
    assert os.listdir(tmp_path) == ["in"]


def test_a_damaged_archive_is_not_unpacked(tmp_path):
    for number, damage in enumerate((lambda d: d[:-200], lambda d: d[:60] + bytes(50) + d[110:], lambda d: b"")):
        archive = zipped(tmp_path / "a.zip", {"a.dat": os.urandom(500), "b.dat": os.urandom(500)})
        archive.write_bytes(damage(archive.read_bytes()))
        with pytest.raises(UserError, match="damaged archive"):
            unpack(archive, tmp_path)
        assert os.listdir(tmp_path) == [], number


def test_unpacking_is_repeatable(tmp_path):
    (tmp_path / ".unpacking-dead").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("kept")
    archive = zipped(tmp_path / "a.zip", {"d/a.dat": b"1", "d/e/b.dat": b"2"})
    for _ in range(2):
        unpack(archive, tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.dat", "a.zip", "b.dat", "d", "e", "mine.txt"]
