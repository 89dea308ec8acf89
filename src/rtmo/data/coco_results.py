"""Reads predictions in COCO's result format, whoever made them."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rtmo.data.coco_json import read_json
from rtmo.data.values import are_numbers
from rtmo.errors import InputError
from rtmo.types import Poses


class Results(NamedTuple):
    """Predictions in double precision, in the order of the images asked for.

    Attributes:
        poses: Of each image.
        areas: Of the people of each, px^2: of their ``bbox`` where the file has one, as in pycocotools, else of the
            box around all keypoints.
    """

    poses: list[Poses]
    areas: list[Float[Tensor, " _"]]


def read_results(file: Path, *, image_ids: Sequence[int], category_ids: Collection[int], num_keypoints: int) -> Results:
    """The predictions of a file.

    Args:
        file: A list of entries with ``image_id``, ``category_id``, ``keypoints`` (x, y, score, ...), ``score`` and
            perhaps ``bbox`` (x, y, width, height).
        image_ids: Of the ground truth; images without predictions are no fault.
        category_ids: Likewise.

    Raises:
        InputError: If the file is missing or no such list, or an entry lacks a field, is of another image or category,
            or has another number of keypoints or values that are no finite numbers.
    """
    if not file.is_file():
        raise InputError(f"results={file}: no such file")
    entries = read_json(file)
    if not isinstance(entries, list):
        raise InputError(
            f"{file}: must be a list of predictions, [{{image_id, category_id, keypoints, score}}, ...], got a "
            f"{type(entries).__name__}; give the file that COCO's loadRes reads"
        )
    rows: dict[int, list[list[float]]] = {image_id: [] for image_id in image_ids}
    categories = frozenset(category_ids)
    for place, entry in enumerate(entries):
        where = f"{file}: prediction number {place}"
        _check_ids(where, entry, rows, categories)
        rows[entry["image_id"]].append(_row(where, entry, num_keypoints))
    by_image = [_of_image(of_image, num_keypoints) for of_image in rows.values()]
    return Results([poses for poses, _ in by_image], [areas for _, areas in by_image])


def _check_ids(where: str, entry: Any, images: Collection[int], categories: Collection[int]) -> None:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be an object with image_id, category_id, keypoints and score, got {entry!r}")
    for field in ("image_id", "category_id", "keypoints", "score"):
        if field not in entry:
            raise InputError(f"{where} has no {field!r}; COCO's result format needs it of every prediction")
    for field, known, kind in (("image_id", images, "images"), ("category_id", categories, "categories")):
        if type(entry[field]) is not int or entry[field] not in known:
            raise InputError(
                f"{where}: {field} {entry[field]!r} is not among the {len(known)} {kind} of the annotations; "
                "score predictions with the annotations of the data set that they are of"
            )


def _row(where: str, entry: dict[str, Any], num_keypoints: int) -> list[float]:
    """(score, width, height, x0, y0, s0, x1, ...); width and height are NaN without a box."""
    keypoints, bbox = entry["keypoints"], entry.get("bbox") or []
    for field, values, count in (
        ("keypoints", keypoints, 3 * num_keypoints),
        ("score", [entry["score"]], 1),
        ("bbox", bbox, 4 if bbox else 0),
    ):
        if not are_numbers(values) or not np.isfinite(values).all():
            raise InputError(f"{where} (image {entry['image_id']}): {field} must be finite numbers; got {entry[field]}")
        if len(values) != count:
            raise InputError(
                f"{where} (image {entry['image_id']}): {field} holds {len(values)} numbers, not {count}"
                + (f": x, y, score of {num_keypoints} joints" if field == "keypoints" else "")
            )
    return [entry["score"], *(bbox[2:] or (np.nan, np.nan)), *keypoints]


def _of_image(rows: list[list[float]], num_keypoints: int) -> tuple[Poses, Float[Tensor, " _"]]:
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 3 + 3 * num_keypoints)
    points = table[:, 3:].unflatten(1, (num_keypoints, 3))
    corners = torch.cat([points[..., :2].amin(1), points[..., :2].amax(1)], dim=1)
    return Poses(corners, table[:, 0], points[..., :2], points[..., 2]), table[:, 1] * table[:, 2]
