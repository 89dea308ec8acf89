"""YOLO-pose folders: images, a text file of labels for each, and a YAML file that says what the numbers are."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtmo.data.converters.image_index import is_image, visible_files
from rtmo.data.image_file import read_size
from rtmo.documents import parse_yaml
from rtmo.errors import InputError
from rtmo.skeletons import COCO17

log = logging.getLogger(__name__)

_TOLERANCE = 0.01  # rounding may take a coordinate outside 0..1 by so much, as Ultralytics allows
_SPLITS = ("train", "val")
_FAULTS_NAMED = 10


@dataclass(frozen=True)
class _Layout:
    """What data.yaml says.

    Attributes:
        joints: Names by class.
        numbers: Per keypoint, 2 or 3.
        flip_pairs: Pairs of positions that trade places in a mirror; None: not given.
    """

    file: Path
    classes: dict[int, str]
    joints: dict[int, list[str]]
    numbers: int
    flip_pairs: list[tuple[int, int]] | None


def read_yolo_pose(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """A data.yaml, or the folder that holds it, with the images and labels it points to.

    ``train`` and ``val`` are a folder, a .txt list of images, or a list of these, below ``path`` if given; where both
    are, images say which they are of (``split``). An image without a label file shows nobody. Labels lie in the folder
    ``labels`` in place of ``images``, or beside the image. Of two numbers per keypoint, 0 0 means not labeled; a third
    is COCO's flag. Coordinates are shares of the image as viewers show it.

    Args:
        image_dir: What file names are relative to; None: the folder of data.yaml.

    Raises:
        InputError: If something is missing or wrong, with file and line; of labels and images, the first ten.

    Reference: https://docs.ultralytics.com/datasets/pose.
    """
    file = find_data_yaml(path)
    fields = _read_yaml(file)
    layout = _layout(file, fields)
    folder = image_dir or file.parent
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    faults: list[str] = []
    for split, image_file in _images(file, fields):
        try:
            height, width = read_size(image_file, displayed=True)
        except InputError as error:
            faults.append(str(error))
            continue
        image = {
            "id": len(images) + 1,
            "file_name": Path(os.path.relpath(image_file, folder)).as_posix(),
            "height": height,
            "width": width,
            "split": split,
        }
        images.append(image)
        for entry in _labels(image_file, layout, height, width, faults):
            annotations.append({"id": len(annotations) + 1, "image_id": image["id"], **entry})
    _refuse(faults)
    if not annotations:
        raise InputError(f"{file}: no labels; those of {image_file} belong into {_label_file(image_file)}")
    categories: list[dict[str, Any]] = [
        {"id": number + 1, "name": name, "keypoints": layout.joints[number]} for number, name in layout.classes.items()
    ]
    for category in categories:
        if layout.flip_pairs is not None:
            names = category["keypoints"]
            category["flip_pairs"] = [(names[a], names[b]) for a, b in layout.flip_pairs]
    return {"images": images, "annotations": annotations, "categories": categories}


def find_data_yaml(path: Path) -> Path:
    """The YAML file itself, or the one of a folder that has ``kpt_shape``.

    Raises:
        InputError: If there is none, or several.
    """
    if path.is_file():
        return path
    candidates = visible_files(path, "*.yaml", "*.yml")
    found = [file for file in candidates if "kpt_shape" in file.read_text("utf-8", errors="replace")]
    if len(found) != 1:
        named = ", ".join(file.name for file in found) or "none"
        raise InputError(
            f"{path}: needs one .yaml file with kpt_shape, found {named}; write data.yaml with kpt_shape: [K, 2 or 3], "
            "names: {0: person} and, for mirrors, flip_idx"
        )
    return found[0]


def _read_yaml(file: Path) -> dict[str, Any]:
    fields = parse_yaml(file.read_bytes(), str(file))
    if not isinstance(fields, dict):
        raise InputError(f"{file}: expected fields such as kpt_shape and names")
    return fields


def _layout(file: Path, fields: Mapping[str, Any]) -> _Layout:
    shape = fields.get("kpt_shape")
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(isinstance(number, int) for number in shape)
        or (shape[0] < 1 or shape[1] not in (2, 3))
    ):
        raise InputError(f"{file}: kpt_shape must be [number of keypoints, 2 or 3], got {shape!r}")
    count, numbers = shape
    classes = _by_class(file, "names", fields.get("names") or ["object"])
    mirrored = fields.get("flip_idx") or None
    if mirrored is not None and not _is_mirror(mirrored, count):
        raise InputError(
            f"{file}: flip_idx must say for each of the {count} keypoints which one is in its place in a mirror, such "
            f"as [0, 2, 1]; got {mirrored}"
        )
    named = fields.get("kpt_names")
    if named:
        same_for_all = isinstance(named, list) and all(isinstance(name, str) for name in named)
        by_class = dict.fromkeys(classes, named) if same_for_all else _by_class(file, "kpt_names", named)
        joints = {
            number: [str(joint) for joint in names] for number, names in by_class.items() if isinstance(names, list)
        }
    elif mirrored == list(COCO17.flip_indices):
        log.info("%s: 17 keypoints with the flip_idx of COCO and no names: taken for COCO's", file)
        joints = {number: list(COCO17.joints) for number in classes}
    else:
        joints = {number: [f"keypoint_{index}" for index in range(count)] for number in classes}
    for number, name in classes.items():
        if len(joints.get(number, ())) != count:
            raise InputError(
                f"{file}: kpt_names: class {number} ({name}) needs {count} names; got {joints.get(number)}"
            )
    pairs = None if mirrored is None else [(a, b) for a, b in enumerate(mirrored) if a < b]
    return _Layout(file, classes, joints, numbers, pairs)


def _is_mirror(flip_idx: Any, count: int) -> bool:
    """Whether each keypoint has a partner that has it as partner, or none."""
    if not isinstance(flip_idx, list) or len(flip_idx) != count or not all(place in flip_idx for place in range(count)):
        return False
    return all(flip_idx[partner] == place for place, partner in enumerate(flip_idx))


def _by_class(file: Path, field: str, named: Any) -> dict[int, Any]:
    if isinstance(named, Mapping):
        return dict(named)
    if isinstance(named, list):
        return dict(enumerate(named))
    raise InputError(f"{file}: {field} must be a list, or say for each class what it is; got {named!r}")


def _images(file: Path, fields: Mapping[str, Any]) -> Iterator[tuple[str | None, Path]]:
    """All images of train and val, each with its split, if both are there and differ."""
    base = file.parent / str(fields.get("path") or ".")
    bases = [base, file.parent]  # Ultralytics has its own folder of data sets, which ``path`` may be relative to
    given = {split: fields[split] for split in _SPLITS if fields.get(split)}
    if len(given) > 1 and given["train"] == given["val"]:
        del given["val"]  # the same images again
    found = {split: _listed(file, split, images, bases) for split, images in given.items()}
    if not found:
        folder = next((folder / "images" for folder in bases if os.path.isdir(folder / "images")), None)
        if folder is None:
            raise InputError(
                f"{file}: train and val are missing; say where the images are, such as train: images/train"
            )
        found = {"train": _listed(file, "train", str(folder), bases)}
    names_split = len(found) > 1
    if names_split and (both := set(found["train"]) & set(found["val"])):
        raise InputError(f"{file}: {min(both)} is in both train and val; take it out of one")
    for split, images in found.items():
        for image in images:
            yield (split if names_split else None), image


def _listed(file: Path, split: str, given: Any, bases: Sequence[Path]) -> list[Path]:
    """The images of a folder, of a list of images, or of several of these."""
    images: list[Path] = []
    for name in given if isinstance(given, list) else [given]:
        # Roboflow writes ../train/images for a folder beside data.yaml
        trials = [base / part for part in (str(name), str(name).removeprefix("../")) for base in bases]
        place = next((trial for trial in trials if os.path.exists(trial)), None)
        if place is None:
            raise InputError(f"{file}: {split}: there is no {trials[0]}; correct it, or path")
        if place.is_dir():
            images += [each for each in visible_files(place, "*") if is_image(each.name)]
            _check_orphans(place, images)
        elif place.suffix == ".txt":
            images += [_in_list(place, number, line, bases) for number, line in _lines(place)]
        else:
            images.append(place)
    if not images:
        raise InputError(f"{file}: {split}: no image in {given}")
    return [Path(os.path.abspath(image)) for image in images]  # links stay: labels are beside them


def _in_list(file: Path, number: int, line: str, bases: Sequence[Path]) -> Path:
    for folder in (file.parent, *bases):
        if os.path.isfile(folder / line):
            return folder / line
    raise InputError(f"{file}, line {number}: there is no image {line}; add it or remove the line")


def _check_orphans(folder: Path, images: Sequence[Path]) -> None:
    """Refuses label files whose image is missing."""
    expected = {_label_file(image) for image in images}
    labels = _label_file(folder / "x").parent
    for file in visible_files(labels, "*.txt") if labels.is_dir() else ():
        if file not in expected and file.name != "classes.txt" and labels != folder:
            raise InputError(f"{file}: there is no image {file.stem}.* in {folder} for it; add it or remove the file")


def _label_file(image: Path) -> Path:
    """In the last folder called ``images`` of a path, ``labels`` in its place; else beside the image."""
    parts = list(image.with_suffix(".txt").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts)


def _refuse(faults: Sequence[str]) -> None:
    """One message of all that is wrong, so that it can be corrected at once."""
    if faults:
        more = [f"and {len(faults) - _FAULTS_NAMED} more"] if len(faults) > _FAULTS_NAMED else []
        raise InputError("\n".join([*faults[:_FAULTS_NAMED], *more]))


def _labels(image: Path, layout: _Layout, height: int, width: int, faults: list[str]) -> Iterator[dict[str, Any]]:
    """The people of an image; what is wrong with lines is noted."""
    file = _label_file(image)
    if not file.is_file():
        return
    try:
        lines = list(_lines(file))
    except InputError as error:
        faults.append(str(error))
        return
    for number, line in lines:
        try:
            yield _person(line.split(), f"{file}, line {number}", layout, height, width)
        except InputError as error:
            faults.append(str(error))


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not empty, counted from 1."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not text in UTF-8 ({error}); save it as UTF-8") from error
    yield from ((number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip())


def _person(words: Sequence[str], where: str, layout: _Layout, height: int, width: int) -> dict[str, Any]:
    count = len(next(iter(layout.joints.values())))
    expected = 5 + count * layout.numbers
    if len(words) != expected:
        raise InputError(
            f"{where}: {len(words)} numbers, but kpt_shape: [{count}, {layout.numbers}] of {layout.file.name} makes it "
            f"{expected}: class, x, y, width, height and {layout.numbers} for each keypoint; correct either"
        )
    try:
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(f"{where}: {error}; write numbers with spaces between them") from error
    if not np.isfinite(values).all():
        raise InputError(f"{where}: {words[int((~np.isfinite(values)).argmax())]} is no finite number; correct it")
    if values[0] not in layout.classes:
        raise InputError(f"{where}: class {words[0]} is none of {layout.file.name}: names has {layout.classes}")
    points = values[5:].reshape(count, layout.numbers)
    labeled = points[:, 2] > 0 if layout.numbers == 3 else (points != 0).any(axis=1)
    flags = points[:, 2] if layout.numbers == 3 else 2.0 * labeled
    if not set(flags.tolist()) <= {0, 1, 2}:
        raise InputError(f"{where}: the third number of a keypoint is 0, 1 or 2; got {flags.tolist()}")
    shares = np.concatenate([values[1:5], points[labeled, :2].ravel()])
    if (outside := (shares < -_TOLERANCE) | (shares > 1 + _TOLERANCE)).any():
        raise InputError(
            f"{where}: {shares[int(outside.argmax())]:g} is outside 0..1; coordinates are shares of the image's width "
            "and height"
        )
    x, y, box_width, box_height = values[1:5] * (width, height, width, height)
    keypoints = np.column_stack([points[:, :2] * (width, height) * labeled[:, None], flags])
    return {
        "category_id": int(values[0]) + 1,
        "bbox": [float(number) for number in (x - box_width / 2, y - box_height / 2, box_width, box_height)],
        "keypoints": keypoints.ravel().tolist(),
        "num_keypoints": int(labeled.sum()),
        "iscrowd": 0,
    }
