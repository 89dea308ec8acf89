"""Data sets read from the files that their authors publish, without converting them first."""

import functools
from collections.abc import Sequence
from pathlib import Path

from rtmo.data.coco_json import RawAnnotations
from rtmo.data.coco_pose import AnnotatedImages
from rtmo.data.converters import CONVERTERS
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.targets import did_you_mean


def read_raw(annotation_format: str, annotation_file: str | Path, image_dir: str | Path) -> RawAnnotations:
    """What a reader of ``rtmo.data.converters`` makes of a file or folder.

    Raises:
        InputError: If there is no such format, or the file is not of it.
    """
    if annotation_format not in CONVERTERS:
        raise InputError(
            f"annotation_format={annotation_format}: no such format; {did_you_mean(annotation_format, CONVERTERS)}"
        )
    file = Path(annotation_file)
    return RawAnnotations(file, Path(image_dir), CONVERTERS[annotation_format](file))


class RawPose(AnnotatedImages):
    """Annotations of another format than COCO's; see ``read_raw`` and ``AnnotatedImages`` for the arguments."""

    read = staticmethod(read_raw)

    def __init__(
        self,
        *,
        annotation_format: str,
        annotation_file: str | Path,
        image_dir: str | Path,
        name: str,
        skeleton: KeypointSet,
        drop_empty: bool = True,
        image_ids: Sequence[int] | None = None,
        min_area: float | None = None,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            raw=functools.partial(self.read, annotation_format, annotation_file, image_dir),
            name=name,
            skeleton=skeleton,
            drop_empty=drop_empty,
            image_ids=image_ids,
            min_area=min_area,
            max_images=max_images,
        )
