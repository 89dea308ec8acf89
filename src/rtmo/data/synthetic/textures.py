"""Periodic tiles that clothes, walls and grounds are made of, and the noise of the camera.

Tiles are made once per process from a fixed seed: they are material, not content, so images still differ only by
what is drawn of them.
"""

from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIZE = 256  # px, period of every tile
_SEED = 20231212


def _noise(rng: np.random.Generator, cells: tuple[int, int], octaves: int) -> Float[np.ndarray, "S S"]:
    """Periodic value noise in 0..1, ``cells`` bumps per period at the coarsest octave."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        rows, columns = cells[0] << octave, cells[1] << octave
        if max(rows, columns) > SIZE:
            break
        grid = rng.random((rows, columns), dtype=np.float32)
        margin = 2
        padded = np.pad(grid, margin, mode="wrap")
        scale = (SIZE // rows, SIZE // columns)
        size = (padded.shape[1] * scale[1], padded.shape[0] * scale[0])
        smooth = cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC)
        top, left = margin * scale[0], margin * scale[1]
        total += smooth[top : top + SIZE, left : left + SIZE] * 0.6**octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def _bytes(values: Float[np.ndarray, "S S"]) -> UInt8[np.ndarray, "S S"]:
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


@cache
def surfaces() -> tuple[UInt8[np.ndarray, "S S"], ...]:
    """Smooth tiles, 0..255, for walls, grounds and skies: noise of many grains, planks, bricks, pavement."""
    rng = np.random.default_rng(_SEED)
    tiles = [_bytes(_noise(rng, (cells, cells), octaves)) for cells in (2, 4, 8, 32) for octaves in (1, 3, 6)]
    tiles += [_bytes(_noise(rng, cells, 4)) for cells in ((2, 32), (32, 2), (64, 4), (4, 64))]
    row, column = np.mgrid[:SIZE, :SIZE]
    grain = 0.3 * _noise(rng, (32, 32), 3)
    for height, width in ((16, 32), (32, 64), (32, 32), (64, 64)):
        shifted = column + (row // height % 2) * (width // 2) * (height != width)
        joint = (row % height < 2) | (shifted % width < 2)
        brick = rng.random((SIZE // height, SIZE // width))[row // height, shifted // width % (SIZE // width)]
        tiles.append(_bytes(np.where(joint, 0.1, 0.5 + 0.3 * brick) + grain - 0.15))
    tiles.append(_bytes(((row // 32 + column // 32) % 2) * 0.8 + grain))
    tiles.append(_bytes((column // 16 % 2) * 0.5 + grain))
    return tuple(tiles)


@cache
def patterns() -> tuple[UInt8[np.ndarray, "S S"], ...]:
    """Two-coloured tiles, 0 or 255, for clothes: stripes, checks, dots, camouflage."""
    rng = np.random.default_rng(_SEED + 1)
    row, column = np.mgrid[:SIZE, :SIZE]
    masks = []
    for period in (16, 32, 64):
        for share in (0.25, 0.5):
            across, along = row % period < share * period, column % period < share * period
            masks += [across, along, across ^ along, across & along]
        masks.append((row - period / 2) % period + 0 * column < 0.12 * period)
        masks.append((row + column) % period < 0.5 * period)
        half = period / 2
        masks.append((row % period - half) ** 2 + (column % period - half) ** 2 < (0.3 * period) ** 2)
    masks += [_noise(rng, (cells, cells), 2) > 0.55 for cells in (4, 8, 16)]
    masks += [_noise(rng, (64, 64), 1) > 0.5, row < SIZE // 2, column < SIZE // 2]
    return tuple((mask * 255).astype(np.uint8) for mask in masks)


def sensor_noise(size: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """A random part, (height, width) px, of the noise of a sensor around 128."""
    noise = _sensor_noise()
    repeats = (size[0] // noise.shape[0] + 1, size[1] // noise.shape[1] + 1)
    if max(repeats) > 1:
        noise = np.tile(noise, (*repeats, 1))
    top, left = rng.integers(0, (noise.shape[0] - size[0], noise.shape[1] - size[1]))
    return noise[top : top + size[0], left : left + size[1]]


@cache
def _sensor_noise() -> UInt8[np.ndarray, "h w 3"]:
    """Partly alike in all channels, slightly smooth."""
    rng = np.random.default_rng(_SEED + 2)
    shape = (1024, 1024)
    noise = rng.standard_normal((*shape, 3), dtype=np.float32) + rng.standard_normal((*shape, 1), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (3, 3), 0.55)
    return (128 + 32 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def lay(
    tile: UInt8[np.ndarray, "S S"],
    size: tuple[int, int],
    *,
    period: float,
    angle: float,
    rng: np.random.Generator,
    smooth: bool = True,
) -> UInt8[np.ndarray, "h w"]:
    """Covers (height, width) px with a tile: one period so many px, turned by ``angle`` radians, anywhere on it."""
    zoom = SIZE / period
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
    matrix[:, 2] = rng.uniform(0, SIZE, 2)
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST)
    return cv2.warpAffine(tile, matrix, (size[1], size[0]), flags=flags, borderMode=cv2.BORDER_WRAP)
