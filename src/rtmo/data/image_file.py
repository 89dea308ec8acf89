"""Reads image files as training needs them: BGR and never half an image."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from rtmo.data.picture import StoredImage
from rtmo.errors import InputError

_JPEG_START, _JPEG_END, _JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_SCALES = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
# EXIF's tag, and its values that trade height and width
_ORIENTATION, _TURNED_BY_90 = 0x0112, range(5, 9)
# Named, for Pillow knows formats that run programs (EPS) or ask the network.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF", "AVIF", "JPEG2000")
_FIX = "download the file again, or leave its image out"


@runtime_checkable
class StoredFile(Protocol):
    """Where a file is kept: a ``Path``, or what reads its bytes from elsewhere and names it as a ``str``."""

    def read_bytes(self) -> bytes:
        """All of it."""
        ...


@dataclass(frozen=True)
class ImageFile(StoredImage):
    """An image file, read whenever its pixels are needed.

    Attributes:
        image_size: (height, width) in px that the annotations say, or else the file's header.
        displayed: Whether that is after any EXIF rotation, and images are to be turned.
        annotation_file: For messages.
    """

    file: StoredFile
    image_size: tuple[int, int]
    displayed: bool
    annotation_file: Path

    def read(self, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """See ``StoredImage``.

        Raises:
            InputError: If the image is gone, damaged or not of the size that its annotation says; a difference of less
                than ``reduction`` does not show in a reduced image.
        """
        try:
            pixels = read_image(self.file, self.displayed, reduction)
        except OSError as error:
            raise InputError(f"{self.file}: cannot be read any more ({error.strerror}); {_FIX}") from error
        height, width = self.image_size
        is_reduced = pixels.shape[:2] == (-(-height // reduction), -(-width // reduction))
        # What has the size of the whole may also be half of an image twice as large.
        if not is_reduced and (found := read_size(self.file, self.displayed)) != self.image_size:
            raise InputError(
                f"{self.file}: {found[0]} x {found[1]} px, but {self.annotation_file} says {height} x {width} "
                f"(height x width, {'after' if self.displayed else 'before'} any EXIF rotation); correct either"
            )
        return pixels


def read_size(file: StoredFile, displayed: bool = False) -> tuple[int, int]:
    """(height, width) in px of an image; of a file in a folder, only the header is read.

    Args:
        displayed: Whether after any EXIF rotation.

    Raises:
        InputError: If it is no image.
    """
    height, width, orientation = read_header(file)
    return (width, height) if displayed and orientation in _TURNED_BY_90 else (height, width)


def read_header(file: StoredFile) -> tuple[int, int, int | None]:
    """Height and width in px of an image as it is stored, and its EXIF orientation.

    Raises:
        InputError: If it is no image, or has more than ``MAX_PIXELS``.
    """
    with _opened(file, file if isinstance(file, Path) else io.BytesIO(file.read_bytes())) as image:
        # that of the base class, for the one of PNG decodes the image
        return image.height, image.width, Image.Image.getexif(image).get(_ORIENTATION)


@contextmanager
def _opened(file: StoredFile, content: Path | io.BytesIO) -> Iterator[Image.Image]:
    """The header of an image, and not more of it than ``MAX_PIXELS``, which decoders would make room for."""
    try:
        with Image.open(content, formats=FORMATS) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise InputError(f"{file}: too large ({error}); reduce the image") from error
    except UnidentifiedImageError as error:  # which says no more than that, of a buffer with its address
        raise InputError(f"{file}: not an image, or a damaged one; {_FIX}") from error
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:  # the last of AVIF
        raise InputError(f"{file}: not an image, or a damaged one ({error}); {_FIX}") from error


def read_image(file: StoredFile, displayed: bool = False, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes an image to BGR, 0..255.

    Args:
        displayed: Whether to turn it as its EXIF header says, as viewers do; COCO's annotations expect that not.
        reduction: 2, 4 or 8: a pixel for every block of so many px squared, which is faster; of a JPEG that is not
            turned, other images come whole.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is cut short, no image or has more than ``MAX_PIXELS``. Decoders may return an image that is
            cut short with grey where data is missing, so the end of a JPEG is looked for explicitly.
    """
    data = file.read_bytes()
    if _is_truncated_jpeg(data):
        raise InputError(_truncated(file, len(data)))
    if displayed:
        flags = cv2.IMREAD_COLOR
    else:
        flags = _SCALES[reduction if data.startswith(_JPEG_START) else 1] | cv2.IMREAD_IGNORE_ORIENTATION
    with _opened(file, io.BytesIO(data)):
        pass
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # a decoder reads another size than Pillow, and one that is out of bounds
        image = None
    if image is None:
        raise InputError(f"{file}: not an image that OpenCV can read, or a damaged one; {_FIX}")
    return np.asarray(image)


def check_complete(file: Path) -> None:
    """Looks at the end of a JPEG only, so that thousands of files can be checked before training starts.

    Raises:
        InputError: If the file is empty or a JPEG that is cut short.
    """
    if not file.is_file():
        raise InputError(f"{file}: a folder, where an image is expected; correct file_name")
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(2)
        stream.seek(max(0, size - 2))
        ends_well = start != _JPEG_START or stream.read(2) == _JPEG_END
    if size == 0 or (not ends_well and _is_truncated_jpeg(file.read_bytes())):
        raise InputError(_truncated(file, size))


def _truncated(file: StoredFile, size: int) -> str:
    return f"{file}: the image file is cut short ({size} bytes); {_FIX}"


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
