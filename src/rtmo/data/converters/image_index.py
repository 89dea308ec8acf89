"""The images of a folder: which one a name in an annotation file means, and what its header says."""

import os
import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath

from rtmo.data.coco_json import MissingDataError
from rtmo.data.image_file import read_header
from rtmo.errors import InputError

SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_TURNED = range(2, 9)  # values of EXIF's orientation that turn or mirror an image


class ImageIndex:
    """All images below a folder, found by the end of their path.

    Attributes:
        folder: Names are relative to it.

    Raises:
        InputError: If there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
        for parent, folders, files in os.walk(folder, followlinks=True):
            folders[:] = sorted(name for name in folders if not _is_hidden(name))
            inside = Path(parent).relative_to(folder)
            for file in sorted(files):
                if is_image(file):
                    self._by_name[_alike(file)].append(PurePosixPath((inside / file).as_posix()))
        if not self._by_name:
            raise InputError(
                f"{folder}: no image in it nor below ({', '.join(sorted(SUFFIXES))}); give the folder that holds "
                "annotations and images"
            )

    def find(self, name: str, where: str) -> str:
        """The path below ``folder`` of the image that a name means, which may have other folders in front.

        Args:
            name: A path as the tool knew it, in either kind of slashes.
            where: What messages start with.

        Raises:
            MissingDataError: If there is no such image.
            InputError: If several fit equally well.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        found = self._by_name.get(_alike(wanted.name), [])
        if not found:
            raise MissingDataError(f"{where}: there is no image {wanted.name} in {self.folder} nor below; add it")
        scores = [_common_end(wanted, path) for path in found]
        best = [path for path, score in zip(found, scores, strict=True) if score == max(scores)]
        if len(best) > 1:
            raise InputError(f"{where}: {name} may be {best[0]} or {best[1]} of {self.folder}; remove or rename one")
        return str(best[0])


def is_image(name: str) -> bool:
    """Whether a file is called like an image; hidden files are not."""
    return not _is_hidden(name) and os.path.splitext(name)[1].lower() in SUFFIXES


def visible_files(folder: Path, *patterns: str) -> list[Path]:
    """Files of some patterns in a folder and below, without hidden ones, such as those that macOS adds to archives."""
    found = (file for pattern in patterns for file in sorted(folder.rglob(pattern)))
    return [file for file in found if not any(map(_is_hidden, file.relative_to(folder).parts)) and file.is_file()]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_turned(file: Path) -> bool:
    """Whether viewers show an image otherwise than it is stored.

    Raises:
        InputError: If the file is no image.
    """
    return read_header(file)[2] in _TURNED


def _alike(name: str) -> str:
    """What names have in common that differ in capitals, or in how umlauts are encoded: macOS takes them apart."""
    return unicodedata.normalize("NFC", name).lower()


def _common_end(a: PurePosixPath, b: PurePosixPath) -> int:
    """How many parts two paths share, counted from the end."""
    count = 0
    for one, other in zip(reversed(a.parts), reversed(b.parts), strict=False):
        if _alike(one) != _alike(other):
            break
        count += 1
    return count
