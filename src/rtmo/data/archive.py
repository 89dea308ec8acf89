"""Unpacks archives: nothing outside the folder, no links, and nothing a second time."""

import gzip
import logging
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from rtmo.errors import InputError

log = logging.getLogger(__name__)

_READ_AT_ONCE = 1 << 16  # bytes
# What damaged archives raise; NotImplementedError and RuntimeError of versions and methods of zip that are unknown.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, struct.error),
    *(ValueError, OverflowError, NotImplementedError, RuntimeError),
)
# Images hardly shrink and annotations to a tenth: what grows more than this is made to fill a disk.
MOST_GROWTH = 100  # content to archive
_FREE = 1 << 30  # bytes that any archive may hold
_MEMBER = 512  # bytes that a member counts at least, so that their number is bounded too


class _Member(NamedTuple):
    name: str
    size: int
    is_file: bool  # neither link nor device; folders are no members
    stream: IO[bytes] | None


def unpack(archive: Path, folder: Path, members: str = "*", flat: bool = False) -> int:
    """Unpacks a .zip, .tar or .tar.gz.

    A file gets its name when it is whole, and one that is there with the size it has in the archive is left alone: what
    was broken off goes on where it stopped. The CRCs of a zip are verified.

    Args:
        folder: Made if it does not exist.
        members: Only files whose name, without its folders, is of this pattern.
        flat: Leave out the folders of the archive.

    Returns:
        How many of these files there are.

    Raises:
        InputError: If the archive is damaged or has no such file, a member is a link, a device, encrypted or would
            leave the folder, its content is more than ``MOST_GROWTH`` times as large, or the disk is too small.
    """
    count = 0
    try:
        left = _FREE + MOST_GROWTH * archive.stat().st_size
        for member in _of_zip(archive, folder, members) if zipfile.is_zipfile(archive) else _of_tar(archive, members):
            left -= max(member.size, _MEMBER)
            if left < 0:
                raise InputError(
                    f"{archive}: {member.name} makes its content more than {MOST_GROWTH} times as large as it is; if "
                    "you trust it, unpack it with another program, and give the folder"
                )
            _write(member, _place(archive, member, folder, flat))
            count += 1
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{archive}: damaged ({str(error)[:200]}); delete it and get it again") from error
    except OSError as error:
        fix = "make room there, or permit writing"
        raise InputError(f"{archive}: cannot be unpacked to {folder} ({error}); {fix}") from error
    if not count:
        raise InputError(f"{archive}: holds no file {members}; it may be another version: look into it")
    return count


def unpacked_beside(archive: Path) -> Path:
    """The folder of a .zip file's content, called like it; unpacked if it is not there yet.

    Raises:
        InputError: If it is damaged or cannot be unpacked there, or the folder is that of another archive.
    """
    folder = archive.with_suffix("")
    if not folder.exists():
        log.info("%s: unpacking it to %s", archive, folder)
        part = archive.with_name(f".{archive.stem}.part")
        unpack(archive, part)
        part.rename(folder)
        return folder
    try:
        with zipfile.ZipFile(archive) as content:
            other = [each.filename for each in _files_of(content) if not _is_same(each, folder / each.filename)]
    except _DAMAGED as error:
        raise InputError(f"{archive}: damaged ({str(error)[:200]}); delete it and get it again") from error
    if other:
        raise InputError(
            f"{folder}: {other[0]} is not that of {archive.name}; remove the folder, and it is unpacked again, or give "
            "the folder itself"
        )
    return folder


def _is_same(entry: zipfile.ZipInfo, file: Path) -> bool:
    """Whether a file may be an entry of an archive: by size, and by CRC for small files such as those of labels."""
    if not file.is_file() or file.stat().st_size != entry.file_size:
        return False
    return entry.file_size > _READ_AT_ONCE or zlib.crc32(file.read_bytes()) == entry.CRC


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Refuses a folder whose disk has too little room.

    Args:
        folder: May not exist yet.
        needed: Bytes.
        purpose: For the message, after "are needed".

    Raises:
        InputError: If so.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise InputError(
            f"{folder}: {needed / 1e9:.1f} GB are needed {purpose}, and {free / 1e9:.1f} GB are free; make room, or "
            "set paths.data_dir to another disk"
        )


def _is_wanted(name: str, members: str) -> bool:
    return fnmatchcase(PurePosixPath(name).name, members)


def _of_tar(archive: Path, members: str) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        for entry in file:
            if not entry.isdir() and _is_wanted(entry.name, members):
                stream = file.extractfile(entry) if entry.isreg() else None
                yield _Member(entry.name, entry.size, entry.isreg(), stream)


def _files_of(file: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [entry for entry in file.infolist() if entry.filename and not entry.is_dir()]


def _of_zip(archive: Path, folder: Path, members: str) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        entries = [entry for entry in _files_of(file) if _is_wanted(entry.filename, members)]
        absent = [entry.file_size for entry in entries if not (folder / entry.filename).exists()]
        check_room(folder, sum(absent), f"to unpack {archive.name}")  # a tar tells only at its end
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            try:
                stream = file.open(entry)
            except RuntimeError as error:  # a password, or Deflate64, in which Windows packs large files
                fix = "unpack it with another program, and give the folder"
                raise InputError(f"{archive}: cannot be unpacked here ({error}); {fix}") from error
            with stream:
                yield _Member(entry.filename, entry.file_size, kind in (0, stat.S_IFREG), stream)


def _place(archive: Path, member: _Member, folder: Path, flat: bool) -> Path:
    if not member.is_file:
        raise InputError(f"{archive}: {member.name} is a link or a device, which no data set needs; get it elsewhere")
    place = folder / (PurePosixPath(member.name).name if flat else member.name)
    inside = place.resolve()
    if not inside.is_relative_to(folder.resolve()) or inside == folder.resolve():
        raise InputError(f"{archive}: {member.name} would be written outside {folder}; get it elsewhere")
    return place


def _write(member: _Member, place: Path) -> None:
    if member.stream is None or (place.is_file() and place.stat().st_size == member.size):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(member.stream, file, 1 << 20)
    part.replace(place)
