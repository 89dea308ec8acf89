"""COCO segmentations (polygons, RLE) as masks of what negatives must not be learned from."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask

from rtmo.data.values import FARTHEST, is_list_of
from rtmo.errors import InputError

Region = list[Any] | dict[str, Any]  # as JSON has it: polygons [x, y, x, y, ...], or an RLE


def rasterize(regions: Sequence[Region], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """The union of regions, each a list of polygons or an RLE, compressed or not.

    Polygons of fewer than three points enclose nothing and are left out. pycocotools draws polygons only: what does not
    fit together in an RLE, or lies far outside of an image, has it write beyond its memory.

    Raises:
        InputError: If an RLE was made for an image of another size, or a region is neither polygons nor an RLE.
    """
    mask, outlines = np.zeros((height, width), dtype=bool), []
    try:
        for region in regions:
            if isinstance(region, dict):
                mask |= _from_rle(region, height, width)
            else:
                outlines += [outline for outline in region if len(outline) >= 6]
        return mask | _drawn(outlines, height, width) if outlines else mask
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"a segmentation is neither polygons nor an RLE ({error!r}); python -m rtmo.data check says which"
        ) from error


def _drawn(outlines: Sequence[list[Any]], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    if not all((np.abs(np.array(outline, dtype=np.float64)) <= 2 * FARTHEST).all() for outline in outlines):
        raise ValueError(f"a point beyond {2 * FARTHEST:,} px")
    with warnings.catch_warnings():  # pycocotools 2.0 lacks the copy argument that NumPy 2 asks of __array__
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))).astype(bool)


def _from_rle(rle: Mapping[str, Any], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    if list(rle["size"]) != [height, width]:
        raise InputError(f"an RLE segmentation has size {rle['size']}, its image [{height}, {width}]")
    given = rle["counts"]
    counts = _run_lengths(given) if isinstance(given, str) else given
    if not is_list_of(int, counts) or min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(f"counts must be {height * width} px together")
    columns = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height)
    return np.asarray(columns.T)


def _run_lengths(text: str) -> list[int]:
    """The numbers of a compressed RLE: five bits a letter, and a sixth if more follow; all but three are differences.

    Reference: rleFrString of https://github.com/cocodataset/cocoapi, common/maskApi.c.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode():
        bits = letter - ord("0")
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("counts are no compressed RLE")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("counts are cut short")
    return counts


def box_polygon(bbox: Sequence[Any]) -> Region:
    """The outline of a COCO box (x, y, width, height), for people without a segmentation."""
    x, y, width, height = bbox
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]
