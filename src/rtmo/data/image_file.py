"""Reads image files as training needs them: BGR and never half an image."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from rtmo.errors import InputError

_JPEG_START, _JPEG_END, _JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_FIX = "download the file again, or take its image out of the annotation file"


@runtime_checkable
class StoredFile(Protocol):
    """Where a file is kept: a ``Path``, or what reads its bytes from elsewhere and names it as a ``str``."""

    def read_bytes(self) -> bytes:
        """All of it."""
        ...


def read_image(file: StoredFile, displayed: bool = False) -> UInt8[np.ndarray, "H W 3"]:
    """Decodes an image to BGR, 0..255.

    Args:
        displayed: Whether to turn it as its EXIF header says, as viewers do; COCO's annotations expect that not.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is cut short or no image. Decoders may return such an image with grey where data is missing,
            so the end of a JPEG is looked for explicitly.
    """
    data = file.read_bytes()
    if _is_truncated_jpeg(data):
        raise InputError(_truncated(file, len(data)))
    encoded = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_COLOR if displayed else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(encoded, flags) if len(data) else None
    if image is None:
        raise InputError(f"{file}: not an image that OpenCV can read, or a damaged one; {_FIX}")
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
