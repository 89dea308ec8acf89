"""Image files as people have them: any common format, grey, transparent, of 16 bits, turned by the camera."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from rtmo.data.image_file import FORMATS, read_image
from rtmo.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".avif")
_JPEGS = ("JPEG", "MPO")  # the latter of stereo cameras and telephones: JPEGs one after another


def read_any(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """An image as a viewer shows it: BGR, 0..255, turned as its EXIF header says.

    Of several frames or pages the first is read. What is transparent lies on white, as in a browser: the colours that
    a file holds there were never meant to be seen. Of 16 bits the upper eight count. A JPEG is decoded as in training.

    Raises:
        InputError: If there is no such file, it is no image or a damaged one, or it has more than ``MAX_PIXELS``.
    """
    path = Path(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.format not in _JPEGS:
                return as_bgr(ImageOps.exif_transpose(image))
        return read_image(path, displayed=True)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large ({error}); reduce the image") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: {_no_image(path)}") from error
    except (OSError, ValueError, SyntaxError, RuntimeError, MemoryError) as error:  # the last but one of AVIF
        reason = getattr(error, "strerror", None) or str(error) or "it says to need more memory than there is"
        raise InputError(f"{path}: cannot be read ({reason}); replace it, or leave it out") from error


def _no_image(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file, where an image is expected; replace it, or leave it out"
    return "not an image, or of a format that is not read; convert it to JPEG or PNG, or leave it out"


def as_bgr(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of an image of any mode, not turned: BGR, what is transparent on white, the upper eight bits.

    Raises:
        ValueError: If its pixels are fractions, or of more than 16 bits.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):  # 16 bits of grey; of colour, Pillow keeps the upper 8
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise ValueError("pixels of more than 16 bits; save it with 8 or 16")
        return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("pixels are fractions, of unknown range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
