"""Fetching a public archive: resumed where it stopped, tested before it is unpacked, never outside its folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pooch.hashes import hash_matches

from seisml.errors import UserError
from seisml.terminal.progress import Progress, follow

ATTEMPTS = 5  # in a row without a byte
_TIMEOUT = (15, 60)  # seconds to connect, and between two packets
_BLOCK = 2**16
_CAUSES = (
    "name or service not known",
    "name resolution",
    "connection refused",
    "network is unreachable",
    "no route to host",
    "certificate verify failed",
    "unable to connect to proxy",
    "timed out",
    "connection reset",
)


class DownloadError(UserError):
    """An address does not give its file; the message names the host and the cause."""


def fetch(url: str, target: Path, pause: float = 2.0, checksum: str | None = None) -> Path:
    """Download a file; what an earlier, interrupted call got is kept in ``<target>.part`` and continued.

    Args:
        url: http(s) address. A page of Google Drive that asks to confirm a large file is answered.
        target: Where the finished file goes; nothing is fetched where it exists.
        pause: Seconds before a dropped connection is tried again.
        checksum: What the file must have, such as ``md5:0123...`` or ``sha256:0123...``; a bare one is SHA-256.

    Returns:
        ``target``.

    Raises:
        DownloadError: No connection, the server does not give the file, or another one; that is removed.
    """
    import requests

    if target.is_file():
        return _checked(target, checksum, url)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failure, attempt = "the connection drops", 0
    while attempt < ATTEMPTS:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch_once(requests, url, part):
                _checked(part, checksum, url)
                os.replace(part, target)
                return target
        except requests.exceptions.RequestException as error:
            failure = _cause(error)
            if not part.exists() and isinstance(error, requests.exceptions.ConnectionError):
                break  # nothing has ever come: no network rather than a bad one
        attempt = 0 if part.exists() and part.stat().st_size > before else attempt + 1
        time.sleep(pause * attempt)
    kept = f", {part.stat().st_size / 2**20:.1f} MiB are kept for the next run" if part.exists() else ""
    raise DownloadError(f"{_host(url)}: {failure}{kept}")


def _checked(file: Path, checksum: str | None, url: str) -> Path:
    """Return the file; remove it and refuse where it has another checksum."""
    if checksum is not None:
        try:
            is_right = hash_matches(str(file), checksum, source=_host(url))
        except ValueError as error:
            raise UserError(f"{checksum}: {error}; write it as md5:... or sha256:...") from error
        if not is_right:
            file.unlink()
            raise DownloadError(f"{_host(url)}: gives a file without the checksum {checksum}; it is removed")
    return file


def unpack(archive: Path, folder: Path) -> None:
    """Test a zip archive and unpack it into a folder; all of it or nothing.

    Args:
        archive: The zip file; removed where it is damaged, so that the next run fetches it again.
        folder: Where its members go.

    Raises:
        UserError: The archive is damaged, a member would lie outside the folder, or the disk is too small.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            for member in members:
                _check_inside(member.filename, folder, archive)
            bad = packed.testzip()
            if bad is not None:
                raise zipfile.BadZipFile(f"member {bad} is damaged")
            needed = sum(member.file_size for member in members)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise UserError(
                    f"{folder}: {archive.name} needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free"
                )
            for leftover in folder.glob(".unpacking-*"):  # of a run that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as partial:
                for member in follow(members, "unpacking", "file"):
                    target = Path(partial, _plain(member.filename))
                    if member.is_dir():
                        target.mkdir(parents=True, exist_ok=True)
                        continue
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with packed.open(member) as packed_file, target.open("wb") as file:
                        shutil.copyfileobj(packed_file, file)
                for entry in Path(partial).iterdir():
                    _move(entry, folder / entry.name)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        archive.unlink()
        raise UserError(f"{archive}: damaged archive ({error}), removed; run again to download it anew") from error


def _fetch_once(requests: Any, url: str, part: Path) -> bool:
    """Append what one request gives; True where the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    headers["Accept-Encoding"] = "identity"  # byte ranges of a compressed answer would not fit together
    with requests.Session() as session:
        answer = session.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
        if answer.status_code < 400 and "text/html" in answer.headers.get("Content-Type", ""):
            confirmed = _confirmed_address(answer.text, url)
            answer = session.get(confirmed, headers=headers, stream=True, timeout=_TIMEOUT)
        with answer:
            if answer.status_code == 416:  # nothing beyond what we have
                total = _total(answer)
                if total is not None and total == have:
                    return True
                part.unlink(missing_ok=True)
                return False
            if answer.status_code >= 400:
                raise DownloadError(f"{_host(url)}: answers {answer.status_code} {answer.reason}")
            if answer.status_code != 206 or _first_byte(answer) != have:
                have = 0  # the server sends the whole file
            total = _total(answer)
            return _receive(answer, part, have, total)


def _receive(answer: Any, part: Path, have: int, total: int | None) -> bool:
    progress = Progress("downloading", "B", total, have)
    with progress, part.open("r+b" if part.exists() else "wb") as file:
        file.seek(have)
        file.truncate()
        for block in answer.iter_content(_BLOCK):
            file.write(block)
            have += len(block)
            progress.update(len(block))
    return total is None or have == total


def _total(answer: Any) -> int | None:
    """Size of the whole file, from whichever header tells it."""
    match = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    length = answer.headers.get("Content-Length")
    return int(length) if length and answer.status_code == 200 else None


def _first_byte(answer: Any) -> int:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _confirmed_address(page: str, url: str) -> str:
    """Google Drive shows a form before files too large for its virus scan: the address that the form leads to."""
    from gdown.download import get_url_from_gdrive_confirmation  # here: half a second that few downloads need
    from gdown.exceptions import FileURLRetrievalError

    try:
        return get_url_from_gdrive_confirmation(page)
    except (FileURLRetrievalError, KeyError) as error:
        raise DownloadError(
            f"{_host(url)}: gives a web page, not the archive (daily limit reached, or moved)"
        ) from error


def _plain(name: str) -> str:
    """Archives made on Windows may separate folders by backslashes."""
    return name.replace("\\", "/")


def _check_inside(name: str, folder: Path, archive: Path) -> None:
    plain = _plain(name)
    target = os.path.normpath(os.path.join(os.path.abspath(folder), plain))
    inside = target == os.path.abspath(folder) or target.startswith(os.path.abspath(folder) + os.sep)
    if not inside or plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in plain.split("/"):
        raise UserError(f"{archive}: member {name!r} would be written outside {folder}; the archive is refused")


def _move(source: Path, target: Path) -> None:
    """Put an unpacked entry in its place; folders that exist are merged, files replaced."""
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            _move(entry, target / entry.name)
    else:
        os.replace(source, target)


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def _cause(error: Exception) -> str:
    """The innermost reason of a requests error, without its nesting."""
    text = str(error).lower()
    return next((known for known in _CAUSES if known in text), type(error).__name__)
