"""Images into the network's frame, and poses back out of it."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8

from rtmo.data.letterbox import Letterbox, LightParams
from rtmo.data.picture import ArrayImage, Picture
from rtmo.ops.affine import unwarp_poses
from rtmo.types import Poses


def fit_image(
    image: UInt8[np.ndarray, "H W 3"], image_size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "2 3"]]:
    """An image letterboxed to (height, width) px as in validation, and the map of its pixels into that frame.

    One that has this size already is returned itself.
    """
    size = (image.shape[0], image.shape[1])
    if size == image_size:
        return image, np.eye(2, 3)
    matrix = Letterbox(image_size=image_size).matrix(size, LightParams())
    return Picture.showing(ArrayImage(image)).warped(matrix, image_size).draw()[0], matrix


def poses_in_image(poses: Poses, warp: Float[np.ndarray, "2 3"], image_size: tuple[int, int]) -> Poses:
    """Poses of the network's frame in px of the image, boxes clipped to it.

    Args:
        warp: As ``fit_image`` gives it.
        image_size: (height, width) of the image, px.
    """
    moved = unwarp_poses(poses, torch.from_numpy(warp))
    height, width = image_size
    limits = moved.bboxes.new_tensor((width, height, width, height))
    return replace(moved, bboxes=moved.bboxes.clamp(min=0).minimum(limits))
