"""What a command reads frames from: an image, a video, a folder or pattern of both, or a camera."""

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from rtmo.errors import InputError
from rtmo.inference import images, video
from rtmo.inference.video import VideoInfo, VideoReader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A file or a camera.

    Attributes:
        name: Path below the folder that was given, with slashes; ``camera0`` of a camera.
        place: The file, or the camera's number.
        kind: What is there.
    """

    name: str
    place: Path | int
    kind: Literal["image", "video", "camera"]


@dataclass(frozen=True, eq=False)
class Frame:
    """An image on its way through prediction.

    Attributes:
        source: Where it is from.
        image: BGR.
        number: From 0 in its video; None of an image.
        video: Of a video or camera.
    """

    source: Source
    image: UInt8[np.ndarray, "H W 3"]
    number: int | None = None
    video: VideoInfo | None = None


class Faults:
    """Sources that could not be read, or not to their end; each is reported when it is met.

    Attributes:
        messages: By the name of the source.
    """

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}

    def add(self, name: str, message: str) -> None:
        log.warning(message)
        self.messages[name] = message


def find_sources(source: str | int, faults: Faults, leave_out: Path | None = None) -> list[Source]:
    """The sources that an option names, folder by folder, sorted by name.

    Of folders, with all below them, and patterns, files that are neither images nor videos by their suffix are passed
    over, as are hidden ones.

    Args:
        source: A file, a folder, a pattern (``photos/*.jpg``, ``photos/**/*.png``) or the number of a camera.
        faults: Gets folders that cannot be opened, but for the one named.
        leave_out: A folder whose files are passed over: that of earlier output.

    Raises:
        InputError: If there is nothing of that name, or nothing to read.
    """
    source = str(source)
    path = Path(source)
    # os.path, for methods of Path raise where a folder above has no permission or a name is too long
    if os.path.isdir(source):
        return _readable(source, path, _walk(path, faults), leave_out)
    if os.path.exists(source):
        if (kind := _kind(path)) is None:
            raise InputError(f"source={source}: neither an image nor a video by its suffix; {_known()}")
        return [Source(path.name, path, kind)]
    if source.isdecimal():
        return [Source(f"camera{source}", int(source), "camera")]
    if not glob.has_magic(source):
        raise InputError(
            f"source={source}: no such file or folder, or one without permission; give an image, a video, a folder, a "
            "pattern or the number of a camera"
        )
    files = {Path(os.path.abspath(name)) for name in glob.glob(source, recursive=True) if os.path.isfile(name)}
    if not files:
        raise InputError(f"source={source}: no file matches; correct the pattern")
    base = Path(os.path.commonpath([file.parent for file in files]))
    return _readable(source, base, files, leave_out)


def read_frames(sources: Iterable[Source], faults: Faults, max_frames: int | None = None) -> Iterator[Frame]:
    """Every frame of every source, in order; a source that cannot be read does not keep others from it.

    Args:
        faults: Gets what could not be read.
        max_frames: Of each video or camera; None: all.
    """
    for source in sources:
        try:
            if source.kind == "image" and isinstance(source.place, Path):
                yield Frame(source, images.read_any(source.place))
            else:
                yield from _read_video(source, faults, max_frames)
        except InputError as error:
            faults.add(source.name, str(error))


def _read_video(source: Source, faults: Faults, max_frames: int | None) -> Iterator[Frame]:
    reader = VideoReader(source.place)
    for number, image in reader:
        if max_frames is not None and number >= max_frames:  # the one of this number may be broken
            return
        yield Frame(source, image, number, reader.info)
    if reader.num_read == 0:
        raise InputError(f"{source.place}: gives no frame that can be decoded; replace it, or leave it out")
    if reader.num_broken:
        log.warning("%s: %d frames could not be decoded and are left out", source.place, reader.num_broken)
    if missing := reader.missing_seconds:
        faults.add(
            source.name,
            f"{source.place}: cut short, the last {missing:.1f} of {reader.info.seconds:.1f} s "
            "cannot be read; what comes before is done",
        )
    elif source.kind == "camera":
        log.warning("%s gives no more frames", source.name)


def _walk(folder: Path, faults: Faults) -> Iterator[Path]:
    """All files below a folder; those of a folder that cannot be opened are a fault."""

    def refuse(error: OSError) -> None:
        message = f"{error.filename}: the folder cannot be opened ({error.strerror}); correct its permissions"
        if Path(error.filename) == folder:
            raise InputError(message) from error
        faults.add(Path(error.filename).relative_to(folder).as_posix(), message)

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in names)


def _readable(source: str, base: Path, files: Iterable[Path], leave_out: Path | None) -> list[Source]:
    """Those of the files below a folder that are images or videos by their suffix, folder by folder.

    Args:
        leave_out: Only what lies below ``base`` is left out: all of it would be nothing to read.

    Raises:
        InputError: If none is.
    """
    outside = leave_out and Path(os.path.realpath(leave_out))
    if outside and Path(os.path.realpath(base)).is_relative_to(outside):
        outside = None
    found = [
        Source(file.relative_to(base).as_posix(), file, kind)
        for file in sorted(files, key=lambda file: (file.parent, file.name))
        if (kind := _kind(file))
        and not file.name.startswith(".")
        and not (outside and Path(os.path.realpath(file)).is_relative_to(outside))
    ]
    if not found:
        raise InputError(f"source={source}: holds neither images nor videos; {_known()}")
    return found


def _kind(path: Path) -> Literal["image", "video"] | None:
    suffix = path.suffix.lower()
    return "image" if suffix in images.SUFFIXES else "video" if suffix in video.SUFFIXES else None


def _known() -> str:
    return f"images end with {' '.join(images.SUFFIXES)}, videos with {' '.join(video.SUFFIXES)}"
