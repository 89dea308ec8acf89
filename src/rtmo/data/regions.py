"""COCO segmentations (polygons, RLE) as masks of what negatives must not be learned from."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask

from rtmo.errors import InputError

Region = list[Any] | dict[str, Any]  # as JSON has it: polygons [x, y, x, y, ...], or an RLE


def rasterize(regions: Sequence[Region], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """The union of regions, each a list of polygons or an RLE, compressed or not.

    Polygons of fewer than three points enclose nothing and are left out.

    Raises:
        InputError: If an RLE was made for an image of another size, or a region is neither polygons nor an RLE.
    """
    codes: list[Any] = []
    for region in regions:
        try:
            codes += _codes(region, height, width)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"a segmentation is neither polygons nor an RLE ({error!r}); python -m rtmo.data check says which"
            ) from error
    if not codes:
        return np.zeros((height, width), dtype=bool)
    with warnings.catch_warnings():  # pycocotools 2.0 lacks the copy argument that NumPy 2 asks of __array__
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        return coco_mask.decode(coco_mask.merge(codes)).astype(bool)


def _codes(region: Region, height: int, width: int) -> list[Any]:
    """A region as compressed RLEs."""
    if isinstance(region, dict):
        if list(region["size"]) != [height, width]:
            raise InputError(f"an RLE segmentation has size {region['size']}, its image [{height}, {width}]")
        compressed = isinstance(region["counts"], str | bytes)
        return [region if compressed else coco_mask.frPyObjects(region, height, width)]
    polygons = [polygon for polygon in region if len(polygon) >= 6]
    return list(coco_mask.frPyObjects(polygons, height, width)) if polygons else []


def box_polygon(bbox: Sequence[Any]) -> Region:
    """The outline of a COCO box (x, y, width, height), for people without a segmentation."""
    x, y, width, height = bbox
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]
