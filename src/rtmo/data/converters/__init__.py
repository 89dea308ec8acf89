"""Annotation formats that are not COCO's, each read into COCO content by a module of its own.

Every reader takes a file or folder, and ``image_dir``, the folder that file names are relative to; with it, sizes that
the format leaves out are read off the images. It returns images, annotations and categories, and only what the format
itself says: ``coco_content.complete`` fills in the rest where a file for others is written.

The table here is of formats that data sets are published in; ``rtmo.data.folder`` has that of annotation tools.
"""

from pathlib import Path
from typing import Any, Protocol

from rtmo.data.converters import aic, halpe, jhmdb, mpii, posetrack18


class Reader(Protocol):
    """Reads one format.

    Raises:
        InputError: If the file is not of the format.
    """

    def __call__(self, path: Path, *, image_dir: Path | None = None) -> dict[str, Any]: ...


CONVERTERS: dict[str, Reader] = {
    "aic": aic.read,
    "halpe": halpe.read,
    "jhmdb": jhmdb.read,
    "mpii": mpii.read,
    "posetrack18": posetrack18.read,
}
