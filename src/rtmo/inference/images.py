"""Image files of any kind as pixels."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from rtmo.data.image_file import read_image
from rtmo.errors import InputError


def read_any(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """BGR pixels of an image file, turned as its EXIF header says.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return read_image(path, displayed=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give an image file") from error
