"""Annotation formats that are not COCO's, each read into COCO content by a module of its own.

Every reader takes a file or folder, and ``image_dir``, the folder that file names are relative to; with it, sizes that
the format leaves out are read off the images. It returns images, annotations and categories, and only what the format
itself says: ``coco_content.complete`` fills in the rest where a file for others is written.

The table here is of formats that data sets are published in; ``rtmo.data.folder`` has that of annotation tools.
"""

import functools
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rtmo.data.converters import aic, halpe, jhmdb, mpii, posetrack18
from rtmo.errors import InputError


@runtime_checkable
class Reader(Protocol):
    """Reads one format.

    Raises:
        InputError: If the file is not of the format.
    """

    def __call__(self, path: Path, *, image_dir: Path | None = None) -> dict[str, Any]: ...


def _refusing(name: str, read: Reader) -> Reader:
    """Readers trust the form of what they index; a file that has another makes them fail in Python's ways."""

    @functools.wraps(read)
    def checked(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
        try:
            return read(path, image_dir=image_dir)
        except InputError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: not of the format {name} ({error!r}); get it again") from error

    return checked


_READERS: dict[str, Reader] = {
    "aic": aic.read,
    "halpe": halpe.read,
    "jhmdb": jhmdb.read,
    "mpii": mpii.read,
    "posetrack18": posetrack18.read,
}
CONVERTERS = {name: _refusing(name, read) for name, read in _READERS.items()}
