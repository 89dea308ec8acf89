"""Unpacks archives that were downloaded: nothing outside the folder, no links, and what is there already is not redone."""

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from rtmo.errors import InputError

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError)


class _Member(NamedTuple):
    name: str
    size: int
    is_file: bool  # neither folder, link nor device
    stream: IO[bytes] | None


def unpack(archive: Path, folder: Path, members: str = "*", flat: bool = False) -> int:
    """Unpacks a .zip, .tar or .tar.gz.

    A file gets its name when it is whole, and one that is there with the size it has in the archive is left alone: what
    was broken off goes on where it stopped.

    Args:
        folder: Made if it does not exist.
        members: Only files whose name, without its folders, is of this pattern.
        flat: Leave out the folders of the archive.

    Returns:
        How many files of the archive are in the folder now.

    Raises:
        InputError: If the archive is damaged, a member is a link, a device or would leave the folder, or the disk is
            too small.
    """
    read = _zipped if zipfile.is_zipfile(archive) else _tarred
    count = 0
    try:
        _check_room(archive, folder, members)
        for member in read(archive):
            if fnmatchcase(PurePosixPath(member.name).name, members):
                _write(member, _place(archive, member, folder, flat))
                count += 1
    except _DAMAGED as error:
        raise InputError(f"{archive}: damaged ({error}); delete it and get it again") from error
    except OSError as error:
        raise InputError(
            f"{archive}: cannot be unpacked to {folder} ({error}); make room, or permit writing"
        ) from error
    return count


def _zipped(archive: Path) -> Iterator[_Member]:
    """Members of a zip; reading one to its end checks its CRC."""
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if not info.is_dir():
                with file.open(info) as stream:
                    yield _Member(info.filename, info.file_size, kind in (0, stat.S_IFREG), stream)


def _tarred(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        for info in file:
            if not info.isdir():
                yield _Member(info.name, info.size, info.isreg(), file.extractfile(info) if info.isreg() else None)


def _place(archive: Path, member: _Member, folder: Path, flat: bool) -> Path:
    """Where a member belongs."""
    if not member.is_file:
        raise InputError(f"{archive}: {member.name} is a link or a device, which no data set has; get it elsewhere")
    place = folder / (PurePosixPath(member.name).name if flat else member.name)
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{archive}: {member.name} would be written outside {folder}; get the archive elsewhere")
    return place


def _write(member: _Member, place: Path) -> None:
    if member.stream is None or (place.is_file() and place.stat().st_size == member.size):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(member.stream, file, 1 << 20)
    part.replace(place)


def _check_room(archive: Path, folder: Path, members: str) -> None:
    """Refuses before the disk is full. What a tar holds is known at its end only: there at least its own size counts."""
    needed = archive.stat().st_size
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            wanted = [info for info in file.infolist() if fnmatchcase(PurePosixPath(info.filename).name, members)]
            needed = sum(info.file_size for info in wanted)
    check_room(folder, needed - _held(folder), f"to unpack {archive.name}")


def _held(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Refuses a folder whose disk has too little room.

    Args:
        folder: May not exist yet.
        needed: Bytes.
        purpose: For the message.

    Raises:
        InputError: If so.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise InputError(
            f"{folder}: {needed / 1e9:.1f} GB are needed {purpose}, {free / 1e9:.1f} GB are free; make room, or set "
            "paths.data_dir to another disk"
        )
