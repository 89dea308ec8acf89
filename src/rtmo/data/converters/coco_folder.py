"""COCO keypoint files somewhere in a folder, with the images somewhere in it too."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtmo.data.coco_json import MissingDataError, read_coco, read_json
from rtmo.data.converters.image_index import ImageIndex, visible_files
from rtmo.data.converters.people import Point, box_with_margin
from rtmo.data.values import are_numbers, whole_number
from rtmo.errors import InputError

log = logging.getLogger(__name__)

_UNBOUNDED = 10**6  # px, of an image whose size the file does not give


def read_coco_folder(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """A COCO keypoint file, or those of a folder: one, or one for training and one for validation.

    Which is which says ``train`` or ``val`` in the name of the file, or of its folder; one called ``test`` is left
    out. Where a file does not name the joints they are ``keypoint_0`` and so on; where an annotation has no box, it is
    that of its keypoints with a margin. Ids stay what they are, unless both files use the same. What else may be
    wrong with entries is for ``CocoPose`` to say, missing images too.

    Args:
        image_dir: Where images are, and what file names are relative to; None: the folder given.

    Raises:
        InputError: If files cannot be read or do not fit together.

    Reference: https://cocodataset.org/#format-data.
    """
    files = {path: None} if path.is_file() else _files_by_split(path)
    index = ImageIndex(image_dir or (path.parent if path.is_file() else path))
    merged: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for file, split in files.items():
        content = read_coco(file, index.folder).content
        _check_entries(content, file)
        _complete(content, file)
        _join_categories(merged["categories"], content["categories"], file)
        images = [{**image, "file_name": _located(image, file, index), "split": split} for image in content["images"]]
        annotations = content["annotations"]
        if offset := _offset(merged["images"], images):
            images, annotations = _moved(images, "id", offset), _moved(annotations, "image_id", offset)
        if offset := _offset(merged["annotations"], annotations):
            annotations = _moved(annotations, "id", offset)
        merged["images"] += images
        merged["annotations"] += annotations
    return merged if len(files) > 1 else {**merged, "file": file}


def _located(image: Mapping[str, Any], file: Path, index: ImageIndex) -> str | None:
    """The path of an image below the folder of images: as given, else beside the file, else wherever it is."""
    name = image.get("file_name")
    if name is None or os.path.isfile(index.folder / str(name)):
        return name
    beside = file.parent / str(name)
    if os.path.isfile(beside) and beside.is_relative_to(index.folder):
        return beside.relative_to(index.folder).as_posix()
    try:
        return index.find(str(name), f"{file}, image {image.get('id')}")
    except MissingDataError:
        return str(name)


def _offset(known: Sequence[Mapping[str, Any]], more: Sequence[Mapping[str, Any]]) -> int:
    """What to add to the ids of some entries so that they differ from others; 0 if they do."""
    taken, others = ({whole_number(entry.get("id")) for entry in entries} - {None} for entries in (known, more))
    return 1 + max(number for number in taken if number is not None) if taken & others else 0


def _moved(entries: Sequence[dict[str, Any]], field: str, offset: int) -> list[dict[str, Any]]:
    """Entries with other ids; what is no id stays, for whoever checks it."""
    numbers = [whole_number(entry.get(field)) for entry in entries]
    return [
        entry if number is None else {**entry, field: number + offset}
        for entry, number in zip(entries, numbers, strict=True)
    ]


def is_coco_keypoints(content: Any) -> bool:
    """Whether the content of a JSON file is COCO's, with keypoints."""
    if not isinstance(content, dict):
        return False
    images, annotations, categories = (content.get(field) for field in ("images", "annotations", "categories"))
    if not isinstance(images, list) or not isinstance(annotations, list) or not isinstance(categories, list):
        return False
    return any("keypoints" in entry for entry in (*categories, *annotations) if isinstance(entry, dict))


def _files_by_split(folder: Path) -> dict[Path, str | None]:
    candidates = [file for file in visible_files(folder, "*.json") if b'"keypoints"' in file.read_bytes()]
    files = [file for file in candidates if is_coco_keypoints(read_json(file))]
    if len(files) == 1:
        return {files[0]: None}
    by_split: dict[str | None, list[Path]] = {}
    for file in files:
        by_split.setdefault(_split_of(file, folder), []).append(file)
    chosen = [by_split.get(split, []) for split in ("train", "val")]
    if [len(files) for files in chosen] != [1, 1]:
        names = ", ".join(str(file.relative_to(folder)) for file in files) or "none"
        raise InputError(
            f"{folder}: needs one COCO keypoint file, or one with train and one with val in its name; found {names}. "
            "Remove the others, or name files with data.train.annotation_file, data.train.image_dir and those of "
            "data.val"
        )
    if others := [
        str(file.relative_to(folder))
        for split, files in by_split.items()
        if split not in ("train", "val")
        for file in files
    ]:
        log.info("%s: left out: %s", folder, ", ".join(others))
    return {chosen[0][0]: "train", chosen[1][0]: "val"}


def _split_of(file: Path, folder: Path) -> str | None:
    """What the name of a file says, or else that of its folder."""
    for name in (file.name.lower(), file.parent.relative_to(folder).as_posix().lower()):
        for split in ("train", "val", "test"):
            if split in name:
                return split
    return None


def _check_entries(content: Mapping[str, Any], file: Path) -> None:
    """Refuses what no joints can be told from."""
    for field in ("images", "annotations", "categories"):
        for position, entry in enumerate(content[field]):
            if not isinstance(entry, dict):
                raise InputError(
                    f"{file}: {field}: number {position} must be an object with fields, got {entry!r:.200}"
                )
    for position, category in enumerate(content["categories"]):
        joints = category.get("keypoints") or []
        if whole_number(category.get("id")) is None or not isinstance(joints, list):
            raise InputError(
                f"{file}: category number {position}: id must be a whole number and keypoints a list of names; "
                f"got {category.get('id')!r} and {joints!r}"
            )


def _complete(content: Mapping[str, Any], file: Path) -> None:
    """Names joints and draws boxes where the file does not."""
    sizes = {whole_number(image.get("id")): image for image in content["images"]}
    for category in content["categories"]:
        lengths = {
            len(annotation["keypoints"]) // 3
            for annotation in content["annotations"]
            if annotation.get("category_id") == category["id"]
            and annotation.get("keypoints")
            and are_numbers(annotation["keypoints"])
        }
        if not category.get("keypoints") and lengths:
            if len(lengths) > 1:
                raise InputError(
                    f"{file}: annotations with {sorted(lengths)} keypoints in one category; make them equal"
                )
            category["keypoints"] = [f"keypoint_{number}" for number in range(lengths.pop())]
        if not category.get("keypoints"):
            log.info("%s: class without keypoints, left out: %s", file, category.get("name"))
    for annotation in content["annotations"]:
        flat = annotation["keypoints"] if are_numbers(annotation.get("keypoints")) else []
        labeled = [Point("", *flat[i : i + 2]) for i in range(0, len(flat) - 2, 3) if flat[i + 2] > 0]
        if not annotation.get("bbox") and labeled:
            image = sizes.get(whole_number(annotation.get("image_id")), {})
            width, height = (whole_number(image.get(side)) or _UNBOUNDED for side in ("width", "height"))
            annotation["bbox"] = box_with_margin(labeled, width, height)


def _join_categories(known: list[dict[str, Any]], more: list[dict[str, Any]], file: Path) -> None:
    for category in more:
        before = next((each for each in known if each["id"] == category["id"]), None)
        if before is None:
            known.append(category)
        elif before.get("keypoints") != category.get("keypoints"):
            raise InputError(
                f"{file}: category {category['id']} has {len(category.get('keypoints') or ())} keypoints "
                f"{category.get('keypoints')}, in the other file {len(before.get('keypoints') or ())}: "
                f"{before.get('keypoints')}; make them equal"
            )
