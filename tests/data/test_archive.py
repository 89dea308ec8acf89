import io
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest

from rtmo.data import archive as module
from rtmo.data.archive import check_room, unpack, unpacked_beside
from rtmo.errors import InputError

FILES = {"images/a.jpg": b"a" * 3000, "images/sub/b.jpg": bytes(range(256)) * 40, "readme.txt": b"read me"}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.mkdir("images")
        for name, content in files.items():
            file.writestr(name, content)


def tarred(path, files, mode="w"):
    with tarfile.open(path, mode) as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


WRITERS = {
    "set.zip": zipped,
    "set.tar": tarred,
    "set.tar.gz": lambda path, files: tarred(path, files, "w:gz"),
}


@pytest.fixture(params=WRITERS)
def archive(request, tmp_path):
    path = tmp_path / request.param
    WRITERS[request.param](path, FILES)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "set"


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_unpacked(archive, folder):
    assert unpack(archive, folder) == 3
    assert content(folder) == FILES


def test_members_by_pattern_without_their_folders(archive, folder):
    assert unpack(archive, folder, "*.jpg", flat=True) == 2
    assert content(folder) == {"a.jpg": FILES["images/a.jpg"], "b.jpg": FILES["images/sub/b.jpg"]}


def test_a_whole_file_is_left_alone_and_half_a_file_is_replaced(archive, folder):
    (folder / "images" / "sub").mkdir(parents=True)
    (folder / "images" / "a.jpg").write_bytes(b"A" * 3000)  # as large, so it is taken for whole
    (folder / "images" / "sub" / "b.jpg").write_bytes(b"half")
    (folder / "readme.txt.part").write_bytes(b"re")
    unpack(archive, folder)
    assert content(folder) == FILES | {"images/a.jpg": b"A" * 3000}


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "images/../../evil"])
@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_leaves_the_folder(kind, name, tmp_path, folder):
    path = tmp_path / kind
    WRITERS[kind](path, {name: b"evil"})
    with pytest.raises(InputError, match=f"{kind}: {name} would be written outside"):
        unpack(path, folder)
    assert not list(tmp_path.rglob("evil*"))


def test_nothing_goes_through_a_link_that_is_there(archive, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder.mkdir(parents=True)
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"a\.jpg would be written outside"):
        unpack(archive, folder)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(kind, tmp_path, folder):
    info = tarfile.TarInfo("way_out")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.addfile(info)
    with pytest.raises(InputError, match=r"set\.tar: way_out is a link or a device"):
        unpack(tmp_path / "set.tar", folder)
    assert not (folder / "way_out").exists()


def test_links_of_a_zip_are_refused(tmp_path, folder):
    info = zipfile.ZipInfo("way_out")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match=r"set\.zip: way_out is a link or a device"):
        unpack(tmp_path / "set.zip", folder)


@pytest.mark.parametrize("kind", ["set.tar", "set.tar.gz"])
def test_a_tar_that_is_cut_short_is_named(kind, tmp_path, folder):
    path = tmp_path / kind
    WRITERS[kind](path, FILES)
    path.write_bytes(path.read_bytes()[: 200 if kind == "set.tar.gz" else 2000])
    with pytest.raises(InputError, match=f"{kind}: damaged"):
        unpack(path, folder)
    whole = {name: data for name, data in content(folder).items() if not name.endswith(".part")}
    assert whole.items() < FILES.items()


def test_a_zip_with_a_wrong_crc_is_named(tmp_path, folder):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as file:  # stored, not compressed
        file.writestr("a.jpg", b"intact" * 100)
    path.write_bytes(path.read_bytes().replace(b"intactintact", b"inTactintact", 1))
    with pytest.raises(InputError, match=r"set\.zip: damaged \(Bad CRC-32"):
        unpack(path, folder)
    assert not (folder / "a.jpg").exists()


def test_what_is_no_archive_is_named(tmp_path, folder):
    (tmp_path / "set.zip").write_text("<!DOCTYPE html>")
    with pytest.raises(InputError, match=r"set\.zip: damaged"):
        unpack(tmp_path / "set.zip", folder)


def test_a_zip_with_a_password_is_named(tmp_path, folder):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.jpg", b"a")
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(header) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip: cannot be unpacked here .*encrypted.*give the folder"):
        unpack(path, folder)


def test_another_archive_is_named(archive, folder):
    with pytest.raises(InputError, match=r"holds no file \*\.json; it may be another version"):
        unpack(archive, folder, "*.json")


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(tmp_path, folder, monkeypatch):
    zipped(tmp_path / "set.zip", FILES)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5000, 5000))
    with pytest.raises(InputError, match=r"set: 0\.0 GB are needed to unpack set\.zip"):
        unpack(tmp_path / "set.zip", folder)
    assert not folder.exists()
    check_room(folder, 5000, "")
    with pytest.raises(InputError, match=r"2\.5 GB are needed to download, and 0\.0 GB are free; make room"):
        check_room(folder, 2_500_000_000, "to download")


@pytest.mark.parametrize("name", [".", "..", "images/.."])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_member_is_not_the_folder_itself(kind, name, tmp_path, folder):
    path = tmp_path / kind
    WRITERS[kind](path, {name: b"evil"})
    with pytest.raises(InputError, match="would be written outside"):
        unpack(path, folder)
    assert not (folder.parent / f"{folder.name}.part").exists()


def test_a_member_without_a_name_is_left_out(tmp_path, folder):
    path = tmp_path / "set.zip"
    unnamed = zipfile.ZipInfo("x")
    unnamed.filename = ""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", b"a")
        file.writestr(unnamed, b"b")
    assert unpack(path, folder) == 1
    assert content(folder) == {"a.txt": b"a"}
    assert unpacked_beside(path) == tmp_path / "set"


@pytest.mark.parametrize("kind", ["set.zip", "set.tar.gz"])
def test_content_that_grows_without_end_is_refused(kind, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(module, "_FREE", 1000)
    path = tmp_path / kind
    WRITERS[kind](path, {"bomb": bytes(2**20)})
    with pytest.raises(InputError, match=r"bomb makes its content more than 100 times as large as it is"):
        unpack(path, folder)
    assert content(folder) == {}


def test_the_number_of_members_is_bounded_too(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(module, "_FREE", 1000)
    monkeypatch.setattr(module, "MOST_GROWTH", 10)
    path = tmp_path / "set.tar.gz"
    WRITERS[path.name](path, {f"{number:04}": b"" for number in range(2000)})
    with pytest.raises(InputError, match="more than 10 times as large"):
        unpack(path, folder)
