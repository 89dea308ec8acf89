"""The images of a folder: which one a name in an annotation file means, and what its header says."""

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from rtmo.data.coco_json import MissingDataError
from rtmo.errors import InputError

SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_ORIENTATION, _TURNED_BY_90 = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that trade height and width


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
            folders.sort()
            inside = Path(parent).relative_to(folder)
            for file in sorted(files):
                if is_image(file):
                    self._by_name[file.lower()].append(PurePosixPath((inside / file).as_posix()))
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
        found = self._by_name.get(wanted.name.lower(), [])
        if not found:
            raise MissingDataError(f"{where}: there is no image {wanted.name} in {self.folder} nor below; add it")
        scores = [_common_end(wanted, path) for path in found]
        best = [path for path, score in zip(found, scores, strict=True) if score == max(scores)]
        if len(best) > 1:
            raise InputError(f"{where}: {name} may be {best[0]} or {best[1]} of {self.folder}; remove or rename one")
        return str(best[0])


def is_image(name: str) -> bool:
    """Whether a file is called like an image; hidden files are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def displayed_size(file: Path) -> tuple[int, int]:
    """(height, width) of an image as viewers show it, turned as its EXIF header says; read without decoding.

    Raises:
        InputError: If the file is no image.
    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            # that of the base class, for the one of PNG decodes the image
            turned = Image.Image.getexif(image).get(_ORIENTATION) in _TURNED_BY_90
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{file}: not an image, or a damaged one ({error}); replace or remove it") from error
    return (width, height) if turned else (height, width)


def _common_end(a: PurePosixPath, b: PurePosixPath) -> int:
    """How many parts two paths share, counted from the end."""
    count = 0
    for one, other in zip(reversed(a.parts), reversed(b.parts), strict=False):
        if one.lower() != other.lower():
            break
        count += 1
    return count
