import numpy as np
import pytest
from pycocotools import mask as coco_mask

from rtmo.data.regions import box_polygon, rasterize
from rtmo.errors import InputError

SQUARE = [[2.0, 3.0, 8.0, 3.0, 8.0, 9.0, 2.0, 9.0]]


def square():
    mask = np.zeros((12, 15), dtype=bool)
    mask[3:9, 2:8] = True
    return mask


def uncompressed(mask):
    """COCO's run lengths: column by column, beginning with background."""
    flat = mask.flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=1 - flat[-1]))
    return {"size": list(mask.shape), "counts": np.diff(edges, prepend=0).tolist()}


def compressed(mask):
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": code["size"], "counts": code["counts"].decode()}  # text, as in JSON


@pytest.mark.parametrize("region", [SQUARE, uncompressed(square()), compressed(square())])
def test_every_way_to_write_a_region_gives_its_mask(region):
    np.testing.assert_array_equal(rasterize([region], 12, 15), square())


def test_regions_of_different_kinds_unite():
    other = np.zeros((12, 15), dtype=bool)
    other[0, 14] = True
    mask = rasterize([SQUARE, uncompressed(other)], 12, 15)
    np.testing.assert_array_equal(mask, square() | other)


def test_nothing_gives_an_empty_mask():
    for regions in ([], [[]], [[[1.0, 2.0, 3.0, 4.0]]]):  # the last: two points, which pycocotools would take for a box
        mask = rasterize(regions, 4, 6)
        assert mask.shape == (4, 6)
        assert not mask.any()


def test_a_box_as_region():
    np.testing.assert_array_equal(rasterize([box_polygon([2.0, 3.0, 6.0, 6.0])], 12, 15), square())


def test_an_rle_of_another_size_is_an_error():
    with pytest.raises(InputError, match=r"\[12, 15\].*\[15, 12\]"):
        rasterize([uncompressed(square())], 15, 12)


@pytest.mark.parametrize("region", [[5], [["a"] * 6], {"counts": [1, 2]}, {"size": [15, 12]}, {"size": 5}])
def test_what_is_no_region_is_an_error(region):
    with pytest.raises(InputError, match=r"neither polygons nor an RLE .* python -m rtmo\.data check says which"):
        rasterize([region], 15, 12)


FAR = [[1.0, 1.0, 1e9, 1.0, 9.0, 9.0]]


@pytest.mark.parametrize(
    "region",
    [
        FAR,
        [[1.0, 1.0, float("nan"), 1.0, 9.0, 9.0]],
        box_polygon([0, 0, 1e9, 5]),
        {"size": [12, 15], "counts": [0] * 1000},
        {"size": [12, 15], "counts": [200, 200]},
        {"size": [12, 15], "counts": [-180, 360]},
        {"size": [12, 15], "counts": 180},
        {"size": [12, 15], "counts": "oooo"},  # goes on after its end
        {"size": [12, 15], "counts": "o" * 1000},
        {"size": [12, 15], "counts": "1 2"},
        {"size": [12, 15], "counts": ""},
    ],
)
def test_what_pycocotools_would_write_beyond_its_memory_for_is_an_error(region):
    with pytest.raises(InputError, match="neither polygons nor an RLE"):
        rasterize([SQUARE, region], 12, 15)


def test_long_compressed_codes_are_those_of_pycocotools():
    mask = np.random.default_rng(0).random((83, 97)) < 0.2
    mask[:, 20:60] = True  # runs of thousands, and changes of both signs
    np.testing.assert_array_equal(rasterize([compressed(mask)], 83, 97), mask)
