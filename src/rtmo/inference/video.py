"""Video files and cameras, read and written with OpenCV."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from rtmo.errors import InputError

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp")
DEFAULT_FPS = 30.0  # of a camera or file that does not tell
_MOST_FPS = 1000  # more is a time base taken for a rate
_MOST_CAMERAS = 100  # OpenCV takes 100 and more for its own numbers of backends
_MOST_BROKEN = 100  # frames in a row, after which a file is taken to have ended

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoInfo:
    """What the header of a video says.

    Attributes:
        fps: Frames per second.
        num_frames: As the header says or lets estimate; None of a camera and where it does not.
    """

    fps: float
    num_frames: int | None

    @property
    def seconds(self) -> float:
        """Length, as the header says; 0 where it does not."""
        return (self.num_frames or 0) / self.fps


class VideoReader:
    """Iterates over (number, frame) of a video; frames are BGR and turned as the file's header says.

    A frame that cannot be decoded is left out, and its number with it.

    Args:
        source: A file, or the index of a camera.

    Attributes:
        info: What the header says.
        num_read: Frames so far.
        num_broken: Frames that were left out so far, with others after them.

    Raises:
        InputError: If it cannot be opened.
    """

    def __init__(self, source: Path | int) -> None:
        self._capture = _open_camera(source) if isinstance(source, int) else _open_file(source)
        fps, count = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        if not 0 < fps <= _MOST_FPS:
            log.warning("%s does not tell its frames per second; taken to be %g", source, DEFAULT_FPS)
            fps = DEFAULT_FPS
        is_known = not isinstance(source, int) and math.isfinite(count) and count > 0
        self.info = VideoInfo(fps, int(count) if is_known else None)
        self.num_read = self.num_broken = 0
        self._seconds_read = 0.0

    def __iter__(self) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
        number, failed_in_a_row = 0, 0
        while failed_in_a_row <= self._patience(number):
            was_read, image = self._capture.read()
            if was_read:
                self.num_read += 1
                self.num_broken += failed_in_a_row
                failed_in_a_row = 0
                self._seconds_read = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + 1 / self.info.fps
                yield number, image
            else:
                failed_in_a_row += 1
            number += 1
        self._capture.release()

    @property
    def missing_seconds(self) -> float:
        """After the iteration: what the file lacks of its header's length; 0 if that is within the header's error.

        Counted in time and in frames, and the less counts: the number of frames is an estimate in files whose frames
        come at no fixed rate, and MPEG program streams do not tell the time of every frame.
        """
        seconds_read = max(self._seconds_read, (self.num_read + self.num_broken) / self.info.fps)
        missing = self.info.seconds - seconds_read
        return missing if missing > max(0.5, 0.02 * self.info.seconds) else 0.0

    def _patience(self, number: int) -> int:
        """How many failures in a row may be broken frames and not the end."""
        return _MOST_BROKEN if self.info.num_frames is not None and number < self.info.num_frames else 0


class VideoWriter:
    """Writes an .mp4 that appears under its name when it is complete.

    Args:
        path: The file.
        fps: Frames per second.
        image_size: (height, width) of its frames, px.

    Raises:
        InputError: If it cannot be written.
    """

    def __init__(self, path: Path, *, fps: float, image_size: tuple[int, int]) -> None:
        self.path = path
        self._part = path.with_name(f"{path.stem}.part{path.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        codec = cv2.VideoWriter.fourcc(*"mp4v")  # the one for .mp4 in OpenCV's own wheels; H.264 is not in them
        self._writer = cv2.VideoWriter(str(self._part), codec, fps, image_size[::-1])
        if not self._writer.isOpened():
            raise InputError(
                f"{path}: OpenCV cannot write this video (no codec mp4v, or no place to write); install "
                "opencv-python-headless from PyPI, choose another output, or say draw=false"
            )

    def write(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Appends a frame."""
        self._writer.write(image)

    def close(self) -> None:
        """Completes the file.

        Raises:
            InputError: If a part of it could not be written; OpenCV does not say so while it writes.
        """
        self._writer.release()
        written = cv2.VideoCapture(str(self._part), cv2.CAP_FFMPEG)
        is_whole = written.isOpened()  # what opens an .mp4 is written last
        written.release()
        if not is_whole:
            raise InputError(f"{self.path}: cannot be written to its end; make room on the disk, or choose another one")
        os.replace(self._part, self.path)

    def discard(self) -> None:
        """Removes what was written."""
        self._writer.release()
        with suppress(FileNotFoundError):
            self._part.unlink()


def silence() -> None:
    """Keeps OpenCV and FFmpeg from printing on their own what our messages say; for commands."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's AV_LOG_QUIET
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _open_file(path: Path) -> cv2.VideoCapture:
    try:
        with path.open("rb") as stream:
            is_empty = not stream.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); correct name or permission") from error
    if is_empty:
        raise InputError(f"{path}: an empty file, where a video is expected; replace it, or leave it out")
    # FFmpeg by name, else a % in the file's name would mean a series of images
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(
            f"{path}: not a video that OpenCV can read, or one that is damaged or cut short; convert it to .mp4, "
            "replace it, or leave it out"
        )
    return capture


def _open_camera(index: int) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(index) if index < _MOST_CAMERAS else None
    if capture is None or not capture.isOpened():
        raise InputError(f"source={index}: there is no camera of this number, or another program has it")
    return capture
