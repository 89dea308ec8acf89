import hashlib
import io
import tarfile
import zipfile

import pytest
from file_server import serve

from rtmo import download
from rtmo.data.catalog import Archive, ByHand, DataSet
from rtmo.data_commands.get import get
from rtmo.errors import InputError

ANNOTATIONS = b'{"images": []}'


def image_archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("val/a.jpg", "val/b.jpg"):
            file.writestr(name, name * 5000)
    return buffer.getvalue()


def annotation_archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name in ("set/people.json", "set/people.mat"):
            info = tarfile.TarInfo(name)
            info.size = len(ANNOTATIONS)
            file.addfile(info, io.BytesIO(ANNOTATIONS))
    return buffer.getvalue()


IMAGES, PEOPLE = image_archive(), annotation_archive()
SET = DataSet(
    "people",
    "people",
    "https://people.example.org",
    "CC0",
    archives=(
        Archive("https://one.example.org/a/val.zip", ("val",), sha256=hashlib.sha256(IMAGES).hexdigest(), size=9),
        Archive("http://two.example.org/people.tar", ("annotations/people.json",), "annotations", "*.json", flat=True),
    ),
)
FORM = ByHand(("people/test",), "fill in the form\n  it is long\nunpack to {data_dir}/people")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as running:
        running.contents = {"/one.example.org/a/val.zip": IMAGES, "/two.example.org/people.tar": PEOPLE}
        running.content = None
        monkeypatch.setenv("RTMO_DATA_URL", f"{running.url}/")
        yield running


def files(folder):
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.endswith(".lock"))


WHOLE = ["people/annotations/people.json", "people/val/a.jpg", "people/val/b.jpg"]


def test_a_set_is_downloaded_verified_and_unpacked(tmp_path, server, capsys):
    get(SET, tmp_path)
    assert files(tmp_path) == WHOLE
    assert (tmp_path / "people/val/a.jpg").read_text() == "val/a.jpg" * 5000
    assert not (tmp_path / "people" / "archives").exists()
    shown = capsys.readouterr().out
    assert "https://people.example.org (licence: CC0)" in shown
    assert shown.endswith("people: complete in " + str(tmp_path / "people") + "; nothing is left to do\n")


def test_a_complete_set_is_left_alone(tmp_path, server, capsys):
    get(SET, tmp_path)
    asked = len(server.requests)
    capsys.readouterr()
    get(SET, tmp_path)
    assert len(server.requests) == asked
    assert capsys.readouterr().out.count("\n") == 1


def test_what_the_user_has_put_there_is_not_downloaded(tmp_path, server):
    (tmp_path / "people" / "val").mkdir(parents=True)
    (tmp_path / "people" / "val" / "mine.jpg").write_bytes(b"mine")
    get(SET, tmp_path)
    assert [path for path, _ in server.requests] == ["/two.example.org/people.tar"]


def test_archives_are_kept_on_demand(tmp_path, server):
    get(SET, tmp_path, keep_archives=True)
    assert (tmp_path / "people" / "archives" / "val.zip").read_bytes() == IMAGES
    assert (tmp_path / "people" / "archives" / "people.tar").read_bytes() == PEOPLE


def test_a_broken_connection_is_continued(tmp_path, server):
    server.cuts = [1000]
    get(SET, tmp_path)
    assert server.ranges[:2] == [None, "bytes=1000-"]
    assert files(tmp_path) == WHOLE


def test_an_unpacking_that_was_broken_off_is_continued(tmp_path, server, monkeypatch):
    full = OSError(28, "No space left on device")

    def half(archive, folder, *_):
        (folder / "val").mkdir(parents=True)
        (folder / "val" / "a.jpg").write_text("val/a.jpg" * 5000)
        raise InputError("full") from full

    with monkeypatch.context() as patched:
        patched.setattr("rtmo.data_commands.get.unpack", half)
        with pytest.raises(InputError, match="full"):
            get(SET, tmp_path)
    get(SET, tmp_path)  # although val/ is there and not empty
    assert files(tmp_path) == WHOLE
    assert [path for path, _ in server.requests].count("/one.example.org/a/val.zip") == 1


def test_another_file_than_published_is_refused(tmp_path, server):
    server.contents["/one.example.org/a/val.zip"] = PEOPLE
    with pytest.raises(InputError, match=r"val\.zip: what http.* sends is another file"):
        get(SET, tmp_path)
    assert files(tmp_path) == []


def test_an_archive_of_another_version_is_named(tmp_path, server):
    changed = SET._replace(archives=(SET.archives[0]._replace(provides=("val", "val/c.jpg")),))
    with pytest.raises(InputError, match=r"val\.zip: holds no val/c\.jpg; it is another version"):
        get(changed, tmp_path)


def test_a_disk_that_is_too_small_is_named_before_the_download(tmp_path, server):
    huge = SET._replace(archives=(SET.archives[0]._replace(size=10**18),))
    with pytest.raises(InputError, match="GB are needed to download and unpack"):
        get(huge, tmp_path)
    assert server.requests == []


def test_what_is_left_to_the_user_is_said_until_it_is_there(tmp_path, server, capsys):
    by_hand = SET._replace(by_hand=(FORM,))
    get(by_hand, tmp_path)
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "people: incomplete. https://people.example.org (licence: CC0) leaves this to you:",
        "  - fill in the form",
        "    it is long",
        f"  - unpack to {tmp_path}/people",
        "  - check it: python -m rtmo.data get people",
    ]
    (tmp_path / "people" / "test").mkdir()
    (tmp_path / "people" / "test" / "a.jpg").touch()
    get(by_hand, tmp_path)
    assert "complete in" in capsys.readouterr().out


def test_a_mirror_has_to_be_an_address(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMO_DATA_URL", "mirror.example.org")
    with pytest.raises(
        InputError, match=r"^RTMO_DATA_URL=mirror\.example\.org: not an address; it looks like https://"
    ):
        get(SET, tmp_path)
