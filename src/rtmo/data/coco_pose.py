"""Data sets in COCO's keypoint format, or read into it."""

import functools
import inspect
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from rtmo.data.coco_json import (
    AREA_OF_BOX,
    MissingDataError,
    RawAnnotations,
    check_content,
    joints_by_category,
    missing,
    pack_people,
    read_coco,
)
from rtmo.data.image_file import ImageFile, StoredFile, check_complete, read_size
from rtmo.data.named_joints import named_keypoint_set, with_joints
from rtmo.data.packed import Packed
from rtmo.data.picture import Picture
from rtmo.data.regions import box_polygon, rasterize
from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet, resolve_joints
from rtmo.types import Sample

log = logging.getLogger(__name__)

# Up to so many files are looked at before training starts; more would take minutes on a network drive.
_CHECKED_AT_ONCE = 5000


class AnnotatedImages(PoseSource):
    """Images and people of annotations in COCO's format, whatever file they were read from.

    Every annotation of a category with joints is a person of the sample, crowds and people without keypoints included;
    transforms drop those without a labeled joint. Joints are brought into the order of ``skeleton`` by name. Files and
    annotations are checked here, so that training does not stop hours later.

    Subclasses give the arguments of ``read`` to their constructor; that tells commands how to read a data set of
    theirs without these checks. Where images are kept is asked of ``file_at`` alone, so that it need not be a folder.

    Args:
        name: How logs and errors refer to the set.
        raw: Reads the annotations; called again when the ground truth is asked for, rather than kept in memory.
        skeleton: The joints wanted.
        joints: Joint names in the order of the annotations, or the name of a built-in keypoint set, where the file
            does not list them or calls them otherwise.
        drop_empty: Leave out images without any person: for training, not for validation.
        image_ids: Only these images.
        min_area: Only images with labeled people, none of them smaller than this, px^2 (COCO: medium from 32^2 on).
        max_images: At most so many of the images that remain, the first of the file.

    Raises:
        MissingDataError: If the annotation file, the folder or an image is missing.
        InputError: If an annotation cannot be used, an image file is cut short, or no image remains.
    """

    read: Callable[..., RawAnnotations]
    raw: Callable[[], RawAnnotations]
    image_ids: Int64[np.ndarray, " N"]

    def __init__(
        self,
        *,
        name: str,
        raw: Callable[[], RawAnnotations],
        skeleton: KeypointSet,
        joints: Sequence[str] | str | None = None,
        drop_empty: bool = True,
        image_ids: Sequence[int] | None = None,
        min_area: float | None = None,
        max_images: int | None = None,
    ) -> None:
        self.name, self.skeleton, self.raw = name, skeleton, raw
        read = raw()
        self._file, self._image_dir, content = read.file, read.image_dir, read.content
        self._displayed = read.displayed
        check_content(self._file, content)
        self._joints = joints_by_category(self._file, content["categories"], resolve_joints(joints), skeleton)
        annotations = self._of_people(content["annotations"])
        listed = {category["id"] for category in content["categories"]}
        if orphans := sum(entry["category_id"] not in listed for entry in content["annotations"]):
            log.warning("%s: %d annotations of categories that it does not list, left out", self._file, orphans)
        self._people = pack_people(self._file, annotations, self._joints, skeleton)
        by_image = _rows_by_image(self._people.image_ids)
        selected = self._select(
            content["images"],
            by_image,
            drop_empty=drop_empty,
            image_ids=image_ids,
            min_area=min_area,
            max_images=max_images,
        )
        rows = [by_image.get(image["id"], np.empty(0, dtype=np.int64)) for image in selected]
        # Arrays rather than trees of objects: forked workers go on sharing their memory.
        self.image_ids = np.array([image["id"] for image in selected], dtype=np.int64)
        self._file_names = Packed.of_bytes([os.fsencode(str(image["file_name"])) for image in selected])
        self._sizes = np.array([[image.get("height", 0), image.get("width", 0)] for image in selected])  # 0: not given
        self._rows = Packed(rows, np.int64)
        self._ignored = Packed.of_bytes([self._ignored_regions(annotations, each) for each in rows])
        self._check_files()
        labeled = int(self._people.is_labeled[np.concatenate(rows)].sum())
        log.info("%s: %d images, %d people with keypoints", name, len(self), labeled)

    @classmethod
    def named_keypoint_set(cls, *, joints: Sequence[str] | str | None = None, **arguments: Any) -> KeypointSet:
        """The keypoints that the files of a data set name, for those who do not say which to learn.

        Args:
            joints: As for the constructor.
            arguments: Others of the constructor.

        Raises:
            InputError: If the files cannot be read or name none.
        """
        raw = cls.read(
            **{name: arguments[name] for name in inspect.signature(cls.read).parameters if name in arguments}
        )
        skeleton, summary = named_keypoint_set(with_joints(raw.content, joints), raw.file.stem, str(raw.file))
        log.info("%s: %s", raw.file, summary)
        return skeleton

    def __len__(self) -> int:
        return len(self._file_names)

    def file_name(self, index: int) -> str:
        """The file of an image, relative to the folder of all."""
        return os.fsdecode(self._file_names.bytes_at(index))

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """See ``PoseSource.load``. Boxes are clipped to the last pixel, as RTMO was trained.

        Raises:
            InputError: If the image is damaged or not of the size that its annotation says.
        """
        return self.load_undrawn(index, with_ignore_mask).drawn()

    def load_undrawn(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """See ``PoseSource.load_undrawn``; what ``load`` raises comes when the image is drawn."""
        file, (height, width) = self.file_at(index), self._sizes[index].tolist()
        if not (height and width):
            height, width = read_size(file, self._displayed)
        image = ImageFile(file, (height, width), self._displayed, self._file)
        ignore_mask = rasterize(json.loads(self._ignored.bytes_at(index)), height, width) if with_ignore_mask else None
        rows = self._rows[index]
        corners = self._people.bboxes[rows].copy()
        corners[:, 2:] += corners[:, :2]
        corners[:, 0::2] = corners[:, 0::2].clip(0, width - 1)
        corners[:, 1::2] = corners[:, 1::2].clip(0, height - 1)
        guess = AREA_OF_BOX * np.prod(corners[:, 2:] - corners[:, :2], axis=1)  # of the part within the image
        return Sample(
            image=Picture.showing(image, ignore_mask),
            bboxes=corners,
            keypoints=self._people.keypoints[rows],
            visibility=self._people.visibility[rows],
            annotated=self._people.annotated[rows],
            area=np.where(self._people.has_area[rows], self._people.area[rows], guess).astype(np.float32),
            image_id=int(self.image_ids[index]),
            warp=np.eye(2, 3),
        )

    def file_at(self, index: int) -> StoredFile:
        """Where an image is kept."""
        return self._image_dir / self.file_name(index)

    def ground_truth(self) -> dict[str, Any]:
        """The original entries of the selected images, read from the file again rather than kept in memory.

        Where joints come in another order or set, keypoints follow ``skeleton`` with 0, 0, 0 for missing joints; fields
        the evaluation needs (area, iscrowd, num_keypoints) are filled in where the file lacks them.
        """
        content = self.raw().content
        wanted = set(self.image_ids.tolist())
        categories = [category for category in content["categories"] if category["id"] in self._joints]
        annotations = self._of_people(content["annotations"])
        return {
            **{field: content[field] for field in ("info", "licenses") if field in content},
            "images": [image for image in content["images"] if image["id"] in wanted],
            "annotations": [self._evaluable(entry) for entry in annotations if entry["image_id"] in wanted],
            "categories": [{**category, "keypoints": list(self.skeleton.joints)} for category in categories],
        }

    def _of_people(self, annotations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [annotation for annotation in annotations if annotation["category_id"] in self._joints]

    def _evaluable(self, annotation: Mapping[str, Any]) -> dict[str, Any]:
        names = self._joints[annotation["category_id"]]
        flat = annotation.get("keypoints") or [0] * (3 * len(names))
        if names != self.skeleton.joints:
            points = {name: flat[3 * i : 3 * i + 3] for i, name in enumerate(names)}
            flat = [value for joint in self.skeleton.joints for value in points.get(joint, (0, 0, 0))]
        labeled = sum(flag > 0 for flag in flat[2::3])
        _, _, width, height = annotation["bbox"]
        counted = annotation.get("num_keypoints", labeled) if names == self.skeleton.joints else labeled
        defaults = {"iscrowd": 0, "area": AREA_OF_BOX * width * height}
        given = {field: value for field, value in annotation.items() if value is not None}
        return {**defaults, **given, "keypoints": flat, "num_keypoints": counted}

    def _select(
        self,
        images: Sequence[dict[str, Any]],
        by_image: Mapping[int, np.ndarray],
        *,
        drop_empty: bool,
        image_ids: Sequence[int] | None,
        min_area: float | None,
        max_images: int | None,
    ) -> list[dict[str, Any]]:
        if image_ids is not None:
            unknown = sorted(set(image_ids) - {image["id"] for image in images})
            if unknown:
                raise InputError(f"{self._file}: image_ids {unknown[:5]} are not among its images")
            wanted = set(image_ids)
            images = [image for image in images if image["id"] in wanted]
        if drop_empty:
            images = [image for image in images if image["id"] in by_image]
        if min_area is not None:
            people = self._people
            small = set(people.image_ids[people.is_labeled & (people.area < min_area)].tolist())
            large = set(people.image_ids[people.is_labeled].tolist()) - small
            images = [image for image in images if image["id"] in large]
        if max_images is not None:
            images = images[: max(0, max_images)]
        if not images:
            raise InputError(
                f"{self._file}: no image remains of data set {self.name!r} with drop_empty={drop_empty}, "
                f"image_ids={image_ids}, min_area={min_area}, max_images={max_images}; loosen them"
            )
        return list(images)

    def _ignored_regions(self, annotations: Sequence[dict[str, Any]], rows: np.ndarray) -> bytes:
        unlabeled = [annotations[row] for row in rows if not self._people.is_labeled[row]]
        return json.dumps([entry.get("segmentation") or box_polygon(entry["bbox"]) for entry in unlabeled]).encode()

    def _check_files(self) -> None:
        if not self._image_dir.is_dir():
            raise missing("image_dir", self._image_dir, "folder")
        paths = [self._image_dir / self.file_name(index) for index in range(len(self))]
        present: dict[Path, set[str]] = {}
        for folder in {path.parent for path in paths}:
            present[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
        absent = [path for path in paths if path.name not in present[path.parent]]
        if absent:
            raise MissingDataError(
                f"{absent[0]}: missing, as are {len(absent) - 1} more of the {len(paths)} images of {self._file}; "
                "download them, correct image_dir, or select the images you have with image_ids"
            )
        if len(paths) <= _CHECKED_AT_ONCE:
            for path in paths:
                check_complete(path)


class CocoPose(AnnotatedImages):
    """A COCO keypoint file; see ``coco_json.read_coco`` and ``AnnotatedImages`` for the arguments."""

    read = staticmethod(read_coco)

    def __init__(
        self,
        *,
        annotation_file: str | Path,
        image_dir: str | Path,
        first_pixel: int = 0,
        images_only: bool = False,
        name: str,
        skeleton: KeypointSet,
        joints: Sequence[str] | str | None = None,
        drop_empty: bool = True,
        image_ids: Sequence[int] | None = None,
        min_area: float | None = None,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            raw=functools.partial(self.read, annotation_file, image_dir, first_pixel, images_only),
            name=name,
            skeleton=skeleton,
            joints=joints,
            drop_empty=drop_empty,
            image_ids=image_ids,
            min_area=min_area,
            max_images=max_images,
        )


def _rows_by_image(image_ids: np.ndarray) -> dict[int, np.ndarray]:
    """For each image id, the rows of its people in file order."""
    order = np.argsort(image_ids, kind="stable")
    counts = Counter(image_ids.tolist())
    ids = sorted(counts)
    splits = np.cumsum([counts[image_id] for image_id in ids])[:-1]
    return dict(zip(ids, np.split(order, splits), strict=True)) if ids else {}
