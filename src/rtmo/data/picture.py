"""Images that are moved first and drawn once: each pixel is interpolated one time, and what nobody sees is not read.

Pixel centres lie at integers, so an image of width W reaches from -0.5 to W - 0.5.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8

from rtmo.data.transforms import BORDER, GREY, then
from rtmo.types import Sample, Undrawn

REDUCTIONS = (8, 4, 2)  # the scales at which JPEG decoders can leave out pixels
_SUBPIXEL_BITS = 4


class StoredImage(ABC):
    """Where pixels come from once they are needed.

    Attributes:
        image_size: (height, width) in px.
    """

    image_size: tuple[int, int]

    @abstractmethod
    def read(self, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """The pixels, BGR; not to be written to.

        Args:
            reduction: 1, or one of ``REDUCTIONS`` where blocks of so many px squared may be one pixel. Whoever cannot
                do that gives the whole image.
        """


@dataclass(frozen=True)
class ArrayImage(StoredImage):
    """Pixels that are there already."""

    pixels: UInt8[np.ndarray, "H W 3"]

    @property
    def image_size(self) -> tuple[int, int]:  # type: ignore[override]
        """(height, width) in px."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def read(self, reduction: int = 1) -> UInt8[np.ndarray, "H W 3"]:
        """See ``StoredImage``."""
        return self.pixels


@dataclass(frozen=True)
class Tile:
    """An image somewhere on a picture.

    Attributes:
        matrix: Pixels of the image to pixels of the picture.
        window: The part of the image that shows: left, top, right and bottom edge, px of the image.
        fades: Whether the outermost pixels fade into the grey, as those of ``cv2.warpAffine`` do, or end sharp, as
            those of ``cv2.resize`` do. What is cut off ends sharp.
        ignore_mask: Of the whole image.
    """

    image: StoredImage
    matrix: Float64[np.ndarray, "2 3"]
    window: tuple[float, float, float, float]
    fades: bool = False
    ignore_mask: Bool[np.ndarray, "H W"] | None = None

    @property
    def is_upright(self) -> bool:
        """Whether edges of the picture are edges of the image, mirrored or not."""
        return bool(self.matrix[0, 1] == self.matrix[1, 0] == 0)

    @property
    def is_whole(self) -> bool:
        """Whether the centres of all pixels are in the window."""
        left, top, right, bottom = self.window
        height, width = self.image.image_size
        return bool(left <= 0 and top <= 0 and right >= width - 1 and bottom >= height - 1)

    @property
    def is_cut_off(self) -> bool:
        """Whether nothing of it shows."""
        left, top, right, bottom = self.window
        return bool(left >= right or top >= bottom)

    def is_unmoved(self, picture_size: tuple[int, int]) -> bool:
        """Whether the image is the picture."""
        is_all = self.image.image_size == picture_size and self.window == _edges(picture_size)
        return is_all and np.array_equal(self.matrix, np.eye(2, 3))

    def moved(self, matrix: Float[np.ndarray, "2 3"], picture_size: tuple[int, int]) -> "Tile":
        """The tile after a move of its picture, whose edges of now stay where it is cut off."""
        (a, _, x), (_, d, y) = self.matrix
        left, top, right, bottom = _edges(picture_size)
        (x1, x2), (y1, y2) = sorted(((left - x) / a, (right - x) / a)), sorted(((top - y) / d, (bottom - y) / d))
        own = self.window
        window = (max(own[0], x1), max(own[1], y1), min(own[2], x2), min(own[3], y2))
        moved = replace(self, matrix=then(matrix, self.matrix), window=window)
        return replace(moved, fades=False) if moved.fades and not moved.is_whole else moved

    def outline(self, margin: float = 0.0) -> Float64[np.ndarray, "4 2"]:
        """Corners of the window on the picture, px, in order around it.

        Args:
            margin: Grows the window on every side, px of the image.
        """
        x1, y1, x2, y2 = np.add(self.window, (-margin, -margin, margin, margin))
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
        return np.asarray(corners @ self.matrix[:, :2].T + self.matrix[:, 2])

    def read(self) -> tuple[UInt8[np.ndarray, "h w 3"], Float64[np.ndarray, "2 3"]]:
        """As many pixels of the image as the picture can show, and their way to it."""
        scale = np.linalg.norm(self.matrix[:, :2], 2)
        reduction = next((reduction for reduction in REDUCTIONS if scale * reduction <= 1), 1)
        pixels = self.image.read(reduction)
        if pixels.shape[:2] == self.image.image_size:
            return pixels, self.matrix
        middle = (reduction - 1) / 2  # of the block of pixels that the first pixel stands for
        return pixels, then(self.matrix, np.array([[reduction, 0, middle], [0, reduction, middle]]))


@dataclass(frozen=True)
class Picture(Undrawn):
    """Tiles on grey, the last on top.

    Attributes:
        image_size: (height, width) in px.
    """

    image_size: tuple[int, int]
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, sample: Sample) -> "Picture":
        """The image and ignore mask of a sample."""
        if isinstance(sample.image, Picture):
            return sample.image
        return cls.showing(ArrayImage(sample.pixels), sample.ignore_mask)

    @classmethod
    def showing(cls, image: StoredImage, ignore_mask: Bool[np.ndarray, "H W"] | None = None) -> "Picture":
        """One image as it is."""
        tile = Tile(image, np.eye(2, 3), _edges(image.image_size), ignore_mask=ignore_mask)
        return cls(image.image_size, (tile,))

    @classmethod
    def overlay(cls, pictures: Iterable["Picture"], image_size: tuple[int, int]) -> "Picture":
        """Pictures of (height, width) px as one."""
        return cls(image_size, tuple(tile for picture in pictures for tile in picture.tiles))

    def resized(self, image_size: tuple[int, int]) -> "Picture":
        """As ``cv2.resize``: edges fall on edges, so pixel centres move by half of what a pixel grows."""
        scale_y, scale_x = np.divide(image_size, self.image_size)
        matrix = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])
        return self._upright()._moved(matrix, image_size)

    def placed(self, x: int, y: int, image_size: tuple[int, int]) -> "Picture":
        """On a canvas of (height, width) px, its first pixel at (x, y); what reaches over the edge is cut off."""
        return self._upright()._moved(np.array([[1, 0, x], [0, 1, y]], dtype=np.float64), image_size)

    def mirrored(self) -> "Picture":
        """As ``cv2.flip``, left to right."""
        matrix = np.array([[-1, 0, self.image_size[1] - 1], [0, 1, 0]], dtype=np.float64)
        return self._upright()._moved(matrix, self.image_size)

    def warped(self, matrix: Float[np.ndarray, "2 3"], image_size: tuple[int, int]) -> "Picture":
        """As ``cv2.warpAffine`` with grey around the image."""
        picture = self._upright()
        alone = len(picture.tiles) == 1
        tiles = tuple(replace(tile, fades=alone) for tile in picture.tiles)
        return replace(picture, tiles=tiles)._moved(matrix, image_size)

    def _upright(self) -> "Picture":
        """Drawn if some tile is turned: the edges that a move may cut it off at are none of its own then."""
        if all(tile.is_upright for tile in self.tiles):
            return self
        image, ignore_mask = self.draw()
        return Picture.showing(ArrayImage(image), ignore_mask)

    def _moved(self, matrix: Float[np.ndarray, "2 3"], image_size: tuple[int, int]) -> "Picture":
        return Picture(image_size, tuple(tile.moved(matrix, self.image_size) for tile in self.tiles))

    def draw(self) -> tuple[UInt8[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"] | None]:
        """See ``Undrawn``."""
        if len(self.tiles) == 1 and self.tiles[0].is_unmoved(self.image_size):
            return self.tiles[0].image.read(), self.tiles[0].ignore_mask
        canvas = np.full((*self.image_size, 4), GREY, dtype=np.uint8)
        masked = any(tile.ignore_mask is not None for tile in self.tiles)
        mask = np.zeros(self.image_size, dtype=np.uint8) if masked else None
        for tile in self.tiles:
            _draw(tile, canvas, mask)
        return cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR), None if mask is None else mask > 128


def _draw(tile: Tile, canvas: UInt8[np.ndarray, "H W 4"], mask: UInt8[np.ndarray, "H W"] | None) -> None:
    """Draws a tile into the smallest part of the canvas that holds it; neither reads nor draws one that lies outside.

    Args:
        canvas: BGR and one more, as OpenCV 5 warps four channels in half of the time that it takes for three.
        mask: 255 where something is ignored.
    """
    outline = tile.outline(margin=0.5 if tile.fades else 0.0)
    blunt = tile.is_upright and not tile.fades  # its own pixels and no others are those with their centre inside
    first = (np.ceil if blunt else np.floor)(outline.min(axis=0)).astype(int).clip(min=0)
    last = (np.floor if blunt else np.ceil)(outline.max(axis=0)).astype(int)
    width, height = (np.minimum(last + 1, canvas.shape[1::-1]) - first).tolist()
    if tile.is_cut_off or width <= 0 or height <= 0:
        return
    part = np.s_[first[1] : first[1] + height, first[0] : first[0] + width]
    drawn = _pixels(tile, first, (width, height))
    shape = None if tile.is_upright or tile.fades else _filled(outline - first, (height, width))
    canvas[part] = drawn if shape is None else cv2.copyTo(drawn, shape, canvas[part].copy())
    if mask is not None and tile.ignore_mask is not None:
        ignored = _warp(tile.ignore_mask.astype(np.uint8) * 255, tile.matrix, first, (width, height))
        mask[part] = np.maximum(mask[part], ignored if shape is None else ignored & shape)


def _pixels(tile: Tile, first: np.ndarray, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 4"]:
    """The part of (width, height) px of a picture that begins at ``first``, with nothing on it but the tile."""
    pixels, matrix = tile.read()
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    if tile.fades:
        return _warp(pixels, matrix, first, size, borderMode=cv2.BORDER_CONSTANT, borderValue=(*BORDER, 0))
    scale = matrix.diagonal()
    place = np.concatenate([matrix[:, 2] - (scale - 1) / 2, scale * pixels.shape[1::-1]])  # left, top, width, height
    left, top, width, height = whole = np.round(place).astype(int).tolist()
    if tile.is_upright and (scale > 0).all() and np.allclose(place, whole, rtol=0, atol=1e-6):
        x, y = first[0] - left, first[1] - top  # whole pixels of the picture: faster, and what the reference does
        return cv2.resize(pixels, (width, height))[y : y + size[1], x : x + size[0]]
    return _warp(pixels, matrix, first, size, borderMode=cv2.BORDER_REPLICATE)


def _warp(
    pixels: np.ndarray, matrix: np.ndarray, first: np.ndarray, size: tuple[int, int], **options: Any
) -> np.ndarray:
    """The part of (width, height) px of a warped image that begins at ``first``."""
    return cv2.warpAffine(pixels, matrix - np.column_stack([np.zeros((2, 2)), first]), size, **options)


def _filled(outline: Float64[np.ndarray, "4 2"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """255 inside a quadrilateral, in an image of (height, width) px."""
    shape = np.zeros(size, dtype=np.uint8)
    corners = np.round(outline * 2**_SUBPIXEL_BITS).astype(np.int32)
    return cv2.fillConvexPoly(shape, corners, 255, shift=_SUBPIXEL_BITS)


def _edges(image_size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge of an image of (height, width) px."""
    return -0.5, -0.5, image_size[1] - 0.5, image_size[0] - 0.5
