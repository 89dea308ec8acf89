"""Archives that annotation tools export."""

import logging
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

from rtmo.errors import InputError

log = logging.getLogger(__name__)

_CHECKED = frozenset((".json", ".txt", ".xml", ".yaml", ".yml"))  # by content; images by size


def unpacked(archive: Path) -> Path:
    """The folder of a .zip file's content, beside it and called like it; unpacked if it is not there yet.

    Raises:
        InputError: If it is damaged, cannot be unpacked there, or the folder is that of another archive.
    """
    folder = archive.with_suffix("")
    try:
        with zipfile.ZipFile(archive) as content:
            if folder.exists():
                _check_same(content, folder, archive)
                return folder
            log.info("%s: unpacking it to %s", archive, folder)
            with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{archive.stem}-") as beside:
                content.extractall(Path(beside) / "content")
                with suppress(FileExistsError):  # another process was faster
                    (Path(beside) / "content").rename(folder)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{archive}: a damaged archive ({error}); export or download it again") from error
    except OSError as error:
        raise InputError(
            f"{archive}: cannot be unpacked to {folder} ({error}); unpack it and give the folder"
        ) from error
    return folder


def _check_same(content: zipfile.ZipFile, folder: Path, archive: Path) -> None:
    for member in content.infolist():
        file = folder / member.filename
        if member.is_dir():
            continue
        same = file.is_file() and file.stat().st_size == member.file_size
        if same and file.suffix.lower() in _CHECKED:
            same = zlib.crc32(file.read_bytes()) == member.CRC
        if not same:
            raise InputError(
                f"{folder}: {member.filename} is not that of {archive.name}; remove the folder, and it is unpacked "
                "again, or give the folder itself"
            )
