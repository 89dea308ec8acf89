"""Reads image files as training needs them: BGR, unrotated, and never half an image."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from rtmo.data.picture import StoredImage
from rtmo.errors import InputError

_JPEG_START, _JPEG_END, _JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_SCALES = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_FIX = "download the file again, or take its image out of the annotation file"


@dataclass(frozen=True)
class ImageFile(StoredImage):
    """An image file, read whenever its pixels are needed.

    Attributes:
        image_size: (height, width) in px that the annotations say, or else the file's header.
        annotation_file: For messages.
    """

    file: Path
    image_size: tuple[int, int]
    annotation_file: Path

    def read(self, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """See ``StoredImage``.

        Raises:
            InputError: If the image is damaged or not of the size that its annotation says.
        """
        pixels = read_image(self.file, reduction)
        height, width = self.image_size
        if pixels.shape[:2] not in ((height, width), (-(-height // reduction), -(-width // reduction))):
            found = read_size(self.file)
            raise InputError(
                f"{self.file}: {found[0]} x {found[1]} px, but {self.annotation_file} says {height} x {width} "
                "(height x width, before any EXIF rotation); correct either"
            )
        return pixels


def read_size(file: Path) -> tuple[int, int]:
    """(height, width) in px of an image, before any EXIF rotation; only its header is read.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is no image.
    """
    try:
        with Image.open(file) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(_unreadable(file)) from error


def read_image(file: Path, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes an image to BGR, 0..255.

    EXIF orientation is ignored, as COCO's annotations expect.

    Args:
        reduction: 2, 4 or 8: a pixel for every block of so many px squared, if the file is a JPEG, which is faster.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is cut short or no image. Decoders may return such an image with grey where data is missing,
            so the end of a JPEG is looked for explicitly.
    """
    data = file.read_bytes()
    if _is_truncated_jpeg(data):
        raise InputError(_truncated(file))
    encoded = np.frombuffer(data, np.uint8)
    scale = _SCALES[reduction if data.startswith(_JPEG_START) else 1]
    image = cv2.imdecode(encoded, scale | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    if image is None:
        raise InputError(_unreadable(file))
    return np.asarray(image)


def check_complete(file: Path) -> None:
    """Looks at the end of a JPEG only, so that thousands of files can be checked before training starts.

    Raises:
        InputError: If the file is empty or a JPEG that is cut short.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(2)
        stream.seek(max(0, size - 2))
        ends_well = start != _JPEG_START or stream.read(2) == _JPEG_END
    if size == 0 or (not ends_well and _is_truncated_jpeg(file.read_bytes())):
        raise InputError(_truncated(file))


def _unreadable(file: Path) -> str:
    return f"{file}: not an image that OpenCV can read, or a damaged one; {_FIX}"


def _truncated(file: Path) -> str:
    return f"{file}: the image file is cut short ({file.stat().st_size} bytes); {_FIX}"


def _is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker. Other formats: False, their decoders notice."""
    if not data.startswith(_JPEG_START) or data.endswith(_JPEG_END):
        return False
    # Cameras append data after the end marker and put thumbnails, with end markers of their own, into the segments
    # before the scan. So walk over the segments and look for the end in what follows the first scan header.
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == _JPEG_SCAN:
            return data.find(_JPEG_END, position) < 0
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return True
