"""COCO segmentations (polygons, RLE) as masks of what negatives must not be learned from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask

Region = list[list[float]] | dict[str, Any]


def rasterize(regions: Sequence[Region], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """The union of regions, each a list of polygons or an RLE, compressed or not.

    Polygons of fewer than three points enclose nothing and are left out.

    Raises:
        ValueError: If an RLE was made for an image of another size.
    """
    codes = []
    for region in regions:
        if isinstance(region, dict):
            if list(region["size"]) != [height, width]:
                raise ValueError(f"an RLE segmentation has size {region['size']}, its image [{height}, {width}]")
            compressed = isinstance(region["counts"], str | bytes)
            codes.append(region if compressed else coco_mask.frPyObjects(region, height, width))
        elif polygons := [polygon for polygon in region if len(polygon) >= 6]:
            codes.extend(coco_mask.frPyObjects(polygons, height, width))
    if not codes:
        return np.zeros((height, width), dtype=bool)
    return coco_mask.decode(coco_mask.merge(codes)).astype(bool)


def box_polygon(bbox: Sequence[float]) -> Region:
    """The outline of a COCO box (x, y, width, height), for people without a segmentation."""
    x, y, width, height = bbox
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]
