"""Short videos, whole and damaged."""

from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH, FPS = 48, 64, 25.0


def shade(number: int) -> int:
    """Grey of a frame, by which frames are told apart."""
    return 15 + 12 * (number % 20)


def write_video(path: Path, num_frames: int = 30, codec: str = "MJPG") -> Path:
    """A video of plain frames; MJPG into .avi, whose frames do not depend on each other, mp4v into .mp4."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(num_frames):
        writer.write(np.full((HEIGHT, WIDTH, 3), shade(number), np.uint8))
    writer.release()
    return path


def break_frame(path: Path, number: int) -> None:
    """Overwrites the JPEG of a frame of an .avi with zeros."""
    data = bytearray(path.read_bytes())
    start = data.index(b"movi")
    for _ in range(number + 1):
        start = data.index(b"00dc", start + 1)
    end = data.index(b"00dc", start + 1)
    data[start + 8 : end] = bytes(end - start - 8)
    path.write_bytes(data)


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
