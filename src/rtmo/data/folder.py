"""Your own data: a folder or file of any of the usual formats, split into training and validation images."""

import functools
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtmo.data.archive import unpacked_beside
from rtmo.data.coco_json import MissingDataError, RawAnnotations, read_json
from rtmo.data.coco_pose import AnnotatedImages
from rtmo.data.converters.coco_folder import is_coco_keypoints, read_coco_folder
from rtmo.data.converters.cvat import is_cvat, read_cvat
from rtmo.data.converters.image_index import visible_files
from rtmo.data.converters.label_studio import is_label_studio, read_label_studio
from rtmo.data.converters.labelme import is_labelme, read_labelme
from rtmo.data.converters.yolo_pose import read_yolo_pose
from rtmo.data.named_joints import named_keypoint_set, use_usual_names, with_joints
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet

log = logging.getLogger(__name__)

Split = Literal["train", "val"]
VAL_FRACTION = 0.1  # of the images, unless somebody says otherwise
_JSON_LOOKED_AT = 20  # labelme has one for each image


@dataclass(frozen=True)
class Format:
    """One format of annotations.

    Attributes:
        recognised_by: What is looked for, in words.
        read: Reads it into COCO content; images may have a ``split``, and ``file`` is what messages name, if not the
            folder.
        displayed: Whether pixels are those of the image as viewers show it, turned as its EXIF header says. COCO's are
            those of the file.
    """

    recognised_by: str
    read: Callable[..., dict[str, Any]]
    displayed: bool = True


FORMATS: dict[str, Format] = {
    "coco": Format(
        "a .json file with images, annotations and categories, and keypoints in them", read_coco_folder, displayed=False
    ),
    "yolo_pose": Format("a .yaml file with kpt_shape", read_yolo_pose),
    "cvat": Format("an .xml file <annotations>", read_cvat),
    "label_studio": Format("a .json file with a list of tasks", read_label_studio),
    "labelme": Format(".json files with shapes and imagePath", read_labelme),
}


def locate_data(root: str | Path, format: str | None = None) -> tuple[Path, str]:
    """Where data lie, an archive unpacked beside itself, and in which format.

    Args:
        format: A name of ``FORMATS``; None: found out.

    Raises:
        MissingDataError: If there is nothing.
        InputError: If the format is unknown, not recognised, or one of several.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"data.format: {format!r} is unknown; choose one of {', '.join(FORMATS)}, or null to find out")
    path = Path(root)
    if not path.exists():
        raise MissingDataError(f"data.root: there is no file or folder {path}")
    path = unpacked_beside(path) if path.suffix.lower() == ".zip" else path
    candidates = _candidates(path)
    archives = sorted(path.glob("*.zip")) if path.is_dir() and not candidates else []
    if len(archives) == 1:
        return locate_data(archives[0], format)
    if format is not None:
        return path, format
    found = _formats_of(candidates)
    if len(found) == 1:
        return path, found[0]
    if found:
        raise InputError(f"{path}: annotations of several formats, {', '.join(found)}; choose with data.format=...")
    looked_for = "; ".join(f"{name}: {each.recognised_by}" for name, each in FORMATS.items())
    files = [path] if path.is_file() else visible_files(path, "*")
    kinds = Counter(file.suffix.lower() or "no suffix" for file in files)
    there = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"
    raise InputError(f"{path}: no annotations of a known format. Looked for: {looked_for}. Found: {there}")


def _candidates(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [
        *visible_files(path, "*.yaml", "*.yml", "*.xml"),
        *visible_files(path, "*.json")[:_JSON_LOOKED_AT],
    ]


def _formats_of(files: Sequence[Path]) -> list[str]:
    """The formats of some files; one that cannot be read counts only if it may be the one that was meant."""
    found: dict[str | None, None] = {}
    damaged: InputError | None = None
    for file in files:
        try:
            found[_format_of(file)] = None
        except InputError as error:
            damaged = damaged or error
    names = [name for name in found if name is not None]
    if damaged and not names:
        raise damaged
    return names


def _format_of(file: Path) -> str | None:
    match file.suffix.lower():
        case ".yaml" | ".yml":
            return "yolo_pose" if "kpt_shape" in file.read_text(encoding="utf-8", errors="replace") else None
        case ".xml":
            return "cvat" if is_cvat(file) else None
        case ".json":
            content = read_json(file)
            tests = {"coco": is_coco_keypoints, "label_studio": is_label_studio, "labelme": is_labelme}
            return next((name for name, fits in tests.items() if fits(content)), None)
    return None


def read_data(root: str | Path, format: str | None, val_fraction: float) -> RawAnnotations:
    """All images of a data set; ``split`` of each image and annotation is train or val.

    Where the data say so, that is it; else a share of the images is for validation, chosen by a hash of their path
    below the root, so that the others stay where they are when some are added. Images of a split ``test`` are left
    out. What cannot be used, such as an annotation of no image, stays, for ``AnnotatedImages`` to refuse and the doctor
    to report.

    Args:
        root: A folder, an archive or a file.
        format: A name of ``FORMATS``; None: found out.
        val_fraction: Above 0; 1 is all images.

    Raises:
        InputError: If they cannot be read, or there are not two images.
    """
    path, name = locate_data(root, format)
    folder = path if path.is_dir() else path.parent
    content = FORMATS[name].read(path, image_dir=folder)
    use_usual_names(content)
    images = [image for image in content["images"] if image.get("split") != "test"]
    if left_out := len(content["images"]) - len(images):
        log.info("%s: %d images of the split test, left out", path, left_out)
    splits = _splits([(str(image.get("file_name")), image.get("split")) for image in images], val_fraction, path)
    split_of: dict[str, str] = {}
    for image, split in zip(images, splits, strict=True):
        split_of.setdefault(str(image.get("id")), split)  # two images of one id stay together, so that it is seen
    left = {str(image.get("id")) for image in content["images"]} - split_of.keys()
    nowhere = "train" if "train" in splits else "val"
    content = {
        **content,
        "images": [{**image, "split": split_of[str(image.get("id"))]} for image in images],
        "annotations": [
            {**entry, "split": split_of.get(number, nowhere)}
            for entry in content["annotations"]
            if (number := str(entry.get("image_id"))) not in left
        ],
    }
    return RawAnnotations(content.pop("file", path), folder, content, displayed=FORMATS[name].displayed)


def _splits(images: Sequence[tuple[str, str | None]], val_fraction: float, where: Path) -> list[Split]:
    given = {split for _, split in images}
    if {"train", "val"} <= given:
        return ["val" if split == "val" else "train" for _, split in images]
    if not 0 < val_fraction <= 1:
        raise InputError(f"data.val_fraction must be above 0 and at most 1, got {val_fraction}")
    if val_fraction == 1:
        return ["val"] * len(images)
    if len(images) < 2:
        raise InputError(f"{where}: {len(images)} annotated images; one is needed to train and another to validate")
    places = [_place(name) for name, _ in images]
    splits: list[Split] = ["val" if place < val_fraction else "train" for place in places]
    nearest: dict[Split, float] = {"val": min(places), "train": max(places)}
    for split, place in nearest.items():
        if split not in splits:  # at least one image in each
            splits[places.index(place)] = split
    return splits


def _place(name: str) -> float:
    """Where between 0 and 1 a name stands, by chance but for ever."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


def read_folder(
    root: str | Path, split: Split, format: str | None = None, val_fraction: float = VAL_FRACTION
) -> RawAnnotations:
    """The images and people of one split; see ``read_data``.

    Raises:
        InputError: If they cannot be read.
    """
    if split not in ("train", "val"):
        raise InputError(f"split must be train or val, got {split!r}")
    raw = read_data(root, format, val_fraction)
    content = dict(raw.content)
    for field in ("images", "annotations"):
        content[field] = [entry for entry in content[field] if entry["split"] == split]
    if not content["images"]:
        raise InputError(f"{root}: no image is for {split}; data.val_fraction={val_fraction} of all are for validation")
    return RawAnnotations(raw.file, raw.image_dir, content, raw.displayed)


class FolderPose(AnnotatedImages):
    """A folder or file of any of ``FORMATS``; see ``AnnotatedImages`` for the other arguments.

    Args:
        root: Annotations and images, in subfolders too; or an archive of them.
        split: Which of its images.
        format: A name of ``FORMATS``; None: found out.
        val_fraction: Share of images for validation where the data do not say which.
    """

    read = staticmethod(read_folder)
    locate_data = staticmethod(locate_data)  # for the short forms of a config, which know this class by name

    def __init__(
        self,
        *,
        root: str | Path,
        split: Split,
        format: str | None = None,
        val_fraction: float = VAL_FRACTION,
        name: str,
        skeleton: KeypointSet,
        joints: Sequence[str] | str | None = None,
        drop_empty: bool = True,
        image_ids: Sequence[int] | None = None,
        min_area: float | None = None,
        max_images: int | None = None,
    ) -> None:
        super().__init__(
            raw=functools.partial(self.read, root, split, format, val_fraction),
            name=name,
            skeleton=skeleton,
            joints=joints,
            drop_empty=drop_empty,
            image_ids=image_ids,
            min_area=min_area,
            max_images=max_images,
        )

    @classmethod
    def named_keypoint_set(cls, *, joints: Sequence[str] | str | None = None, **arguments: Any) -> KeypointSet:
        """See ``AnnotatedImages.named_keypoint_set``; one line of the log says what was found."""
        root, form = locate_data(arguments["root"], arguments.get("format"))
        raw = read_data(root, form, arguments.get("val_fraction", VAL_FRACTION))
        content = with_joints(raw.content, joints)
        skeleton, summary = named_keypoint_set(content, root.resolve().stem, str(root))
        log.info("%s: %s; %s; %s", root, form, summary, ", ".join(_counts(content)))
        return skeleton


def _counts(content: Mapping[str, Any]) -> list[str]:
    images, people = (Counter(entry["split"] for entry in content[field]) for field in ("images", "annotations"))
    return [f"{split} {images[split]} images with {people[split]} people" for split in ("train", "val")]
