import hashlib
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from file_server import serve

from rtmo import download as module
from rtmo.download import download
from rtmo.errors import InputError

CONTENT = bytes(range(256)) * 1200  # more than one read
SIZE = len(CONTENT)
OTHER = bytes(reversed(CONTENT))
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with serve() as running:
        running.content = CONTENT
        yield running


@pytest.fixture
def url(server):
    return f"{server.url}/people.zip"


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with serve() as running:
        address = f"{running.url}/people.zip"
    return address


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "people.zip"


@pytest.fixture
def part(path):
    path.parent.mkdir()
    return path.with_name("people.zip.part")


def test_a_file_arrives_whole(url, path, server, caplog, capsys):
    caplog.set_level(logging.INFO)
    assert download(url, path, HASH) == path
    assert path.read_bytes() == CONTENT
    assert server.requests == [("/people.zip", None)]
    assert not path.with_name("people.zip.part").exists()
    assert caplog.messages == [f"downloading {url} to {path}", "downloaded people.zip, 0.3 MB"]
    assert capsys.readouterr().err == "", "a progress bar without a terminal"


def test_progress_is_shown_on_a_terminal(url, path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    download(url, path)
    shown = capsys.readouterr()
    assert "people.zip" in shown.err
    assert "307.2" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("sha256_prefix", [HASH, None])
def test_a_file_that_is_there_needs_no_network(sha256_prefix, nobody, part, path):
    path.write_bytes(CONTENT)
    assert download(nobody, path, sha256_prefix) == path


def test_a_damaged_file_is_replaced(url, path, part, caplog):
    path.write_bytes(CONTENT[:-1])
    download(url, path, HASH)
    assert path.read_bytes() == CONTENT
    assert f"{path} is damaged: its SHA-256 does not begin with {HASH}" in caplog.messages


def test_a_damaged_file_stays_while_there_is_no_other(nobody, path, part):
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError):
        download(nobody, path, HASH)
    assert path.read_bytes() == CONTENT[:-1]


def test_a_broken_connection_is_continued(url, path, server):
    server.cuts = [100_000, 50_000]
    download(url, path, HASH)
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert path.read_bytes() == CONTENT


def test_a_server_that_cannot_continue_starts_over(url, path, server):
    server.supports_range = False
    server.cuts = [100_000]
    download(url, path, HASH)
    assert server.ranges == [None, "bytes=100000-"]
    assert path.read_bytes() == CONTENT


def test_a_connection_that_always_breaks_is_given_up_and_continued_by_the_next_call(url, path, server):
    server.cuts = [1000] * module.CONNECTIONS
    with pytest.raises(InputError, match=rf"ended after 5000 of {SIZE} bytes.*try again later"):
        download(url, path, HASH)
    assert not path.exists()

    download(url, path, HASH)
    assert server.ranges == [None, *(f"bytes={count}000-" for count in range(1, 6))]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("left", "ranges"),
    [
        (CONTENT[:100_000], ["bytes=100000-"]),
        (OTHER[:100_000], ["bytes=100000-", None]),
        (CONTENT + b"more", [f"bytes={SIZE + 4}-", None]),
    ],
    ids=["beginning", "of another file", "too long"],
)
def test_what_an_earlier_run_left_is_continued_if_it_fits(left, ranges, url, path, part, server):
    part.write_bytes(left)
    download(url, path, HASH)
    assert server.ranges == ranges
    assert path.read_bytes() == CONTENT
    assert not part.exists()


@pytest.mark.parametrize(("left", "connections"), [(b"", 1), (OTHER[:1000], 2)])
def test_another_file_than_the_hash_says_is_refused(left, connections, url, path, part, server):
    server.content = OTHER
    if left:
        part.write_bytes(left)
    found = hashlib.sha256(OTHER).hexdigest()[:8]
    with pytest.raises(InputError, match=rf"^{path}: .*{url}.*begins with {found}, expected {HASH}") as caught:
        download(url, path, HASH)
    assert f"put it at {path}" in str(caught.value)
    assert len(server.requests) == connections
    assert not path.exists()
    assert not part.exists()


def test_a_file_that_is_not_there_is_asked_for_once(url, path, server):
    server.content = None
    with pytest.raises(
        InputError, match=rf"^{path}: cannot be downloaded from {url} \(HTTP Error 404.*put it at {path}"
    ):
        download(url, path)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_named_at_once(nobody, path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 1e6)
    with pytest.raises(InputError, match=rf"^{path}: cannot be downloaded from {nobody} .*refused.*put it at {path}"):
        download(nobody, path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named(url, path, part):
    part.symlink_to("/dev/full")
    with pytest.raises(
        InputError, match=rf"^{path}: cannot be read or written .*No space left.* to download {url}; make room"
    ):
        download(url, path, HASH)


def test_a_folder_that_cannot_be_made_is_named(url, path, tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(InputError, match=rf"^{path}: cannot be read or written .*folder"):
        download(url, path, HASH)


def test_two_at_once_download_once(url, path, server):
    together = threading.Barrier(2)

    def fetch() -> Path:
        together.wait()
        return download(url, path, HASH)

    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(fetch), pool.submit(fetch)]]
    assert results == [path, path]
    assert len(server.requests) == 1
    assert sorted(os.listdir(path.parent)) == ["people.zip", "people.zip.lock"]
